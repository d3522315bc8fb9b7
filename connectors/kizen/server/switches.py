"""
Every behaviour of the platform that its sources disagree on, or leave open, as a named switch.

C1 to C10 are the conflicts of records-api.md section 13; the others answer section 15 ("not documented anywhere readable").
A connector is only proven when it works with every switch in every position.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any, Literal, get_args, get_origin, get_type_hints


def _doc(source: str, meaning: str) -> Mapping[str, str]:
    return types.MappingProxyType({"source": source, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """How this server answers where the platform's own sources disagree or are silent; see `describe()` for the list."""

    lookup_mode: Literal["normalized", "exact"] = field(
        default="normalized", metadata=_doc("C1", "how lookup compares: case and whitespace folded, or to the letter")
    )
    add_status: Literal[201, 200] = field(default=201, metadata=_doc("C2", "status of a successful add"))
    decimals: Literal["number", "string"] = field(
        default="number", metadata=_doc("C3", "decimals and amounts on the wire when read")
    )
    option_write: Literal["any", "bare", "object"] = field(
        default="any", metadata=_doc("C4", 'accepted forms of an option or related record: all, bare ids, {"id"}/{"name"} only')
    )
    get_blanks: Literal["omit", "include"] = field(default="omit", metadata=_doc("C5", "blank fields of get, lookup and writes"))
    search_blanks: Literal["include", "omit"] = field(default="include", metadata=_doc("C5", "blank fields of search rows"))
    archive_race: Literal[409, 400] = field(
        default=409, metadata=_doc("C6", "status of a write to a record that is being archived")
    )
    enforce_unique_names: bool = field(default=False, metadata=_doc("C7", "a second record of the same name is refused"))
    get_relations: Literal["include", "omit"] = field(
        default="include", metadata=_doc("C8", "whether get and lookup carry relationship fields")
    )
    put: Literal["partial", "replace"] = field(
        default="partial", metadata=_doc("C9", "what PUT does to writable fields that it does not list: keeps or clears")
    )
    clause_form: Literal["any", "quoted", "bare"] = field(
        default="any",
        metadata=_doc("C10", 'accepted filter spellings: both, `fields` with "custom"::id, or `fields_v2` with custom::id'),
    )

    page_past_end: Literal["not_found", "empty"] = field(
        default="not_found", metadata=_doc("15.13", "answer to a page after the last one")
    )
    page_size_over: Literal["clamp", "reject"] = field(
        default="clamp", metadata=_doc("15.13", "answer to a page_size above the maximum")
    )
    max_page_size: int = field(default=1000, metadata=_doc("2.2", "largest page"))
    next_base: str = field(default="", metadata=_doc("2.2", "scheme and host of `next`; empty is the address asked"))
    default_order: Literal["created", "updated", "shuffled"] = field(
        default="created", metadata=_doc("15.5", "order of a search without `ordering`; shuffled moves rows between pages")
    )
    ordering: Literal["all", "names", "ignored"] = field(
        default="all", metadata=_doc("15.5", "columns that `ordering` obeys: every field, name and email only, none")
    )
    text_filters: Literal["insensitive", "sensitive"] = field(
        default="insensitive", metadata=_doc("15.8", "case in text filters")
    )
    noop_bumps_updated: bool = field(default=False, metadata=_doc("15.6", "a write that changes nothing moves `updated`"))
    mirror_bumps_updated: bool = field(
        default=True, metadata=_doc("15.6", "a relationship set from the other side moves `updated`")
    )
    unarchive_bumps_updated: bool = field(default=True, metadata=_doc("15.6", "restoring moves `updated`"))
    unarchive_values: Literal["fill_blank", "overwrite", "ignore"] = field(
        default="fill_blank", metadata=_doc("5.11", "what add and upsert do with their values when they restore a record")
    )
    upsert_injects: Literal["always", "create"] = field(
        default="always", metadata=_doc("5.10", "lookup_value is also written when upsert updates, or only when it creates")
    )
    archived_match: Literal["folded", "exact"] = field(
        default="folded", metadata=_doc("5.11", "how an identifier is compared with archived ones")
    )
    null_clears: bool = field(default=True, metadata=_doc("15.7", "null is accepted by fields that allow nulls"))
    blank_text: Literal["null", "empty"] = field(default="null", metadata=_doc("C5", "how a blank text reads where blanks show"))
    positional_errors: Literal["coded", "plain"] = field(
        default="coded", metadata=_doc("2.3", "entries of a positional envelope: message and code, or message alone")
    )
    field_refusal: Literal["403", "403_detail", "400"] = field(
        default="403", metadata=_doc("3.3", "a field that may not be written: 403 positional, 403 with detail, 400 positional")
    )
    contact_add_by_name: Literal["refused", "allowed"] = field(
        default="refused", metadata=_doc("5.4", "add of a contact with name-keyed entries: 403, or as by id")
    )
    contact_upsert_by_name: Literal["refused", "allowed"] = field(
        default="allowed", metadata=_doc("5.10", "upsert of a contact with name-keyed entries: 403, or as by id")
    )
    create_tags_on_write: bool = field(default=False, metadata=_doc("15.10", "an unknown tag name in a write creates the tag"))
    rating_read: Literal["integer", "string", "option"] = field(default="integer", metadata=_doc("15.9", "read shape of rating"))
    defaults_shown: bool = field(default=True, metadata=_doc("7", "whether field metadata says which fields are default ones"))
    timezone_read: Literal["option", "string"] = field(default="option", metadata=_doc("15.9", "read shape of timezone"))
    record_fields: Literal["mapping", "list"] = field(
        default="mapping", metadata=_doc("3.1", "`fields` of a record: keyed by field id, or an array")
    )
    summary_threshold: int = field(default=100, metadata=_doc("4", "values above which a multi-value field is summarised"))
    phone_numbers: Literal["possible", "valid"] = field(
        default="possible", metadata=_doc("4", "how strictly phone numbers are judged")
    )

    trim_text: bool = field(default=False, metadata=_doc("15.11", "text is stored without blanks at its ends"))
    lowercase_emails: bool = field(default=False, metadata=_doc("15.11", "email addresses are stored in lower case"))
    text_overflow: Literal["reject", "truncate"] = field(default="reject", metadata=_doc("4", "text above 255 characters"))
    decimal_excess: Literal["reject", "round"] = field(
        default="reject", metadata=_doc("4", "more decimal places than the field has")
    )

    bulk_delay: float = field(default=1.5, metadata=_doc("6", "seconds until a bulk call takes effect"))
    search_lag: float = field(default=0.0, metadata=_doc("11", "seconds until search shows a write"))
    search_lag_searches: int = field(default=0, metadata=_doc("11", "further searches until search shows a write"))
    team_visible: bool = field(default=True, metadata=_doc("8", "the user may see the whole team, not only themselves"))
    api_keys_allowed: bool = field(default=True, metadata=_doc("1", "the user may use API keys at all; otherwise 403"))

    rate: float = field(default=0.0, metadata=_doc("12", "requests a second; above it 429. 0 is no limit"))
    rate_burst: int = field(default=0, metadata=_doc("12", "requests that may come at once; 0 is one second's worth"))
    rate_retry_after: Literal["seconds", "date", "none"] = field(
        default="seconds", metadata=_doc("12", "form of Retry-After on a 429 of the rate limit")
    )

    def change(self, name: str, value: object) -> Switches:
        """These switches with one changed; text is converted. Raises `ValueError` naming the switch and what it may be."""
        hint = _hints().get(name)
        if hint is None:
            msg = f"there is no switch {name!r}; the switches are {', '.join(sorted(_hints()))}"
            raise ValueError(msg)
        changed: Any = {name: _convert(name, hint, value)}
        return replace(self, **changed)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Switches)


