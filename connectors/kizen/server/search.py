"""Which records a search finds, in which order, and one page of them (records-api.md sections 2.2 and 5.3)."""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import orjson

from connectors.kizen.server.errors import detail, invalid_key
from connectors.kizen.server.filters import compile_query
from connectors.kizen.server.lag import seen_by_search
from connectors.kizen.server.metadata import Field, ObjectType, Record, Stored
from connectors.kizen.server.shapes import stored_value
from connectors.kizen.server.world import World

_CONTACT_COLUMNS: Final = ("email", "first_name", "last_name", "home_phone", "mobile_phone", "business_phone")
_DEFAULT_PAGE: Final = 100
_KEPT_RESULTS: Final = 8

Item = TypeVar("Item")


@dataclass(slots=True)
class Searcher:
    """Answers searches; keeps the last results, because a scan asks for the same list once a page."""

    world: World
    _kept: OrderedDict[bytes, tuple[int, list[Record]]] = field(default_factory=OrderedDict)

    def find(self, obj: ObjectType, body: Mapping[str, Any], query: Mapping[str, str]) -> list[Record]:
        """Every record found, in order. Raises `ApiError` 400 on a bad filter or contradicting keys."""
        switches = self.world.switches
        instead = self.world.lag.search(obj.id, self.world.now())
        wanted = [obj.id, query.get("ordering"), query.get("search"), switches.default_order, switches.ordering]
        key = orjson.dumps(
            [
                *wanted,
                switches.text_filters,
                switches.clause_form,
                *(body.get(one) for one in ("query", "and", "search_within_field_names", "search_within_field_ids")),
            ]
        )
        kept = self._kept.get(key)
        if kept is not None and kept[0] == obj.version and not instead and switches.default_order != "shuffled":
            self._kept.move_to_end(key)
            return kept[1]
        found = self._find(obj, body, query, instead)
        if not instead and switches.default_order != "shuffled":
            self._kept[key] = obj.version, found
            if len(self._kept) > _KEPT_RESULTS:
                self._kept.popitem(last=False)
        return found

    def _find(
        self, obj: ObjectType, body: Mapping[str, Any], query: Mapping[str, str], instead: dict[str, Record | None]
    ) -> list[Record]:
        matches = compile_query(self.world, obj, body)
        mentions = self._text(obj, body, query.get("search", ""))
        records = seen_by_search(obj.records.values(), instead) if instead else obj.records.values()
        found = [
            record
            for record in records
            if not record.archived
            and record.visible
            and (matches is None or matches(record))
            and (mentions is None or mentions(record))
        ]
        self._order(obj, found, query.get("ordering", ""))
        return found

    def _text(self, obj: ObjectType, body: Mapping[str, Any], text: str) -> Callable[[Record], bool] | None:
        names, ids = body.get("search_within_field_names"), body.get("search_within_field_ids")
        if names is not None and ids is not None:
            raise invalid_key("search_within_field_names", "invalid", "Give names or ids, not both.")
        if not text.strip():
            return None
        if isinstance(names, list):
            chosen = [obj.by_name[one] for one in names if one in obj.by_name]
        elif isinstance(ids, list):
            chosen = [obj.fields[one] for one in ids if one in obj.fields]
        elif obj.kind == "client":
            chosen = [obj.by_name[one] for one in _CONTACT_COLUMNS]
        else:
            chosen = [obj.by_name["name"]]
        getters = [stored_value(self.world, obj, one) for one in chosen if one.visible]
        wanted = text.strip().casefold()
        return lambda record: any(wanted in str(get(record) or "").casefold() for get in getters)

    def _order(self, obj: ObjectType, found: list[Record], ordering: str) -> None:
        switches = self.world.switches
        if switches.default_order == "shuffled":
            # Rows of equal rank move between pages, as in a database asked without a complete ORDER BY.
            random.Random(f"{self.world.seed}:{self.world.lag.searches}").shuffle(found)
        elif switches.default_order == "updated":
            found.sort(key=lambda record: record.updated, reverse=True)
        if switches.ordering == "ignored":
            return
        for part in reversed([one.strip() for one in ordering.split(",") if one.strip()]):
            name = part.removeprefix("-")
            column = obj.by_name.get(name)
            if column is None or not column.visible or (switches.ordering == "names" and name not in {"name", "email"}):
                continue
            found.sort(key=self._rank(obj, column), reverse=part.startswith("-"))

    def _rank(self, obj: ObjectType, column: Field) -> Callable[[Record], tuple[bool, Any]]:
        get = stored_value(self.world, obj, column)
        places = {option.id: str(option.order).zfill(6) for option in column.options}

        def rank(record: Record) -> tuple[bool, Any]:
            value: Stored | None = get(record)
            if isinstance(value, tuple):
                return False, len(value)
            if isinstance(value, str):
                return False, places.get(value, value.casefold())
            return value is None, 0 if value is None else value

        return rank


def page_numbers(world: World, query: Mapping[str, str]) -> tuple[int, int]:
    """`page` and `page_size` of a query string, within the bounds of section 2.2. Raises `ApiError`."""
    number, size = query.get("page", "1"), query.get("page_size", str(_DEFAULT_PAGE))
    limit = world.switches.max_page_size
    if not number.isdecimal() or int(number) < 1:
        raise detail(404, "not_found", "Invalid page.")
    if not size.isdecimal() or int(size) < 1:
        size = str(_DEFAULT_PAGE)
    if int(size) > limit and world.switches.page_size_over == "reject":
        raise invalid_key("page_size", "limit_exceeded", f"Ensure this value is less than or equal to {limit}.")
    return int(number), min(int(size), limit)


def page(
    world: World,
    items: Sequence[Item],
    query: Mapping[str, str],
    address: Callable[[int], str],
    shape: Callable[[Item], Any],
) -> dict[str, Any]:
    """One page in the envelope of section 2.2; `address` makes the absolute URL of another page."""
    number, size = page_numbers(world, query)
    start = (number - 1) * size
    if number > 1 and start >= len(items) and world.switches.page_past_end == "not_found":
        raise detail(404, "not_found", "Invalid page.")
    return {
        "count": len(items),
        "next": address(number + 1) if start + size < len(items) else None,
        "previous": address(number - 1) if number > 1 else None,
        "results": [shape(one) for one in items[start : start + size]],
        "errors": [],
    }
