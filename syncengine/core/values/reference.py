"""References to other records, as ids of a side; the field rule knows the links they belong to. Pure."""

from __future__ import annotations

from syncengine.connector import FieldType, Native
from syncengine.core.values.base import Reader, Shape, Value, Writer
from syncengine.core.values.group import members_of, write_group
from syncengine.core.values.text import spell


def read_reference(shape: Shape, *, many: bool) -> Reader:
    """The ids a field holds: one or None, or a tuple where either side holds many."""

    def read(native: Native) -> Value:
        if many:
            found = (spell(member, shape).strip() for member in members_of(native, shape))
            return tuple(dict.fromkeys(id_ for id_ in found if id_))
        if isinstance(native, list | tuple) and len(native) == 1:
            native = native[0]
        return None if native is None else spell(native, shape).strip() or None

    return read


def write_reference(shape: Shape, *, many: bool) -> Writer:
    """Ids of this side, one or a tuple, as its type wants them."""
    group = write_group(shape, lambda value: _typed(value, shape))

    def write(value: Value) -> Native:
        if shape.is_group or (many and shape.is_text):
            return group(value if isinstance(value, tuple) or value is None else (value,))
        if isinstance(value, tuple):
            if len(value) > 1:
                raise shape.unmappable("the other side refers to several records, this field holds one", "map a field for many")
            value = value[0] if value else None
        return shape.nothing if value is None else _typed(value, shape)

    return write


def _typed(value: Value, shape: Shape) -> Native:
    if shape.field.type is FieldType.INTEGER and isinstance(value, str):
        if not value.isascii() or not value.lstrip("-").isdigit():
            raise shape.unmappable("the id of the record it refers to is not a number", "map a text field")
        return int(value)
    return value
