"""Collecting every mistake of a config, each once, in the order of the file."""

from __future__ import annotations

from syncengine.config.model import Toml
from syncengine.errors import ConfigError, Problem
from syncengine.wording import dotted, shown

Place = tuple[str | int, ...]
"""Where something stands in the document: keys and list positions."""


class Problems:
    """
    What is wrong with a document so far. A text may hold `{value}`: it becomes the value *as written in the file*.

    So no message can hold what a placeholder was filled with.
    """

    def __init__(self, written: Toml) -> None:
        self._written = written
        self._found: dict[Place, list[Problem]] = {}

    def snapshot(self) -> Problems:
        """What is known by now, apart from what will be added."""
        known = Problems(self._written)
        known._found = dict(self._found)
        return known

    def add(self, place: Place, wrong: str, cure: str = "", *, called: str = "") -> None:
        """Add a problem with the value at a place; `called` is what people call a place outside the document."""
        place = place if called else self.standing(place)
        if "{value}" in wrong:
            wrong = wrong.replace("{value}", shown(written_at(self._written, place)))
        problem = Problem(place=called or dotted(place), wrong=wrong, cure=cure)
        if problem not in self._found.setdefault(place, []):
            self._found[place].append(problem)

    def standing(self, place: Place) -> Place:
        """The place as it stands in the file: below a shorthand there is nothing, so that is the place of the shorthand."""
        document: object = self._written
        for length, part in enumerate(place):
            if not isinstance(document, dict | list):
                return place if document is None else place[:length]
            document = written_at(document, (part,))
        return place

    def touch(self, place: Place) -> bool:
        """Whether something is known to be wrong at or below a place: what follows from it is no news."""
        standing = self.standing(place)
        return any(found[: len(standing)] == standing for found in self._found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def error(self) -> ConfigError:
        """Everything found so far as the error to raise, sorted as the file is."""
        order = {place: index for index, place in enumerate(_places(self._written))}
        known = sorted(self._found, key=lambda place: _position(order, place))
        return ConfigError([problem for place in known for problem in self._found[place]])


def written_at(document: object, place: Place) -> object:
    """The value at a place; a place below a shorthand gives the shorthand, a missing one None."""
    for part in place:
        if isinstance(document, dict):
            document = document.get(part)
        elif isinstance(document, list) and isinstance(part, int) and part < len(document):
            document = document[part]
        elif document is None or isinstance(document, list):
            return None
    return document


def _places(document: object, place: Place = ()) -> list[Place]:
    children = document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    return [place, *(below for key, child in children for below in _places(child, (*place, key)))]


def _position(order: dict[Place, int], place: Place) -> tuple[int, int]:
    for length in range(len(place), -1, -1):
        if place[:length] in order:
            return order[place[:length]], len(place)
    return len(order), len(place)
