"""
Events that are sent to us, as a system: what a web form or a payment service posts to the daemon becomes records.

    [systems.signup]
    connector = "events"
    key = "email"                         # the field, or fields, that tell whose event it is; the id of the record
    secret = "${SIGNUP_SECRET}"           # or public = true, where anybody may send
    proof = "bearer"                      # default; "header:X-Secret", or "standard-webhooks" for signed deliveries
    event_id = "header:Idempotency-Key"   # or where it stands in the body: "id"; default: "webhook-id" where signed

    [systems.signup.fields]
    email = { type = "email", from = "contact.address" }    # `from`: where it stands in the body, if not under its name
    name = { type = "text", required = true }
    age = "integer"

    [pairs.signup]
    left = "signup.events"
    direction = "left_to_right"

The queue lives in the state: `POST /ingest/signup` answers when the event is stored. A record is what the events of one key add
up to, under that key, normalised like a match key, as its id: so two events for one address are one record, the second changes
what it names, and the engine links and merges it like any other record. With the id of the event instead, the second event
would be a second record for the same address, which matching refuses to choose from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Self
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator, model_validator

from syncengine import connector
from syncengine.connector import (
    Account,
    Answer,
    Capabilities,
    Choice,
    Context,
    FieldType,
    Page,
    Plugin,
    Record,
    Resource,
    Tombstone,
)
from syncengine.errors import CursorExpired, ResourceError
from syncengine.http.signatures import signing_key
from syncengine.store.events import EventRecord, Events

PAGE: Final = 1000
LARGEST_BODY: Final = 2**20

_PROOF: Final = re.compile(r"bearer|standard-webhooks|header:[A-Za-z0-9-]{1,64}")
_SHORTEST_SECRET: Final = 16


def _expand(value: object) -> object:
    return {"type": value} if isinstance(value, str | FieldType) else value


class EventField(BaseModel):
    """What one field of the events holds, and where it stands in them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: FieldType = Field(default=FieldType.TEXT, description="What the field holds.")
    from_: str | None = Field(
        default=None, alias="from", min_length=1, description='Where it stands in the body, such as "data.object.email".'
    )
    required: bool = Field(default=False, description="Whether an event without it is refused.")
    choices: tuple[str, ...] = Field(default=(), description="The values that are taken, where only some are.")
    max_length: int | None = Field(default=None, ge=1, description="The longest text that is taken, in characters.")

    @field_validator("type")
    @classmethod
    def _plain(cls, value: FieldType) -> FieldType:
        if value is FieldType.REFERENCE:
            raise ValueError('events hold no references: write "text", and let the pair say what it refers to')
        return value


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Key = Annotated[tuple[str, ...], BeforeValidator(_listed, json_schema_input_type=str | list[str])]


class EventsOptions(BaseModel):
    """The table `[systems.NAME]` of a system that is sent events; see the module."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    resource: str = Field(default="events", pattern=r"^\w[\w-]{0,63}$", description="The name of the resource.")
    key: Key = Field(min_length=1, description="The field, or fields, that tell which record an event is about.")
    fields: Mapping[str, Annotated[EventField, BeforeValidator(_expand, json_schema_input_type=str | EventField)]] = Field(
        description="The fields of the events, each with its type."
    )
    event_id: str | None = Field(
        default=None, min_length=1, description='Where the id of an event is: "header:NAME", or a place in the body.'
    )
    proof: str = Field(
        default="bearer",
        description='How a sender proves itself: "bearer" (Authorization), "header:NAME", or "standard-webhooks" (signed).',
    )
    secret: SecretStr | None = Field(default=None, description="The secret that the sender knows too.")
    old_secret: SecretStr | None = Field(default=None, description="A secret that is still taken while it is being replaced.")
    public: bool = Field(default=False, description="Whether anybody who reaches the daemon may send events, without a secret.")
    max_bytes: int = Field(default=65_536, ge=1, le=LARGEST_BODY, description="The largest body that is taken.")
    max_per_minute: int = Field(default=600, ge=1, le=1_000_000, description="How many events a minute are taken.")
    timezone: str | None = Field(default=None, description="The zone of times without an offset.")

    @field_validator("secret", "old_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value().strip()
        if len(text) < _SHORTEST_SECRET:
            raise ValueError(f"has less than {_SHORTEST_SECRET} characters: make one with `openssl rand -base64 32`")
        return SecretStr(text)

    @field_validator("proof")
    @classmethod
    def _known_proof(cls, value: str) -> str:
        if not _PROOF.fullmatch(value):
            raise ValueError('write "bearer", "header:NAME" or "standard-webhooks"')
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str | None) -> str | None:
        try:
            return value if value is None else ZoneInfo(value).key
        except (KeyError, ValueError):
            raise ValueError('is no time zone: write one such as "Europe/Berlin"') from None

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        for name in self.key:
            if name not in self.fields:
                raise ValueError(f"key names {name!r}, which is not among the fields: add it there")
            if self.fields[name].type in (FieldType.SET, FieldType.LIST, FieldType.JSON):
                raise ValueError(f"key names {name!r}, a {self.fields[name].type.value}: a key is a single value")
        if self.secret is None and not self.public:
            raise ValueError(
                'there is no secret: add secret = "${...}", or public = true where anybody who reaches it may send events'
            )
        if self.secret is not None and self.public:
            raise ValueError("public is true and there is a secret: keep one of them")
        if self.signed:
            for name in ("secret", "old_secret"):
                given: SecretStr | None = getattr(self, name)
                try:
                    signing_key(given.get_secret_value() if given is not None else "whsec_" + 32 * "A")
                except ValueError as error:
                    raise ValueError(
                        f"{name} {error}: signed deliveries need `whsec_` and the base64 of 24 bytes or more"
                    ) from None
        return self

    @property
    def signed(self) -> bool:
        """Whether deliveries are signed after Standard Webhooks."""
        return self.proof == "standard-webhooks"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The secrets that are taken."""
        return tuple(each.get_secret_value() for each in (self.secret, self.old_secret) if each is not None)

    @property
    def zone(self) -> ZoneInfo | None:
        return ZoneInfo(self.timezone) if self.timezone is not None else None


