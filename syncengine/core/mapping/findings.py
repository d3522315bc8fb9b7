"""Collects what is wrong with a pair, so that a person sees all of it at once. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from syncengine.errors import Problem

_NAMES_SHOWN: Final = 12


class Findings:
    """The problems and notes of one pair; places are relative to it."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.problems: list[Problem] = []
        self.notes: list[str] = []

    def problem(self, place: str, wrong: str, cure: str) -> None:
        """Something that must be put right."""
        problem = Problem(place=f"{self.place}.{place}", wrong=wrong, cure=cure)
        if problem not in self.problems:
            self.problems.append(problem)

    def note(self, place: str, text: str) -> None:
        """Something a person should know."""
        self.notes.append(f"{self.place}.{place}: {text}")


def nearest(name: str, names: Iterable[str]) -> str:
    """The cure for a name that is not there: the nearest ones, else all there are."""
    there = sorted(names)
    folded: dict[str, str] = {}
    for known in there:
        folded.setdefault(known.casefold(), known)
    close = [folded[match] for match in get_close_matches(name.casefold(), folded, n=3, cutoff=0.6)]
    if close:
        return "did you mean " + " or ".join(repr(known) for known in close) + "?"
    if not there:
        return "there are no fields to choose from"
    more = f" and {len(there) - _NAMES_SHOWN} more" if len(there) > _NAMES_SHOWN else ""
    return "there are " + ", ".join(repr(known) for known in there[:_NAMES_SHOWN]) + more
