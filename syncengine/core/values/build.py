"""Picks the reader and the writer for a type on one side. Pure."""

from __future__ import annotations

from syncengine.connector import FieldType
from syncengine.core.values.base import Reader, Shape, Writer
from syncengine.core.values.group import check_separator, read_json, read_list, read_set, write_group, write_json
from syncengine.core.values.moment import check_format, read_date, read_datetime, write_date, write_datetime
from syncengine.core.values.number import (
    NumberFormat,
    boolean_words,
    read_boolean,
    read_decimal,
    read_integer,
    write_boolean,
    write_number,
)
from syncengine.core.values.reference import read_reference, write_reference
from syncengine.core.values.text import Vocabulary, read_text, read_words, word_reader, word_writer, write_text


def reader(kind: FieldType, shape: Shape, *, vocabulary: Vocabulary | None = None, many: bool = False) -> Reader:
    """What makes canonical values of native ones; `many`: references come as tuples."""
    match kind:
        case FieldType.TEXT:
            return read_text(shape)
        case FieldType.EMAIL | FieldType.PHONE:
            return read_words(shape)
        case FieldType.CHOICE:
            return word_reader(shape, vocabulary)
        case FieldType.INTEGER:
            return read_integer(shape)
        case FieldType.DECIMAL | FieldType.MONEY:
            return read_decimal(shape)
        case FieldType.BOOLEAN:
            return read_boolean(shape)
        case FieldType.DATE:
            return read_date(shape)
        case FieldType.DATETIME:
            return read_datetime(shape)
        case FieldType.SET:
            return read_set(shape, word_reader(shape, vocabulary))
        case FieldType.LIST:
            return read_list(shape)
        case FieldType.REFERENCE:
            return read_reference(shape, many=many)
        case FieldType.JSON:
            return read_json(shape)


def writer(
    kind: FieldType, shape: Shape, *, scale: int | None = None, vocabulary: Vocabulary | None = None, many: bool = False
) -> Writer:
    """What makes native values of canonical ones; references come as ids of the side."""
    match kind:
        case FieldType.TEXT | FieldType.EMAIL | FieldType.PHONE:
            return write_text(shape)
        case FieldType.CHOICE:
            return word_writer(shape, vocabulary)
        case FieldType.INTEGER | FieldType.DECIMAL | FieldType.MONEY:
            return write_number(shape, scale)
        case FieldType.BOOLEAN:
            return write_boolean(shape)
        case FieldType.DATE:
            return write_date(shape)
        case FieldType.DATETIME:
            return write_datetime(shape)
        case FieldType.SET:
            return write_group(shape, word_writer(shape, vocabulary))
        case FieldType.LIST:
            return write_group(shape, lambda member: member)
        case FieldType.REFERENCE:
            return write_reference(shape, many=many)
        case FieldType.JSON:
            return write_json(shape)


def check_option(kind: FieldType, format_: str) -> None:
    """Raise ValueError, worded for the person who wrote the config, unless `format` fits the type."""
    match kind:
        case FieldType.INTEGER | FieldType.DECIMAL | FieldType.MONEY:
            NumberFormat(format_, ".")
        case FieldType.BOOLEAN:
            boolean_words(format_)
        case FieldType.DATE | FieldType.DATETIME:
            check_format(format_, kind)
        case FieldType.SET | FieldType.LIST | FieldType.REFERENCE:
            check_separator(format_)
        case FieldType.PHONE:
            _check_region(format_)
        case FieldType.TEXT | FieldType.EMAIL | FieldType.CHOICE | FieldType.JSON:
            raise ValueError(f"format means nothing for {kind.value}")


def _check_region(region: str) -> None:
    from phonenumbers import SUPPORTED_REGIONS

    if region not in SUPPORTED_REGIONS:
        raise ValueError('the format of a phone is the region of numbers without a country code, like "DE" or "US"')