class EventsConnector:
    """`Source` and `Getter` over what the events of a system add up to; nothing is ever written or deleted in it."""

    def __init__(self, options: EventsOptions, system: str, state: Path | None) -> None:
        self._options = options
        self._system = system
        self._state = state
        self._open: Events | None = None
        self.place = f"events:{system}"

    def check(self) -> Account:
        """The queue can be read; it has no place but the state, so it is the same one wherever that is moved."""
        self._events.newest(self._system)
        count = len(self._options.fields)
        return Account(id=self.place, label=f"the events sent to /ingest/{self._system} ({count} fields)")

    def resources(self) -> Mapping[str, Resource]:
        """The one resource."""
        return MappingProxyType({self._options.resource: self._resource()})

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        """The records in the order of their latest change: one that changes meanwhile comes once more, at the end."""
        self._prove(resource)
        after = self._resumed(cursor)
        while True:
            found = self._events.page(self._system, after=after, limit=PAGE)
            after = found[-1].n if found else after
            is_last = len(found) < PAGE
            yield Page.of(
                [_record(each, fields) for each in found],
                fields=fields,
                cursor=str(after),
                complete=is_last and cursor is None,
            )
            if is_last:
                return

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        """The records of these keys as they are now."""
        self._prove(resource)
        found = self._events.records(self._system, ids)
        return [_record(found[id_], fields) if id_ in found else Tombstone(id=id_) for id_ in ids]

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def _events(self) -> Events:
        if self._open is None:
            if self._state is None:
                raise ResourceError(f"{self._system}: events live in the state, and there is none; name one with `state =`")
            self._open = Events.reader(self._state)
        return self._open

    def _prove(self, resource: str) -> None:
        if resource != self._options.resource:
            raise ResourceError(f"{self._system} has no resource of this name; it has {self._options.resource}")

    def _resumed(self, cursor: str | None) -> int:
        if cursor is None:
            return 0
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) < 19) or int(cursor) > self._events.newest(self._system):
            raise CursorExpired(f"{self._system}: this cursor is of another queue; read it from the beginning")
        return int(cursor)

    def _resource(self) -> Resource:
        options = self._options
        return Resource(
            name=options.resource,
            fields={
                name: connector.Field(
                    name=name,
                    type=field.type,
                    read_only=True,
                    unique=options.key == (name,),
                    max_length=field.max_length,
                    choices=tuple(Choice(value=value) for value in field.choices),
                )
                for name, field in options.fields.items()
            },
            capabilities=Capabilities(incremental=True, late_arrival=0.0, page_size=PAGE),
            label=f"events sent to /ingest/{self._system}",
        )


def _record(found: EventRecord, fields: Sequence[str]) -> Record:
    wanted = {name: found.fields[name] for name in fields if name in found.fields}
    return Record(id=found.id, fields=wanted, version=str(found.n))


def connect(options: EventsOptions, context: Context) -> EventsConnector:
    """Open the connector; the state is not touched yet."""
    return EventsConnector(options, context.system, context.state)


plugin = Plugin(
    title="Events sent to the daemon",
    options=EventsOptions,
    connect=connect,
    guarantee=(
        "An event is stored durably before its sender is answered, and taken once by its id. It is only ever read: nothing is"
        " written back to who sent it."
    ),
)
