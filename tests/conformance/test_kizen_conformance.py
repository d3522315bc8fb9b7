"""The connector to the Records API keeps the contract, however the local server answers what its sources disagree on."""

from __future__ import annotations

import itertools
import json
from typing import Any, ClassVar

import pytest

from connectors.kizen.connector import Kizen
from connectors.kizen.hints import HEADER
from connectors.kizen.options import KizenOptions
from connectors.kizen.server import RecordsServer
from syncengine.connector import Context
from syncengine.testing.conformance import ConnectorConformance, Waiver, World

SECRET = "a-shared-secret-of-some-length"
KEY = "an-api-key-of-some-length"

DOCUMENT: dict[str, Any] = {
    "team": [{"email": "ann@example.com"}, {"email": "bob@example.com"}],
    "objects": [
        {
            "object_name": "Things",
            "entity_name": "Thing",
            "name": "things",
            "fields": [
                {"display_name": "Story", "field_type": "longtext"},
                {"display_name": "Code", "field_type": "text"},
                {"display_name": "Phone", "field_type": "phonenumber"},
                {"display_name": "Whole", "field_type": "integer"},
                {"display_name": "Ratio", "field_type": "decimal", "settings": {"decimal_places": 4}},
                {"display_name": "Price", "field_type": "money"},
                {"display_name": "Day", "field_type": "date"},
                {"display_name": "Moment", "field_type": "datetime"},
                {"display_name": "Ticked", "field_type": "checkbox"},
                {"display_name": "Colour", "field_type": "dropdown", "options": ["Red", "Blue"]},
                {"display_name": "Sure", "field_type": "yesnomaybe"},
                {"display_name": "Labels", "field_type": "dynamictags", "options": ["a", "b", "kit a", "kit b", "kit c"]},
                {"display_name": "Parts", "field_type": "checkboxes", "options": ["Top", "Side"]},
                {"display_name": "Stars", "field_type": "rating"},
                {"display_name": "Maker", "field_type": "relationship", "relation": {"to": "companies_company"}},
            ],
        }
    ],
}

OTHER_WAY: dict[str, object] = {
    "lookup_mode": "exact",
    "add_status": 200,
    "decimals": "string",
    "option_write": "bare",
    "get_blanks": "include",
    "search_blanks": "omit",
    "archive_race": 400,
    "enforce_unique_names": True,
    "clause_form": "bare",
    "page_past_end": "empty",
    "ordering": "ignored",
    "text_filters": "sensitive",
    "noop_bumps_updated": True,
    "blank_text": "empty",
    "null_clears": False,
    "positional_errors": "plain",
    "field_refusal": "403_detail",
    "contact_add_by_name": "allowed",
    "rating_read": "option",
    "timezone_read": "string",
    "record_fields": "list",
}


class PlatformFarSide:
    """The platform as a person in its interface, or trouble on the way, gets at it."""

    def __init__(self, server: RecordsServer, resource: str) -> None:
        self._server = server
        self._resource = resource

    def insert(self, fields: dict[str, Any]) -> str:
        return self._server.add_record(self._resource, fields)

    def edit(self, id: str, fields: dict[str, Any]) -> None:
        self._server.edit(id, fields)

    def remove(self, id: str) -> None:
        self._server.archive(id)

    def conceal(self, id: str) -> None:
        self._server.fault("error", path=f"/{id}$", status=403, times=None)

    def fail_page(self, number: int) -> None:
        self._server.fault("error", path="/search$", skip=number)

    def fail_write(self) -> None:
        for method in ("POST", "PATCH", "DELETE"):
            self._server.fault("throttle", method=method, path="(add|upsert|[0-9a-f]{12})$")

    def lose_answer(self) -> None:
        self._server.fault("reset", path="/(add|upsert)$", committed=True)

    def refuse_credentials(self) -> None:
        self._server.switch("api_keys_allowed", False)

    def calls(self) -> int:
        return self._server.requests.total

    def deliver(self, hint: Any) -> tuple[dict[str, str], bytes]:
        body = {"object": hint.resource, "record_id": hint.id, "event": hint.event}
        return {HEADER: SECRET}, json.dumps(body).encode()


class PlatformConformance(ConnectorConformance):
    """The kit on a local server of its own for each test."""

    switches: ClassVar[dict[str, object]] = {}

    @pytest.fixture
    def server(self):
        with RecordsServer(data=DOCUMENT, switches=self.switches, page=False) as server:
            for field, tag in itertools.product(("titles", "tags"), ("a", "b", "kit a", "kit b", "kit c")):
                server.add_option("client_client", field, tag)
            yield server

    @pytest.fixture
    def reopen(self, server):
        def connect() -> Kizen:
            credentials = server.credentials
            options = KizenOptions.model_validate(
                {
                    "url": server.url,
                    "api_key": credentials.api_key,
                    "business_id": credentials.business_id,
                    "user_id": credentials.user_id,
                    "page_size": 5,
                    "webhook_secret": SECRET,
                    "on_archived": "unarchive",
                }
            )
            return Kizen(options, Context(system="crm", base=None))

        return connect

    @pytest.fixture
    def connector(self, reopen):
        connector = reopen()
        yield connector
        connector.close()

    @pytest.fixture
    def far_side(self, server):
        return PlatformFarSide(server, self.world.resource)


THINGS = World(
    resource="things",
    seed_fields={"name": lambda number: f"Kit {number}", "code": "c", "whole": 36, "story": "once"},
    editable="code",
    samples={
        "name": [],
        "owner": ["ann@example.com"],
        "labels": [["a", "b"], ["b"], []],
        "stars": [1, 5],
    },
    rejected={"whole": "no number"},
    most_records=12,
)
CONTACTS = World(
    resource="client_client",
    seed_fields={"email": "ada@example.com", "first_name": "Ada", "birthday": None},
    editable="first_name",
    samples={"email": [], "timezone": ["Europe/Berlin"], "tags": [], "titles": []},
    rejected={"mobile_phone": "no number"},
    most_records=12,
)


WAIVERS = (
    Waiver("test_hostile_text[nul]", reason="the platform refuses text with a NUL"),
    Waiver("test_hints_are_verified", reason="the platform signs nothing: a secret in a header proves the sender, not the body"),
    Waiver(
        "test_the_source_keeps_off_clock_sleep_print_and_chance",
        reason="the local server, which the option `embedded` starts, lives in the connector's folder, and servers have clocks",
    ),
)


class TestThings(PlatformConformance):
    world = THINGS
    waivers = WAIVERS


class TestThingsTheOtherWay(PlatformConformance):
    world = THINGS
    switches = OTHER_WAY
    waivers = (
        *WAIVERS,
        Waiver("test_the_forecast_of_calls_comes_true", reason="where the server keeps no order, a page costs two calls"),
    )


class TestContacts(PlatformConformance):
    world = CONTACTS
    waivers = WAIVERS
