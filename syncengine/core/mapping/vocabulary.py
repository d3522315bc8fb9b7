"""
The words of choices on both sides and how they meet. Pure.

People see labels, so the canonical word of a choice is its label, unless both sides have choices and share more values
than labels. The table `values` maps left words to right words; words it does not name stand for themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from unicodedata import normalize

from syncengine.connector import Field
from syncengine.core.values.text import Vocabulary


def vocabularies(
    left: Field, right: Field, values: Mapping[str, str] | None, *, merging: bool
) -> tuple[Vocabulary | None, Vocabulary | None]:
    """
    The vocabularies of both sides; None where a side's words are plain text.

    `merging`: several left words may share a right one, which only a field that travels to the right can do; the
    canonical words are then the right side's.
    """
    if not left.choices and not right.choices and values is None:
        return None, None
    names = [_names(left), _names(right)]
    if left.choices and right.choices and _shared(names[0], names[1], of=0) >= _shared(names[0], names[1], of=1):
        names = [{value: value for value in side} for side in names]
    left_names, right_names = names
    if values is None:
        return (
            _vocabulary(left, left_names or right_names, left_names),
            _vocabulary(right, right_names or left_names, right_names),
        )
    table = {
        left_names.get(_plain(key), _plain(key)): right_names.get(_plain(word), _plain(word)) for key, word in values.items()
    }
    if merging:
        readings = {native: table.get(word, word) for native, word in _readings(left_names).items()}
        return (
            Vocabulary(to_word=table | readings, to_native={}, closed=False),
            _vocabulary(right, right_names, right_names),
        )
    back = {word: key for key, word in table.items()}
    right_natives = {word: native for native, word in right_names.items()}
    known = {native: back.get(word, word) for native, word in _readings(right_names).items()}
    return (
        _vocabulary(
            left, {key: key for key in table if key} | left_names, left_names, barred=frozenset(back) - frozenset(table) - {""}
        ),
        Vocabulary(
            to_word=back | known,
            to_native={back.get(word, word): native for native, word in right_names.items()}
            | {key: right_natives.get(word, word) for key, word in table.items()},
            barred=frozenset(table) - frozenset(back) - {""},
            closed=bool(right.choices),
            known=_known(right),
        ),
    )


def shared_words(values: Mapping[str, str]) -> list[str]:
    """The right words that several left words map to."""
    words = [_plain(word) for word in values.values()]
    return sorted({word for word in words if words.count(word) > 1})


def _vocabulary(
    field: Field, readings: Mapping[str, str], names: Mapping[str, str], *, barred: frozenset[str] = frozenset()
) -> Vocabulary:
    return Vocabulary(
        to_word=_readings(readings),
        to_native={native: native for native in names} | {word: native for native, word in names.items()},
        barred=barred,
        closed=bool(field.choices),
        known=_known(field),
    )


def _names(field: Field) -> dict[str, str]:
    """Canonical word by native value: the label, where labels tell the choices apart."""
    names = {choice.value: _plain(choice.label or choice.value) for choice in field.choices}
    if len(set(names.values())) < len(names):
        return {value: value for value in names}
    return names


def _readings(names: Mapping[str, str]) -> dict[str, str]:
    """Canonical word by what may stand in a cell: the label as well as the value, which wins where the two cross."""
    return {word: word for word in names.values()} | dict(names)


def _shared(left: Mapping[str, str], right: Mapping[str, str], *, of: int) -> int:
    if of == 0:
        return len(left.keys() & right.keys())
    return len(set(left.values()) & set(right.values()))


def _known(field: Field) -> tuple[str, ...]:
    return tuple(choice.label or choice.value for choice in field.choices)


def _plain(word: str) -> str:
    return normalize("NFC", word).strip()
