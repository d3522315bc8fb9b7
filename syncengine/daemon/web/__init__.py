"""The pages of the daemon: where every pair stands, what it did, and the questions that wait for a person."""

from syncengine.daemon.web.build import build
from syncengine.daemon.web.desks import Desks, SharedDesk

__all__ = ["Desks", "SharedDesk", "build"]
