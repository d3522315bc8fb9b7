"""The engine: reads, decides, writes and remembers, in the one order that `engine.run` knows."""
