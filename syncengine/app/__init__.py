"""
The composition root: a config becomes connectors, rules, a store and ports, and the engine is set to work.

What people can do stands here as methods, each returning plain values; the command line and the daemon only show them.
"""

from syncengine.app.app import App

__all__ = ["App"]
