"""Text, email, phone and choice: what a person typed is kept and sent as typed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from math import isfinite
from typing import Final
from unicodedata import normalize

from syncengine.connector import FieldType, Native
from syncengine.core.keys import text_key
from syncengine.core.unmappable import Unmappable
from syncengine.core.values.base import Reader, Shape, Value, Writer
from syncengine.core.values.number import MAX_DIGITS, is_too_long, plain_number, read_boolean, read_integer

_SHOWN_CHOICES: Final = 8


def spell(native: Native, shape: Shape) -> str:
    """
    The text of a native scalar, the same for every type that means the same: 5, 5.0 and Decimal("5") are all "5".

    Raises Unmappable for what has no obvious text: bytes, lists, dicts, floats that are no number, broken text.
    """
    if isinstance(native, str):
        if not native.isascii():
            try:
                native.encode()
            except UnicodeEncodeError:
                raise shape.unmappable(
                    "the text holds half of a surrogate pair, which no system can store", "correct it there"
                ) from None
        return native
    if isinstance(native, bool):
        return "true" if native else "false"
    if isinstance(native, int | float | Decimal):
        return _spell_number(native, shape)
    if isinstance(native, date | datetime | time):
        return native.isoformat()
    if isinstance(native, list | tuple | dict):
        raise shape.unmappable("it holds a list or an object, not text", 'map it with as = "set", "list" or "json"')
    raise shape.unmappable(f"a value of type {type(native).__name__} cannot be mapped to text", "leave the field out")


def _spell_number(native: float | Decimal, shape: Shape) -> str:
    if not (native.is_finite() if isinstance(native, Decimal) else isfinite(native)):
        raise shape.unmappable("it holds a float or decimal that is not a number", "correct it there")
    number = native if isinstance(native, Decimal) else Decimal(repr(native)) if isinstance(native, float) else Decimal(native)
    if is_too_long(number):
        raise shape.unmappable(f"the number has more than {MAX_DIGITS} digits", "correct it there")
    return plain_number(number) if isinstance(native, float) else format(number, "f")


def read_text(shape: Shape) -> Reader:
    """Text as it is; "" is null where the pair's sides do not both tell the two apart."""
    blank = None if shape.blank_is_null else ""

    def read(native: Native) -> Value:
        if type(native) is str:
            if not native:
                return blank
            if native.isascii():
                return native
        elif native is None:
            return None
        return spell(native, shape)

    return read


def read_words(shape: Shape) -> Reader:
    """Email addresses and phone numbers: text as it is, but blank text is always null."""

    def read(native: Native) -> Value:
        if native is None:
            return None
        text = spell(native, shape)
        return text if text and not text.isspace() else None

    return read


def write_text(shape: Shape) -> Writer:
    """Text as it is."""
    nothing = shape.nothing

    def write(value: Value) -> Native:
        return nothing if value is None else value

    return write


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """
    The words of a choice on one side, and the canonical words they stand for; "" stands for null.

    `barred` are native words that would come back as another one, because the `values` table gives their place away.
    `closed`: the system takes no other words than these. `known` is for messages.
    """

    to_word: Mapping[str, str]
    to_native: Mapping[str, str]
    barred: frozenset[str] = frozenset()
    closed: bool = False
    known: tuple[str, ...] = ()

    def loose(self, words: Mapping[str, str]) -> dict[str, str]:
        """The same mapping by match key instead of by exact word, where that is unambiguous."""
        found: dict[str, set[str]] = {}
        for word, image in words.items():
            found.setdefault(text_key(word) or "", set()).add(image)
        return {key: next(iter(images)) for key, images in found.items() if len(images) == 1}


def word_reader(shape: Shape, vocabulary: Vocabulary | None) -> Reader:
    """One choice, as its canonical word."""
    if vocabulary is None:
        return read_words(shape)
    to_word, barred, loose = vocabulary.to_word, vocabulary.barred, vocabulary.loose(vocabulary.to_word)

    def read(native: Native) -> Value:
        text = "" if native is None else normalize("NFC", spell(native, shape)).strip()
        word = to_word.get(text)
        if word is None:
            word = loose.get(text_key(text) or "", text)
            if text in barred:
                raise shape.unmappable(
                    "its value stands in the table `values` for the other side only, so it could not come back",
                    "give it a line of its own in `values`",
                )
        return word or None

    return read


def word_writer(shape: Shape, vocabulary: Vocabulary | None) -> Writer:
    """One canonical word, as the choice this side knows; Unmappable where it knows none."""
    typed = _typed_word(shape)
    if vocabulary is None:
        return typed
    to_native, closed, loose = vocabulary.to_native, vocabulary.closed, vocabulary.loose(vocabulary.to_native)
    known = ", ".join(repr(word) for word in vocabulary.known[:_SHOWN_CHOICES])
    more = ", ..." if len(vocabulary.known) > _SHOWN_CHOICES else ""

    def write(value: Value) -> Native:
        word = "" if value is None else str(value)
        native = to_native.get(word)
        if native is None and word:
            native = loose.get(text_key(word) or "")
            if native is None:
                if closed:
                    raise shape.unmappable(
                        f"the other side's value is not one of its choices ({known}{more})",
                        "add the choice there, or a line for it in the table `values`",
                    )
                native = word
        return typed(native or None)

    return write


def _typed_word(shape: Shape) -> Writer:
    """A word as this side's type wants it: integer and boolean columns often hold choices."""
    if shape.field.type is FieldType.INTEGER:
        return read_integer(shape)
    if shape.field.type is FieldType.BOOLEAN:
        return read_boolean(shape)
    return write_text(shape)


def is_blank(value: Value) -> bool:
    """Whether a canonical value says nothing: null, no members, or text without a visible character."""
    if type(value) is str:
        if value.isascii():
            return not value or value.isspace()
        try:
            return text_key(value) is None
        except Unmappable:
            return False
    return value is None or value == ()
