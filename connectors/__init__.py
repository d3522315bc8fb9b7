"""Connectors shipped with the engine: one module or folder a system. They have no privilege over anybody else's."""
