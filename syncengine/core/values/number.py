"""Integers, decimals, money and booleans. Pure; no float gets past this file."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from math import isfinite
from typing import Final

from syncengine.connector import FieldType, Native
from syncengine.core.values.base import Reader, Shape, Value, Writer

MAX_DIGITS: Final = 1000
"""Longer numbers are refused: nobody means them, and arithmetic on "1e999999999" eats the machine."""

_SHORT: Final = 18
_SHORT_MAX: Final = 10**_SHORT
_SHORT_MIN: Final = -_SHORT_MAX
_CONTEXT: Final = Context(prec=3 * MAX_DIGITS, rounding=ROUND_HALF_UP)
_SAMPLE: Final = re.compile(r"1(?P<group>[,.' _\u00a0\u202f\u2019]?)234(?:(?P<mark>[.,])(?P<decimals>\d+))?")
_TRUE: Final = frozenset({"true", "t", "yes", "y", "1", "on"})
_FALSE: Final = frozenset({"false", "f", "no", "n", "0", "off"})


def quantise(number: Decimal, scale: int) -> Decimal:
    """The number with `scale` digits after the point, halves away from zero, as SQL databases round."""
    return number.quantize(Decimal(1).scaleb(-scale), context=_CONTEXT)


def is_too_long(number: Decimal) -> bool:
    """Whether a finite number has more than `MAX_DIGITS` digits before or after the point."""
    return bool(number) and (abs(number.adjusted()) > MAX_DIGITS or len(number.as_tuple().digits) > MAX_DIGITS)


def plain_number(number: Decimal) -> str:
    """The number without an exponent and without zeros at its end: the same text for equal numbers."""
    text = format(number, "f") if number else "0"
    return text.rstrip("0").rstrip(".") if "." in text else text


class NumberFormat:
    """How numbers stand in text cells: the decimal mark, and after a sample like "1,234.50" the mark between thousands."""

    __slots__ = ("_pattern", "decimals", "group", "mark")

    def __init__(self, sample: str | None, mark: str) -> None:
        """Raises ValueError when the sample is not of the form 1,234.50."""
        self.mark, self.group, self.decimals = mark, "", 0
        if sample is not None:
            match = _SAMPLE.fullmatch(sample)
            if match is None or match["group"] == match["mark"] != "":
                raise ValueError('a number format is the number 1234.5 as the cells would show it, like "1,234.50" or "1.234,5"')
            self.group = match["group"]
            self.mark = match["mark"] or (mark if mark != self.group else "," if mark == "." else ".")
            self.decimals = len(match["decimals"] or "")
        whole = rf"[0-9]{{1,3}}(?:{re.escape(self.group)}[0-9]{{3}})+|[0-9]*" if self.group else "[0-9]*"
        self._pattern = re.compile(rf"([+\-\u2212]?)({whole})(?:{re.escape(self.mark)}([0-9]*))?([eE][+-]?[0-9]{{1,4}})?")

    def parse(self, text: str) -> Decimal | None:
        """The number that a trimmed text shows, or None if it shows none."""
        match = self._pattern.fullmatch(text) if len(text) <= 2 * MAX_DIGITS else None
        if match is None:
            return None
        sign, whole, fraction, exponent = match.groups()
        if not whole and not fraction:
            return None
        plain = whole.replace(self.group, "") if self.group else whole
        minus = "-" if sign and sign != "+" else ""
        return Decimal(f"{minus}{plain or 0}.{fraction or ''}{exponent or ''}")

    def show(self, number: Decimal) -> str:
        """The number as text, without an exponent, with at least the decimals of the sample."""
        if not number:
            number = number.copy_abs()
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and -exponent < self.decimals:
            number = quantise(number, self.decimals)
        text = format(number, ",f" if self.group else "f")
        if self.mark == "." and self.group in {"", ","}:
            return text
        return "".join({",": self.group, ".": self.mark}.get(character, character) for character in text)


def _decimal_reader(shape: Shape) -> Callable[[Native], Decimal | None]:
    layout = NumberFormat(shape.format, shape.decimal)
    cure = f'it must look like "{layout.show(Decimal("1234.5"))}"; set `decimal` or `format` for this side'

    def read(native: Native) -> Decimal | None:
        if type(native) is str:
            text = native.strip()
            if not text:
                return None
            number = layout.parse(text)
            if number is None:
                raise shape.unmappable("the text is not a number", cure)
        elif native is None:
            return None
        elif isinstance(native, int):
            if native.bit_length() > 3 * MAX_DIGITS:
                raise shape.unmappable(f"the number has more than {MAX_DIGITS} digits", "correct it there")
            return Decimal(native)
        elif isinstance(native, float):
            if not isfinite(native):
                raise shape.unmappable("it holds a float that is not a number", "correct it there")
            return Decimal(repr(native))
        elif isinstance(native, Decimal):
            if not native.is_finite():
                raise shape.unmappable("it holds a decimal that is not a number", "correct it there")
            number = native
        else:
            raise shape.unmappable(f"a value of type {type(native).__name__} is not a number", "choose another type with `as`")
        if is_too_long(number):
            raise shape.unmappable(f"the number has more than {MAX_DIGITS} digits", "correct it there")
        return number

    return read


def read_decimal(shape: Shape) -> Reader:
    """Decimal and money."""
    return _decimal_reader(shape)


def read_integer(shape: Shape) -> Reader:
    """Whole numbers; one with a fraction is Unmappable, 5.0 is 5."""
    read_number = _decimal_reader(shape)

    def read(native: Native) -> Value:
        if type(native) is int and _SHORT_MIN < native < _SHORT_MAX:
            return native
        if type(native) is str and len(native) <= _SHORT and native.isascii() and native.isdigit():
            return int(native)
        number = read_number(native)
        if number is None:
            return None
        whole = int(number)
        if whole != number:
            raise shape.unmappable("the number has a fraction", 'map it with as = "decimal"')
        return whole

    return read


def write_number(shape: Shape, scale: int | None) -> Writer:
    """
    A number as this side's type wants it, rounded to what the side can hold (halves away from zero).

    `scale` is the rule's own, for text cells; a typed field brings its own.
    """
    kind = shape.field.type
    layout = NumberFormat(shape.format, shape.decimal)
    places = 0 if kind is FieldType.INTEGER else scale if shape.is_text else shape.field.scale
    nothing = shape.nothing

    def write(value: Value) -> Native:
        if value is None:
            return nothing
        if not isinstance(value, Decimal | int):
            raise shape.unmappable("the other side's value is not a number", "choose another type with `as`")
        if type(value) is int and kind is FieldType.INTEGER:
            return value
        number = Decimal(value) if isinstance(value, int) else value
        if places is not None:
            try:
                number = quantise(number, places)
            except InvalidOperation:
                raise shape.unmappable("the number has too many digits", "correct it on the other side") from None
        if kind is FieldType.INTEGER:
            return int(number)
        return layout.show(number) if shape.is_text else number

    return write


def boolean_words(format_: str | None) -> tuple[str, str]:
    """The words for true and false of a format like "yes/no"; ValueError if it is not of that form."""
    if format_ is None:
        return "true", "false"
    words = tuple(word.strip() for word in format_.split("/"))
    if len(words) != 2 or words[0].casefold() == words[1].casefold():
        raise ValueError('a boolean format is two different words, like "yes/no"')
    return words[0], words[1]


def read_boolean(shape: Shape) -> Reader:
    """True and false, as booleans, as 1 and 0, or as words; blank text is null, or what `format` says blank means."""
    yes, no = boolean_words(shape.format)
    if shape.format is None:
        meanings = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
    else:
        meanings = {yes.casefold(): True, no.casefold(): False}
    own = _choice_words(shape)
    if own is not None:
        meanings |= {own[0].casefold(): True, own[1].casefold(): False}
    blank = meanings.get("")
    cure = f'`format` gives the words, now "{yes}/{no}"'

    def read(native: Native) -> Value:
        if native is None:
            return blank
        if isinstance(native, bool):
            return native
        if isinstance(native, str):
            word = native.strip().casefold()
            meaning = meanings.get(word)
            if meaning is None and word:
                raise shape.unmappable("the text is neither true nor false", cure)
            return meaning
        if isinstance(native, int | float | Decimal) and not _is_nan(native) and native in (0, 1):
            return bool(native)
        raise shape.unmappable(f"a value of type {type(native).__name__} is neither true nor false", "choose another type")

    return read


def write_boolean(shape: Shape) -> Writer:
    """True and false as this side's type wants them; null is false where the side has no null."""
    kind = shape.field.type
    yes, no = _choice_words(shape) or boolean_words(shape.format)
    native: dict[bool, Native]
    if kind is FieldType.INTEGER:
        native = {True: 1, False: 0}
    elif shape.is_text:
        native = {True: yes, False: no}
    else:
        native = {True: True, False: False}
    nothing = native[False] if not shape.field.nullable and not shape.is_text else shape.nothing

    def write(value: Value) -> Native:
        if value is None:
            return nothing
        if type(value) is not bool:
            raise shape.unmappable("the other side's value is neither true nor false", "choose another type with `as`")
        return native[value]

    return write


def _choice_words(shape: Shape) -> tuple[str, str] | None:
    """The two choices of this side that mean true and false, where its choices say so themselves."""
    yes, no = (word.casefold() for word in boolean_words(shape.format))
    trues = _TRUE if shape.format is None else {yes}
    falses = _FALSE if shape.format is None else {no}
    found: dict[bool, str] = {}
    for choice in shape.field.choices:
        for word in (choice.value, choice.label):
            if word.casefold() in trues:
                found.setdefault(True, choice.value)
            elif word.casefold() in falses:
                found.setdefault(False, choice.value)
    return (found[True], found[False]) if len(found) == 2 else None


def _is_nan(number: float | Decimal) -> bool:
    """A signalling NaN must be asked, for it cannot even be compared."""
    return number.is_nan() if isinstance(number, Decimal) else number != number
