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
from connectors.kizen.server.http import Credentials
from connectors.kizen.server.switches import describe
from syncengine.connector import Context
from syncengine.testing.conformance import ConnectorConformance, Waiver, World

SECRET = "a-shared-secret-of-some-length"
KEY = "an-api-key-of-some-length"
WHO = Credentials(api_key=KEY, business_id="5b5a3c1e-7d1f-4f0e-9a55-3f1d0c7a0001", user_id="5b5a3c1e-7d1f-4f0e-9a55-3f1d0c7a0002")

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


THIRD_WAY: dict[str, object] = {
    "lookup_mode": "exact",
    "option_write": "object",
    "get_relations": "omit",
    "put": "replace",
    "clause_form": "quoted",
    "default_order": "shuffled",
    "ordering": "names",
    "page_size_over": "reject",
    "archived_match": "exact",
    "upsert_injects": "create",
    "unarchive_values": "overwrite",
    "unarchive_bumps_updated": False,
    "mirror_bumps_updated": False,
    "contact_upsert_by_name": "refused",
    "create_tags_on_write": True,
    "rating_read": "string",
    "defaults_shown": False,
    "phone_numbers": "valid",
    "field_refusal": "400",
    "text_overflow": "truncate",
    "decimal_excess": "round",
    "lowercase_emails": True,
}
FOURTH_WAY: dict[str, object] = {"unarchive_values": "ignore", "default_order": "updated", "search_blanks": "omit"}
NOT_TRIED: dict[str, str] = {
    "api_keys_allowed": "without it every call is refused; the far side switches it for the test of refused credentials",
    "trim_text": "what a text comes back as is the platform's business then: tests/e2e/test_records_echo.py",
    "team_visible": "nobody else can be given as an owner then: tests/connectors/kizen/test_kizen_writing.py",
    "rate_retry_after": "speaks only with a rate limit: tests/e2e/test_records_limits.py",
}


class Open:
    """A gate that lets everything through: bulk calls, whose results somebody has to wait for, are made only where there is one."""

    def before(self) -> None: ...

    def after(self, status: int | None, retry_after: float | None) -> None: ...

    def pause(self, seconds: float) -> None: ...


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
        switches = {"bulk_delay": 0, **self.switches}
        with RecordsServer(data=DOCUMENT, switches=switches, credentials=WHO, page=False) as server:
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
            kizen = Kizen(options, Context(system="crm", base=None))
            kizen.gate = Open()
            return kizen

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
    secrets=(KEY, SECRET),
    most_records=12,
)
CONTACTS = World(
    resource="client_client",
    seed_fields={"email": "ada@example.com", "first_name": "Ada", "birthday": None},
    editable="first_name",
    samples={"email": [], "timezone": ["Europe/Berlin"], "tags": [], "titles": []},
    rejected={"mobile_phone": "no number"},
    secrets=(KEY, SECRET),
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


class TestThingsAThirdWay(PlatformConformance):
    world = THINGS
    switches = THIRD_WAY
    waivers = (
        *WAIVERS,
        Waiver("test_the_forecast_of_calls_comes_true", reason="where the server keeps no order, a page costs two calls"),
    )


class TestThingsAFourthWay(PlatformConformance):
    world = THINGS
    switches = FOURTH_WAY
    waivers = (
        *WAIVERS,
        Waiver(
            "test_the_forecast_of_calls_comes_true", reason="where rows leave blanks out, a listing costs a look at the metadata"
        ),
    )


class TestContactsTheOtherWay(PlatformConformance):
    world = CONTACTS
    switches = OTHER_WAY
    waivers = (
        *WAIVERS,
        Waiver("test_the_forecast_of_calls_comes_true", reason="where the server keeps no order, a page costs two calls"),
    )


class TestContactsAThirdWay(PlatformConformance):
    world = CONTACTS
    switches = THIRD_WAY
    waivers = (
        *WAIVERS,
        Waiver("test_the_forecast_of_calls_comes_true", reason="where the server keeps no order, a page costs two calls"),
    )


class TestContacts(PlatformConformance):
    world = CONTACTS
    waivers = WAIVERS


def test_every_switch_is_tried_in_every_position():
    """What the platform's sources disagree on, or leave open, does not decide whether the connector keeps the contract."""
    for switch in describe():
        positions = set(switch.values) if len(switch.values) > 1 else {"True", "False"} if switch.values == ("bool",) else set()
        tried = {switch.default, *(str(way[switch.name]) for way in (OTHER_WAY, THIRD_WAY, FOURTH_WAY) if switch.name in way)}
        assert positions <= tried or switch.name in NOT_TRIED, f"{switch.name}: {sorted(positions - tried)} is never tried"
