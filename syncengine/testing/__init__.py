"""The kit for those who write connectors: the memory connector, the conformance suite, the simulator."""
