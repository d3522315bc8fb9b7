"""Tables of values that remotes get wrong, and the equality by which the kit judges them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal

from syncengine.connector import ABSENT, Field, FieldType, Native

HOSTILE_TEXT: Mapping[str, str] = {
    "empty": "",
    "blanks_at_the_ends": "  Ada  ",
    "only_blanks": "   ",
    "tab": "Ada\tLovelace",
    "newline": "12 Main Street\nFlat 3",
    "crlf": "12 Main Street\r\nFlat 3",
    "ends_with_newline": "Ada\n",
    "nul": "Ada\x00Lovelace",
    "control": "Ada\x07\x1b[31mLovelace",
    "emoji": "Ada \N{WOMAN}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
    "rtl": "\u05e2\u05d3\u05d4 \u202eevil\u202c",
    "combining": "Zoe\u0308 A\u030angstro\u0308m",
    "four_byte": "\U00020bb7\u91ce\u5bb6",
    "byte_order_mark": "\ufeffAda",
    "line_separator": "Ada\u2028Lovelace\x85King",
    "ten_kilobytes": "Ada " * 2499 + "Ada.",
    "formula": '=cmd|"/c calc"!A1',
    "formula_plus": "+1-555-0100",
    "formula_minus": "-2+3",
    "formula_at": "@SUM(A1)",
    "quotes": '"Ada" \'King\' \u201cquoted\u201d "',
    "backslashes": "C:\\new\\table \\\\ \\",
    "delimiters": "a,b;c|d\te",
    "markup": "<b>Ada</b> &amp; <!-- x -->",
    "placeholders": "%s %(x)s {0} ${HOME} :name ?",
    "sql": "'); DROP TABLE people; --",
    "null_word": "NULL",
    "not_a_number": "nan",
    "truth_word": "true",
    "leading_zeros": "00420",
    "exponent": "1e5",
    "date_like": "2026-01-02",
}
"""Text that has to come back as it was sent."""

FINDABLE_TEXT: Mapping[str, str] = {
    name: HOSTILE_TEXT[name] for name in ("quotes", "backslashes", "placeholders", "sql", "emoji", "delimiters", "null_word")
} | {"wildcards": "100% _sure_ *", "operators": "Ada OR name:* AND (x)"}
"""Text that a search has to take by the letter."""


def samples_of(field: Field) -> Sequence[Native]:
    """Values to try in a field of this type; none where only the author can know (references)."""
    many = field.many or field.type in {FieldType.SET, FieldType.LIST}
    offered = [choice.value for choice in field.choices]
    if offered:
        return [offered[:2], offered[:1], []] if many else offered[:3]
    match field.type:
        case FieldType.TEXT | None:
            found: list[Native] = ["Ada", "Zoe\u0308"]
        case FieldType.EMAIL:
            found = ["ada@example.com", "zoe+kit@example.org"]
        case FieldType.PHONE:
            found = ["+14155550132"]
        case FieldType.INTEGER:
            found = [0, -1, 42, 2**31 - 1]
        case FieldType.DECIMAL | FieldType.MONEY:
            numbers = [Decimal(0), Decimal("-1.5"), Decimal("0.1"), Decimal("12345.67")]
            step = Decimal(1).scaleb(-field.scale) if field.scale is not None else None
            found = [each for each in numbers if step is None or each == each.quantize(step)]
        case FieldType.BOOLEAN:
            found = [True, False]
        case FieldType.DATE:
            found = [date(2026, 2, 28), date(2024, 2, 29), date(1969, 12, 31), date(1900, 1, 1)]
        case FieldType.DATETIME:
            zone = None if field.naive else UTC
            found = [datetime(2026, 3, 29, 1, 30, 15, tzinfo=zone), datetime(1969, 12, 31, 23, 59, 59, tzinfo=zone)]
        case FieldType.SET | FieldType.LIST:
            return [["a", "b"], ["b"], []]
        case FieldType.JSON:
            return [{"a": [1, None, "x"], "b": {"c": True}}, [1, 2], {}]
        case FieldType.CHOICE | FieldType.REFERENCE:
            return []
    return [found, found[:1], []] if many else found


def samples_with_offsets() -> Sequence[datetime]:
    """The same instant as three places write it."""
    instant = datetime(2026, 7, 1, 12, 0, 0, tzinfo=UTC)
    return [
        instant,
        instant.astimezone(timezone(timedelta(hours=5, minutes=30))),
        instant.astimezone(timezone(timedelta(hours=-8))),
    ]


def is_plain(value: Native) -> bool:
    """Whether a value is one that sentence 5 allows."""
    if value is None or value is ABSENT or type(value) in _PLAIN:
        return True
    if type(value) is list:
        return all(is_plain(each) and each is not ABSENT for each in value)
    if type(value) is dict:
        return all(type(key) is str and is_plain(each) for key, each in value.items())
    return False


_PLAIN = frozenset({bool, int, float, Decimal, str, bytes, date, datetime, time})


def same(one: Native, other: Native, field: Field | None = None) -> bool:
    """Whether two native values say the same: instants not offsets, numbers not scales, sets in any order, True is not 1."""
    if one is None or one is ABSENT or other is None or other is ABSENT:
        return (one is None or one is ABSENT) and (other is None or other is ABSENT)
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, datetime) and isinstance(other, datetime):
        return (one.tzinfo is None) == (other.tzinfo is None) and one == other
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        unordered = field is not None and field.type is not FieldType.LIST
        left, right = (sorted(one, key=repr), sorted(other, key=repr)) if unordered else (list(one), list(other))
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    if isinstance(one, float) != isinstance(other, float) and isinstance(one, int | float | Decimal):
        return isinstance(other, int | float | Decimal) and Decimal(str(one)) == Decimal(str(other))
    return one == other