def _convert(name: str, hint: Any, value: object) -> object:
    if get_origin(hint) is Literal:
        for choice in get_args(hint):
            if value == choice or str(value) == str(choice):
                return choice
        msg = f"switch {name} is one of {', '.join(map(str, get_args(hint)))}, not {value!r}"
        raise ValueError(msg)
    if hint is bool:
        known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
        answer = known.get(str(value).lower())
        if answer is None:
            msg = f"switch {name} is true or false, not {value!r}"
            raise ValueError(msg)
        return answer
    if hint is str:
        return str(value)
    try:
        number = hint(str(value))
    except ValueError as error:
        msg = f"switch {name} is a number, not {value!r}"
        raise ValueError(msg) from error
    if not 0 <= number < float("inf"):
        msg = f"switch {name} is a number of at least 0, not {value!r}"
        raise ValueError(msg)
    return number


@dataclass(frozen=True, slots=True)
class SwitchHelp:
    """One switch as a person reads it: name, what it may be, its default, its source and its meaning."""

    name: str
    values: tuple[str, ...]
    default: str
    source: str
    meaning: str


def describe() -> list[SwitchHelp]:
    """All switches in the order of declaration, for `--help`, the page and the documentation."""
    hints = _hints()
    return [
        SwitchHelp(
            one.name,
            tuple(map(str, get_args(hints[one.name]))) if get_origin(hints[one.name]) is Literal else (hints[one.name].__name__,),
            str(one.default),
            str(one.metadata["source"]),
            str(one.metadata["meaning"]),
        )
        for one in fields(Switches)
    ]
