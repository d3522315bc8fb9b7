"""Filters against a naive model of section 5.3: any data, any query, the same records."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.kizen.server import RecordsServer
from connectors.kizen.server.filters import compile_query
from tests.connectors.records_server.client import COMPANIES

TEXTS = st.sampled_from(["", "a", "A", "ab", "ba", "É", "ß", "aß"])
WORDS = st.sampled_from(["a", "A", "b", "ab", "é", "ss"])
NUMBERS = st.integers(-3, 3)
DAYS = st.sampled_from(["2025-12-31", "2026-01-01", "2026-01-02"])
OPTIONS = ("Red", "Green", "Blue")


def text(stored: str | None) -> str | None:
    return None if stored is None else stored.casefold()


def order(convert: Callable[[Any], Any] = lambda value: value) -> Mapping[str, Callable[[Any, Any], bool]]:
    """Comparisons that no blank satisfies, except `!=`."""
    return {
        "=": lambda stored, value: stored == convert(value),
        "!=": lambda stored, value: stored != convert(value),
        "<": lambda stored, value: stored is not None and stored < convert(value),
        "<=": lambda stored, value: stored is not None and stored <= convert(value),
        ">": lambda stored, value: stored is not None and stored > convert(value),
        ">=": lambda stored, value: stored is not None and stored >= convert(value),
    }


MODEL: dict[str, tuple[st.SearchStrategy[Any], Mapping[str, Callable[[Any, Any], bool]]]] = {
    "motto": (
        WORDS,
        {
            "=": lambda stored, value: text(stored) == text(value),
            "!=": lambda stored, value: text(stored) != text(value),
            "contains": lambda stored, value: str(text(value)) in (text(stored) or ""),
            "!contains": lambda stored, value: str(text(value)) not in (text(stored) or ""),
            "starts_with": lambda stored, value: (text(stored) or "").startswith(str(text(value))),
            "!ends_with": lambda stored, value: not (text(stored) or "").endswith(str(text(value))),
        },
    ),
    "size": (NUMBERS, order()),
    "day": (DAYS, order()),
    "flag": (st.booleans(), {"=": lambda stored, value: bool(stored) == value}),
    "color": (
        st.lists(st.sampled_from(OPTIONS), min_size=1, max_size=2),
        {
            "is_any_of": lambda stored, value: stored in value,
            "is_none_of": lambda stored, value: stored not in value,
        },
    ),
    "colors": (
        st.lists(st.sampled_from(OPTIONS), max_size=2),
        {
            "has": lambda stored, value: set(value) <= set(stored or ()),
            "!has": lambda stored, value: not set(value) <= set(stored or ()),
            "has_any": lambda stored, value: bool(set(value) & set(stored or ())),
            "!has_any": lambda stored, value: not set(value) & set(stored or ()),
        },
    ),
}
BLANK: Callable[[Any, Any], bool] = lambda stored, value: (stored is None) == value  # noqa: E731
CLAUSES = st.one_of(
    [st.tuples(st.just(field), st.sampled_from(sorted(tests)), values) for field, (values, tests) in MODEL.items()]
    + [st.tuples(st.sampled_from(sorted(MODEL)), st.just("is_blank"), st.booleans())]
)
ROWS = st.fixed_dictionaries(
    {},
    optional={
        "motto": TEXTS,
        "size": NUMBERS,
        "day": DAYS,
        "flag": st.booleans(),
        "color": st.sampled_from(OPTIONS),
        "colors": st.lists(st.sampled_from(OPTIONS), unique=True),
    },
)
GROUPS = st.lists(st.tuples(st.booleans(), st.lists(CLAUSES, max_size=3)), max_size=3)


@pytest.fixture(scope="module")
def server() -> RecordsServer:
    """Never started: filters are asked directly, their spelling over HTTP is tested elsewhere."""
    made = RecordsServer()
    kinds = {"motto": "text", "size": "integer", "day": "date", "flag": "checkbox"}
    for name, kind in kinds.items():
        made.add_field(COMPANIES, name, kind)
    made.add_field(COMPANIES, "color", "dropdown", options=OPTIONS)
    made.add_field(COMPANIES, "colors", "checkboxes", options=OPTIONS)
    return made


def test_filters_agree_with_the_model(server: RecordsServer) -> None:
    """Blank fields, both combinations, every condition: one row at a time, the same verdict."""
    fields = {name: server.field(COMPANIES, name) for name in MODEL}
    ids = {option.name: option.id for option in fields["color"].options}
    many = {option.name: option.id for option in fields["colors"].options}
    record_id = server.add_record(COMPANIES, name="Row")

    def wire(field: str, value: Any) -> Any:
        table = {"color": ids, "colors": many}.get(field)
        return [table[one] for one in value] if table is not None and isinstance(value, list) else value

    @settings(max_examples=300, deadline=None)
    @given(ROWS, GROUPS, st.booleans())
    def run(row: dict[str, Any], groups: list[tuple[bool, list[tuple[str, str, Any]]]], outer: bool) -> None:
        server.edit(record_id, {name: row.get(name) for name in MODEL})
        seen = {name: value for name, value in row.items() if value not in ("", [])}
        body = {
            "and": outer,
            "query": [
                {
                    "and": inner,
                    "filters": [
                        {
                            "type": "fields_v2",
                            "subtype": "custom",
                            "field": f'"custom"::{fields[field].id}',
                            "condition": condition,
                            "value": wire(field, value),
                        }
                        for field, condition, value in clauses
                    ],
                }
                for inner, clauses in groups
            ],
        }
        verdicts = [
            (all if inner else any)(
                (BLANK if condition == "is_blank" else MODEL[field][1][condition])(seen.get(field), value)
                for field, condition, value in clauses
            )
            for inner, clauses in groups
            if clauses
        ]
        expected = (all if outer else any)(verdicts) if verdicts else True
        obj = server.object(COMPANIES)
        predicate = compile_query(server.world, obj, body)

        assert (predicate is None or predicate(obj.records[record_id])) == expected

    run()
