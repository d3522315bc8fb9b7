"""A question of the inbox as a page asks it: a sentence, and the answers one can press. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncengine.engine.report import InboxEntry
from syncengine.engine.text import plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One button: `choice` is what the desk takes, `hint` says what comes of it. `is_grave`: it deletes."""

    choice: str
    words: str
    hint: str = ""
    is_grave: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An entry with its answers; `called` is what people call the sides."""

    entry: InboxEntry
    title: str
    called: Mapping[str, str]
    answers: tuple[Answer, ...]

    @property
    def is_of_values(self) -> bool:
        """Whether there are two values to choose from, or another to type."""
        return self.entry.kind == "conflict"

    @property
    def answered(self) -> str:
        """What was chosen, empty while it waits."""
        if self.entry.answer == "value":
            return "Your own value"
        return next((answer.words for answer in self.answers if answer.choice == self.entry.answer), "")


def asked(entry: InboxEntry, called: Mapping[str, str]) -> Question:
    """The question in words."""
    title, answers = _worded(entry, {side: plain(name) for side, name in called.items()})
    return Question(entry=entry, title=title, called=called, answers=answers)


def _worded(entry: InboxEntry, called: Mapping[str, str]) -> tuple[str, tuple[Answer, ...]]:
    match entry.kind:
        case "conflict":
            return f"{plain(entry.field or '')}: two different values", _of_conflict(called)
        case "delete" if entry.gone is not None:
            return _of_delete(entry.gone, called)
        case "delete":
            return "A record is gone on one side", _of_either_delete(called)
        case "duplicate":
            return "Several records share one key", _put_away("Once it is settled in the systems; else the next run asks again.")
        case "unknown_outcome":
            hint = "It counts as not made, and the record is matched like any other. Look for doubles in the system first."
            return "Nobody knows whether a create went through", (
                Answer(choice="apart", words="I have looked, go on", hint=hint),
            )
        case "edit_survived":
            return "An edit survived a deletion", _put_away("For your information; nothing waits for it.")
        case "met":
            return "A record was there already", _put_away("For your information; nothing waits for it.")
        case _:
            return plain(entry.kind.replace("_", " ")), _put_away("")


def _put_away(hint: str) -> tuple[Answer, ...]:
    return (Answer(choice="apart", words="Put away", hint=hint),)


def _of_conflict(called: Mapping[str, str]) -> tuple[Answer, ...]:
    return (
        Answer(choice="left", words=f"Take {called['left']}", hint=f"{called['right']} gets this value too."),
        Answer(choice="right", words=f"Take {called['right']}", hint=f"{called['left']} gets this value too."),
        Answer(choice="apart", words="Leave them apart", hint="Each side keeps its own, until one of them changes."),
    )


_LEAVE = Answer(choice="apart", words="Leave it as it is", hint="The record that is left stays, and is not synced any more.")


def _of_delete(gone: str, called: Mapping[str, str]) -> tuple[str, tuple[Answer, ...]]:
    survivor = "left" if gone == "right" else "right"
    return f"Deleted in {called[gone]}. Delete it in {called[survivor]} too?", (
        Answer(choice=gone, words=f"Delete it in {called[survivor]}", hint="The journal keeps what it held.", is_grave=True),
        Answer(choice=survivor, words=f"Bring it back in {called[gone]}", hint=f"From what {called[survivor]} holds."),
        _LEAVE,
    )


def _of_either_delete(called: Mapping[str, str]) -> tuple[Answer, ...]:
    """The state cannot tell which side lost its record (both may have by now): the answer names the side that is right."""
    hint = "A record that is gone there is deleted on the other side; one that is left is brought back."
    right_ones = (Answer(choice=side, words=f"{called[side]} is right", hint=hint, is_grave=True) for side in ("left", "right"))
    return (*right_ones, _LEAVE)
