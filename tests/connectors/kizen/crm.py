"""A server and the connector to it, with the few words that the tests use."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from connectors.kizen.connector import Kizen
from connectors.kizen.options import KizenOptions
from connectors.kizen.server import RecordsServer, Request
from syncengine.connector import (
    Archive,
    Change,
    Context,
    Create,
    Failed,
    Native,
    Outcome,
    Page,
    Record,
    Restore,
    Update,
    Written,
)
from syncengine.errors import ConnectorError

CONTACTS: Final = "client_client"
COMPANIES: Final = "companies_company"
THINGS: Final = "things"
DEALS: Final = "deals"

DOCUMENT: Final[Mapping[str, Any]] = {
    "team": [
        {"email": "ann@example.com", "first_name": "Ann", "last_name": "Lee"},
        {"email": "bob@example.com", "first_name": "Bob", "last_name": "Ray"},
    ],
    "objects": [
        {
            "object_name": "Things",
            "entity_name": "Thing",
            "name": THINGS,
            "fields": [
                {"display_name": "Line", "field_type": "text"},
                {"display_name": "Story", "field_type": "longtext"},
                {"display_name": "Mail", "field_type": "email"},
                {"display_name": "Phone", "field_type": "phonenumber"},
                {"display_name": "Whole", "field_type": "integer"},
                {"display_name": "Ratio", "field_type": "decimal", "settings": {"decimal_places": 4}},
                {"display_name": "Price", "field_type": "money"},
                {"display_name": "Day", "field_type": "date"},
                {"display_name": "Moment", "field_type": "datetime"},
                {"display_name": "Ticked", "field_type": "checkbox"},
                {"display_name": "Colour", "field_type": "dropdown", "options": ["Red", {"name": "Blue", "code": "b"}]},
                {"display_name": "Size", "field_type": "radio", "options": ["S", "M"]},
                {"display_name": "Phase", "field_type": "status", "options": ["Open", "Done"]},
                {"display_name": "Sure", "field_type": "yesnomaybe"},
                {"display_name": "Parts", "field_type": "checkboxes", "options": ["Top", "Side", "Bottom"]},
                {"display_name": "Labels", "field_type": "dynamictags", "options": ["New", "Old", "VIP"]},
                {"display_name": "Stars", "field_type": "rating"},
                {"display_name": "Keeper", "field_type": "team_selector"},
                {"display_name": "Zone", "field_type": "timezone"},
                {"display_name": "Papers", "field_type": "files"},
                {"display_name": "Secret Note", "name": "secret_note", "field_type": "text", "hidden": True},
                {
                    "display_name": "Maker",
                    "field_type": "relationship",
                    "relation": {"to": COMPANIES, "type": "primary", "related_name": "Things Made"},
                },
                {
                    "display_name": "People",
                    "field_type": "relationship",
                    "relation": {"to": CONTACTS, "type": "additional", "related_name": "Things Used"},
                },
            ],
        },
        {
            "object_name": "Deals",
            "entity_name": "Deal",
            "name": DEALS,
            "object_type": "pipeline",
            "stages": [{"name": "New"}, {"name": "Won", "status": "won"}, {"name": "Lost", "status": "lost"}],
            "fields": [],
        },
    ],
}


class Crm:
    """`options` are the connector's, on top of the address and the credentials of the server."""

    def __init__(self, server: RecordsServer, options: Mapping[str, Any]) -> None:
        self.server = server
        self.kizen = self.connect(**options)

    def connect(self, **options: Any) -> Kizen:
        """One more connector; whoever asks for it closes it."""
        credentials = self.server.credentials
        given = {
            "url": self.server.url,
            "api_key": credentials.api_key,
            "business_id": credentials.business_id,
            "user_id": credentials.user_id,
        }
        return Kizen(KizenOptions.model_validate({**given, **options}), Context(system="crm", base=Path()))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kizen.close()

    # Reading

    def pages(self, resource: str, *fields: str, cursor: str | None = None) -> list[Page]:
        return list(self.kizen.read(resource, fields=fields, cursor=cursor))

    def rows(self, resource: str, *fields: str, cursor: str | None = None) -> dict[str, dict[str, Native]]:
        found: dict[str, dict[str, Native]] = {}
        for page in self.pages(resource, *fields, cursor=cursor):
            found |= {record.id: dict(record.fields) for record in page.records()}
        return found

    def get(self, resource: str, id: str, *fields: str) -> Any:
        return self.kizen.get(resource, [id], fields=fields)[0]

    def find(self, resource: str, field: str, *values: Native) -> Sequence[Record]:
        return self.kizen.find(resource, field, values, fields=[field])

    # Writing

    def outcome(self, resource: str, change: Change) -> Outcome:
        (outcome,) = self.kizen.write(resource, [change])
        assert outcome.key == change.key
        return outcome

    def written(self, resource: str, change: Change) -> Written:
        outcome = self.outcome(resource, change)
        assert isinstance(outcome, Written), outcome
        return outcome

    def error(self, resource: str, change: Change) -> ConnectorError:
        outcome = self.outcome(resource, change)
        assert isinstance(outcome, Failed), outcome
        return outcome.error

    # Counting, at the far side

    def calls(self, after: int = 0) -> list[Request]:
        # The server notes a request after it has answered it.
        log, give_up = self.server.requests, time.monotonic() + 5
        while len(log) < log.total and time.monotonic() < give_up:
            time.sleep(0.0005)
        return self.server.requests.select(after=after)

    def actions(self, after: int = 0) -> list[str]:
        return [request.action for request in self.calls(after)]

    @property
    def mark(self) -> int:
        """The number of the last request so far."""
        return self.server.requests.total


def create(key: str = "k", *, upsert_on: str | None = None, **fields: Native) -> Create:
    return Create(key=key, fields=fields, upsert_on=upsert_on)


def update(id: str, **fields: Native) -> Update:
    return Update(key="k", id=id, fields=fields)


def archive(id: str) -> Archive:
    return Archive(key="k", id=id)


def restore(id: str) -> Restore:
    return Restore(key="k", id=id)
