"""The simulator: seeded worlds in which the real engine meets people, faults and crashes, and oracles that judge it."""
