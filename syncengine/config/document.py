"""
The shape of a config file, and its JSON Schema.

Shorthands are spelled out before validation, so each thing has one shape here. Nothing is required by pydantic: what
is missing is reported by `config.build`, so that one missing key does not hide the other mistakes.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator

from syncengine.config.model import Address
from syncengine.config.scalars import (
    TypeWord,
    checked,
    parse_address,
    parse_duration,
    parse_end,
    parse_format,
    parse_network,
    parse_region,
    parse_schedule,
    parse_share,
    parse_type,
    parse_zone,
    wrong,
)
from syncengine.connector import FieldType
from syncengine.core.model import Deletes, Direction, End, Keyless, Policy, Test


class Table(BaseModel):
    """A TOML table that takes the keys it names and no other."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def _needs(*keys: str) -> ConfigDict:
    return ConfigDict(json_schema_extra={"required": [*keys]})


def _both_sides(value: object) -> object:
    return value if isinstance(value, dict) else {"left": value, "right": value}


def _decimal_sign(value: object) -> object:
    if value not in (".", ","):
        raise wrong("{value} is not a decimal sign", 'write "," or "."')
    return value


def _expand_field(value: object) -> object:
    if isinstance(value, str):
        return {"left": value, "right": value}
    if not isinstance(value, dict):
        raise wrong(
            "{value} does not map a field",
            'write the name both sides use, or { left = "...", right = "..." }',
        )
    return value


def _expand_limit(value: object) -> object:
    if isinstance(value, dict):
        return value
    return {"share": parse_share(value)}


