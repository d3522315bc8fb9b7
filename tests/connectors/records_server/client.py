"""The API as a test calls it, a clock that only moves when told, and the filter clauses of section 5.3."""

from __future__ import annotations

import datetime as dt
import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx

from connectors.kizen.server import RecordsServer

# Reading the certificates of the world costs twenty times what a test does; everything here is plain HTTP.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONTACTS = "client_client"
COMPANIES = "companies_company"


@dataclass
class Clock:
    """A clock that moves when told."""

    now: dt.datetime = dt.datetime(2026, 3, 2, 15, 0, tzinfo=dt.UTC)

    def __call__(self) -> dt.datetime:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += dt.timedelta(seconds=seconds)


@dataclass
class Sleeper:
    """Remembers how long it was asked to sleep, and moves the clock instead."""

    clock: Clock
    slept: list[float] = field(default_factory=list)

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)


class Client:
    """The API as a test calls it: paths below /api, JSON in, responses out."""

    def __init__(self, server: RecordsServer, http: httpx.Client) -> None:
        self.server, self.http = server, http

    def get(self, path: str, **query: Any) -> httpx.Response:
        return self.http.get(path, params=query)

    def post(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.post(path, json={} if body is None else body, params=query)

    def patch(self, path: str, body: Any = None, **query: Any) -> httpx.Response:
        return self.http.patch(path, json={} if body is None else body, params=query)

    def fields(self, object: str) -> dict[str, dict[str, Any]]:
        """Field metadata by api_name."""
        return {one["name"]: one for one in self.get(f"/custom-objects/{object}/fields").json()}

    def entries(self, object: str, values: dict[str, Any]) -> list[dict[str, Any]]:
        """`fields` keyed by field id."""
        return [{"id": self.server.field(object, name).id, "value": value} for name, value in values.items()]

    def add(self, object: str, values: dict[str, Any], **more: Any) -> httpx.Response:
        return self.post(f"/records/{object}/add", {"fields": self.entries(object, values), **more})

    def new(self, object: str, **values: Any) -> str:
        """Add a record that must succeed; its id."""
        response = self.add(object, values)
        assert response.status_code == 201, response.text
        return str(response.json()["id"])

    def write(self, object: str, record_id: str, **values: Any) -> httpx.Response:
        return self.patch(f"/records/{object}/{record_id}", {"fields": self.entries(object, values)})

    def read(self, object: str, record_id: str, **query: Any) -> dict[str, Any]:
        """The fields of a record by api_name: value, or the whole entry where it is a summary."""
        response = self.get(f"/records/{object}/{record_id}", **query)
        assert response.status_code == 200, response.text
        return named(response.json())

    def search(self, object: str, body: dict[str, Any] | None = None, **query: Any) -> list[dict[str, Any]]:
        response = self.post(f"/records/{object}/search", body, **query)
        assert response.status_code == 200, response.text
        return [{"id": row["id"], **named(row)} for row in response.json()["results"]]

    def names(self, object: str, body: dict[str, Any] | None = None, **query: Any) -> list[str]:
        """The identifiers that a search finds, in its order."""
        return [row["email" if object == CONTACTS else "name"] for row in self.search(object, body, **query)]


def named(record: dict[str, Any]) -> dict[str, Any]:
    """The fields of a record on the wire by api_name."""
    return {one["name"]: one.get("value", one.get("value_summary")) for one in record["fields"].values()}


def clause(field: str, condition: str, value: Any) -> dict[str, Any]:
    """A query of one filter on a default field."""
    part = {"type": "fields", "subtype": "non_custom", "field": field, "condition": condition, "value": value}
    return {"query": [{"and": True, "filters": [part]}]}


def custom(field_id: str, condition: str, value: Any) -> dict[str, Any]:
    """A query of one filter on a custom field."""
    name = f'"custom"::{field_id}'
    part = {"type": "fields_v2", "subtype": "custom", "field": name, "condition": condition, "value": value}
    return {"query": [{"and": True, "filters": [part]}]}