def _expand_match(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _plain(value: object) -> object:
    if isinstance(value, dict | list):
        raise wrong("{value} stands where one value belongs", "write one text, number, date, true or false")
    return value


def _secret(value: object) -> object:
    """Long enough that nobody guesses it; what is wrong with one is told without it."""
    if not isinstance(value, str) or len(value) < SHORTEST_SECRET:
        raise wrong(f"a secret is a text of at least {SHORTEST_SECRET} characters", "make one with: openssl rand -base64 24")
    return value


def _expand_secrets(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _share(value: object) -> object:
    """A share that the shorthand parsed already stays as it is."""
    return value if isinstance(value, float) else parse_share(value)


SHORTEST_SECRET = 24

Text = Annotated[str, Field(min_length=1)]
Percent = Annotated[str, Field(pattern=r"^\s*\d{1,3}(\.\d{1,6})?\s*%\s*$", examples=["5%"])]
Region = Annotated[str, Field(pattern="^[A-Z]{2}$")]
Scaled = Annotated[str, Field(pattern=r"^(decimal|money)\(\d{1,2}\)$", examples=["decimal(2)"])]

Scalar = Annotated[object, PlainValidator(_plain, json_schema_input_type=str | int | float | bool)]
Zone = Annotated[str, PlainValidator(checked(parse_zone), json_schema_input_type=str)]
Country = Annotated[str, PlainValidator(checked(parse_region), json_schema_input_type=Region)]
Duration = Annotated[float, PlainValidator(parse_duration, json_schema_input_type=float | str)]
DecimalSign = Annotated[str, PlainValidator(_decimal_sign, json_schema_input_type=Literal[".", ","])]
Format = Annotated[str, PlainValidator(parse_format, json_schema_input_type=str)]
Type = Annotated[TypeWord, PlainValidator(parse_type, json_schema_input_type=FieldType | Scaled)]
Place = Annotated[End, PlainValidator(parse_end, json_schema_input_type=str)]
Share = Annotated[float, PlainValidator(_share, json_schema_input_type=Percent)]
ScheduleText = Annotated[str, PlainValidator(checked(parse_schedule), json_schema_input_type=str)]
Listen = Annotated[Address, PlainValidator(parse_address, json_schema_input_type=str)]
Network = Annotated[str, PlainValidator(parse_network, json_schema_input_type=str)]
HostName = Annotated[str, Field(pattern="^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$", examples=["sync.example.com"])]
HeaderName = Annotated[str, Field(pattern="^[A-Za-z0-9-]{1,64}$")]
Secret = Annotated[str, PlainValidator(_secret, json_schema_input_type=Annotated[str, Field(min_length=SHORTEST_SECRET)])]
Secrets = Annotated[list[Secret], BeforeValidator(_expand_secrets, json_schema_input_type=Secret | list[Secret])]
MatchKey = Annotated[list[Text], BeforeValidator(_expand_match, json_schema_input_type=str | list[str])]
WhichWay = Annotated[Direction, Field(strict=False)]
Settled = Annotated[Policy, Field(strict=False)]


class Zones(Table):
    left: Zone | None = None
    right: Zone | None = None


class DecimalSigns(Table):
    left: DecimalSign | None = None
    right: DecimalSign | None = None


class Formats(Table):
    left: Format | None = None
    right: Format | None = None


BothZones = Annotated[Zones, BeforeValidator(_both_sides, json_schema_input_type=str | Zones)]
BothSigns = Annotated[DecimalSigns, BeforeValidator(_both_sides, json_schema_input_type=str | DecimalSigns)]
BothFormats = Annotated[Formats, BeforeValidator(_both_sides, json_schema_input_type=str | Formats)]


def _key(about: str, *, name: str | None = None) -> Any:
    """An optional key, with what the JSON Schema says about it, and its name in the file where Python has taken that."""
    return Field(default=None, description=about, alias=name)


class FieldTable(Table):
    """One field that both sides have; with neither `left` nor `right` both call it by the shared name."""

    left: Text | None = _key("What the left side calls the field.")
    right: Text | None = _key("What the right side calls the field.")
    as_: Type | None = _key("What the field holds; left out, the type of the typed side.", name="as")
    direction: WhichWay | None = _key("Which way this field travels; default: as the pair.")
    conflicts: Settled | None = _key("What settles a conflict in this field; default: as the pair.")
    references: Text | None = _key("The pair whose links translate the ids in this field.")
    format: BothFormats | None = _key(
        'How values are written: a date as "%d.%m.%Y", a number as "1.234,56", yes and no as "ja/nein", the separator of a list, '
        'the region of phone numbers as "DE"; or { left = ..., right = ... }.'
    )
    decimal: BothSigns | None = _key('The decimal sign of numbers that are text: "," or ".", or { left = ..., right = ... }.')
    timezone: BothZones | None = _key('The zone of times without an offset, such as "Europe/Berlin".')
    values: dict[str, str] | None = _key("Left values and the right values they stand for.")
    constant: Scalar | None = _key("A value that the one named side is given on create.")
    was: Text | None = _key("The name this field had before it was renamed.")


class ConditionTable(Table):
    """A condition on a field, or `any` of several."""

    field: Text | None = _key("What the system of this side calls the field.")
    is_: Scalar | None = _key("The value it must have.", name="is")
    is_not: Scalar | None = None
    one_of: Annotated[list[Scalar], Field(min_length=1)] | None = None
    none_of: Annotated[list[Scalar], Field(min_length=1)] | None = None
    above: Scalar | None = None
    below: Scalar | None = None
    contains: Scalar | None = None
    blank: bool | None = None
    any: Annotated[list[ConditionTable], Field(min_length=1)] | None = _key("At least one of these holds.")

    def tests(self) -> dict[Test, object]:
        """The tests that the condition names."""
        names = {test: "is_" if test is Test.IS else test.value for test in Test}
        return {test: getattr(self, name) for test, name in names.items() if name in self.model_fields_set}


class FilterTable(Table):
    """The conditions of each side; all must hold."""

    left: list[ConditionTable] = []
    right: list[ConditionTable] = []


class LimitTable(Table):
    """A guard trips above `share` *and* above `number`."""

    share: Share | None = None
    number: Annotated[int, Field(ge=0)] | None = None


Limit = Annotated[LimitTable, BeforeValidator(_expand_limit, json_schema_input_type=Percent | LimitTable)]


class GuardsTable(Table):
    """How much a run may change before it needs an approval."""

    deletes: Limit = Field(default=LimitTable(), description='Counted over 24 hours; default "5%" and 10.')
    updates: Limit = Field(default=LimitTable(), description='Default "50%" and 100.')
    creates: Limit = Field(default=LimitTable(), description='Counted once links exist; default "50%" and 100.')


FieldOrName = Annotated[FieldTable, BeforeValidator(_expand_field, json_schema_input_type=str | FieldTable)]


class PairTable(Table):
    """Two resources kept the same."""

    model_config = _needs("left", "right", "match", "fields")

    left: Place | None = _key('"system.resource", such as "crm.contacts".')
    right: Place | None = _key('"system.resource", such as "office.people".')
    match: MatchKey | None = _key("The field or fields by which the same thing is recognised on both sides.")
    fields: dict[str, FieldOrName] | None = _key("The mapped fields by their shared names.")
    direction: WhichWay = Field(default=Direction.BOTH, description="Which way values travel.")
    conflicts: Settled = Field(default=Policy.ASK, description="What settles a conflict.")
    deletes: Annotated[Deletes, Field(strict=False)] = Field(
        default=Deletes.ASK, description="What the deletion of a record does to its partner."
    )
    keyless: Annotated[Keyless, Field(strict=False)] = Field(
        default=Keyless.SKIP, description="What happens to a record without a match key that has no partner."
    )
    filter: FilterTable = Field(default=FilterTable(), description="Which records take part; leaving it never deletes.")
    guards: GuardsTable = GuardsTable()
    tolerance: Duration = Field(default=2.0, description='How far the clocks of both sides may differ, for "newer".')
    schedule: ScheduleText | None = _key('When the daemon runs it: "every 5 minutes", "at start" or a cron line.')
    full_sweep: Duration = Field(default=86400.0, description="How often everything is read although changes are reported.")
    was: Text | None = _key("The name this pair had before it was renamed.")


class LimitsTable(Table):
    """What a system may be asked for."""

    max_concurrency: Annotated[int, Field(ge=1, le=64)] | None = _key("Calls at once.")
    requests_per_second: Annotated[float, Field(gt=0, strict=False, allow_inf_nan=False)] | None = _key("Calls a second.")
    max_calls: Annotated[int, Field(ge=1)] | None = _key("Calls in one run.")


class SystemTable(BaseModel):
    """One system; further keys are the options of its connector."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True) | _needs("connector")

    connector: Text | None = _key("The kind of system; see: syncengine connectors list.")
    read_only: bool = Field(default=False, description="Never write to this system.")
    timezone: Zone | None = _key('The zone of its times without an offset, such as "Europe/Berlin".')
    limits: LimitsTable = LimitsTable()


class AlertsTable(Table):
    """Where the daemon sends word of trouble."""

    url: Text | None = _key("The webhook that is called; left out, alerts only show on the page and in the log.")
    secret: Secret | None = _key("What its deliveries are signed with (Standard Webhooks).")
    stale_after: Duration = Field(default=86_400.0, description="How old the last good run of a pair may be.")


class HookTable(Table):
    """How webhooks of one system are verified where its connector has no way of its own."""

    model_config = _needs("secret")

    secret: Secrets | None = _key("The shared secret, or several while it is being changed; Standard Webhooks or a bearer token.")


class DaemonTable(Table):
    """Settings of syncengine daemon."""

    listen: Listen | None = _key('HOST:PORT; default "127.0.0.1:8080".')
    web: bool = Field(default=True, description="Whether to listen at all: pages, webhooks, metrics.")
    parallel: Annotated[int, Field(ge=1, le=32)] = Field(default=2, description="Pairs that run at once.")
    jitter: Duration = Field(default=10.0, description="Up to how much later than scheduled a pair starts, always the same.")
    timezone: Zone | None = _key("The zone of cron lines that name none; default: that of the machine.")
    token: Secret | None = _key("What people and programs show to be let in; needed beyond this machine.")
    proxy_user_header: HeaderName | None = _key("The header in which a reverse proxy names the user it let in.")
    trusted_proxies: list[Network] = Field(default=[], description="Addresses of reverse proxies whose headers count.")
    hosts: list[HostName] = Field(default=[], description="Names under which browsers may reach the pages, besides addresses.")
    stop_within: Duration = Field(default=30.0, description="How long a stop may take.")
    keep: Duration = Field(default=7_776_000.0, description='How long journal, attic and runs are kept; default "90 days".')
    alerts: AlertsTable = AlertsTable()
    hooks: dict[str, HookTable] = Field(default={}, description="Signed webhooks by system.")


class DocumentTable(Table):
    """A syncengine config."""

    model_config = ConfigDict(title="syncengine config") | _needs("systems", "pairs")

    state: Text | None = _key("The state file; default: the name of the config with .db.")
    region: Country | None = _key('The country of phone numbers without a country code, such as "US".')
    systems: dict[str, SystemTable] | None = _key("The systems by name.")
    pairs: dict[str, PairTable] | None = _key("The pairs by name.")
    daemon: DaemonTable = DaemonTable()


RESERVED = frozenset(SystemTable.model_fields)
"""The keys of a system's table that are not options of its connector."""
