"""
Cassettes of the Records API: what is played, how it is scrubbed, and how it is recorded anew.

    python -m tests.connectors.kizen.tapes        records every tape from a local server

A tape holds no credential: the three headers are taken out before anything is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import vcr

from connectors.kizen.connector import Kizen
from connectors.kizen.options import KizenOptions
from connectors.kizen.server import RecordsServer
from syncengine.connector import Archive, Context, Create, Failed, Restore, Update, Written

FOLDER: Final = Path(__file__).parent / "cassettes"
ADDRESS: Final = "http://127.0.0.1:8070/api"
CONTACTS: Final = "client_client"
_KEPT: Final = frozenset({"content-type", "date", "retry-after", "x-request-id"})

DOCUMENT: Final[Mapping[str, Any]] = {
    "records": {
        "companies_company": [{"name": "Acme"}],
        CONTACTS: [
            {"email": "ada@example.com", "first_name": "Ada", "tags": ["VIP"], "company_primary": "Acme"},
            {"email": "bo@example.com", "birthday": "1990-01-02"},
            {"email": "cy@example.com"},
        ],
    }
}
FIELDS: Final = ("email", "first_name", "tags", "birthday", "company_primary")


def reading(kizen: Kizen) -> object:
    """Who we are, a listing of two pages, what changed since, one record by id and one by email."""
    account = kizen.check()
    pages = list(kizen.read(CONTACTS, fields=FIELDS))
    changed = list(kizen.read(CONTACTS, fields=FIELDS, cursor=pages[-1].cursor))
    (found,) = kizen.find(CONTACTS, "email", ["ada@example.com"], fields=FIELDS)
    (same,) = kizen.get(CONTACTS, [found.id], fields=FIELDS)
    assert same == found
    return (
        account.label,
        [page.complete for page in pages],
        sorted(str(row[0]) for page in pages for row in page.rows),
        len({id_ for page in changed for id_ in page.ids}),
        {name: value for name, value in found.fields.items() if name != "company_primary"},
    )


def writing(kizen: Kizen) -> object:
    """A life: made, refused as a twin, changed, refused as wrong, archived, restored."""
    [made] = kizen.write(CONTACTS, [Create(key="1", fields={"email": "di@example.com", "birthday": date(2000, 2, 29)})])
    assert isinstance(made, Written)
    said: list[object] = [made.record]
    for change in (
        Create(key="2", fields={"email": "di@example.com"}),
        Update(key="3", id=made.id, fields={"first_name": "Di", "birthday": None}),
        Update(key="4", id=made.id, fields={"mobile_phone": "no number"}),
        Archive(key="5", id=made.id),
        Archive(key="6", id=made.id),
        Restore(key="7", id=made.id),
    ):
        [outcome] = kizen.write(CONTACTS, [change])
        said.append(type(outcome.error).__name__ if isinstance(outcome, Failed) else outcome.record)
    return said


class Open:
    """A gate for a server whose bulk calls take effect at once."""

    def before(self) -> None: ...

    def after(self, status: int | None, retry_after: float | None) -> None: ...

    def pause(self, seconds: float) -> None: ...


def together(kizen: Kizen) -> object:
    """Eight of one kind: made, changed in one call, archived in one call."""
    kizen.gate = Open()
    made = [
        outcome
        for number in range(8)
        for outcome in kizen.write(CONTACTS, [Create(key=str(number), fields={"email": f"p{number}@example.com"})])
    ]
    ids = [outcome.id for outcome in made if isinstance(outcome, Written)]
    said: list[object] = [len(ids)]
    for changes in (
        [Update(key=id_, id=id_, fields={"last_name": "Same"}) for id_ in ids],
        [Archive(key=id_, id=id_) for id_ in ids],
    ):
        (call,) = kizen.combine(CONTACTS, changes)
        said.append({type(outcome).__name__ for outcome in kizen.write(CONTACTS, call)})
    return said


EXPECTED: Final[Mapping[Callable[[Kizen], object], object]] = {
    reading: (
        "Kizen business Local business",
        [False, True],
        ["ada@example.com", "bo@example.com", "cy@example.com"],
        3,
        {"email": "ada@example.com", "first_name": "Ada", "tags": ["VIP"], "birthday": None},
    ),
    writing: [
        {"email": "di@example.com", "birthday": date(2000, 2, 29)},
        "AlreadyExists",
        {"first_name": "Di", "birthday": None},
        "Rejected",
        None,
        "NotFound",
        None,
    ],
    together: [8, {"Written"}, {"Written"}],
}


def recorder(mode: str) -> vcr.VCR:
    """Matches a request by what it asks for, and writes nothing that could be a secret."""
    return vcr.VCR(
        record_mode=mode,
        cassette_library_dir=str(FOLDER),
        match_on=["method", "path", "query", "raw_body"],
        before_record_request=_scrubbed_request,
        before_record_response=_scrubbed_response,
    )


def connect(address: str = ADDRESS, headers: Mapping[str, str] | None = None) -> Kizen:
    """A connector whose transport vcrpy knows."""
    given = headers or {"X-API-KEY": "replayed", "X-BUSINESS-ID": "replayed", "X-USER-ID": "replayed"}
    options = KizenOptions.model_validate(
        {
            "url": address,
            "api_key": given["X-API-KEY"],
            "business_id": given["X-BUSINESS-ID"],
            "user_id": given["X-USER-ID"],
            "page_size": 2,
        }
    )
    return Kizen(options, Context(system="crm", base=FOLDER), transport=httpx.HTTPTransport())


def _scrubbed_request(request: Any) -> Any:
    request.headers = {}
    request.uri = httpx.URL(request.uri).copy_with(host="127.0.0.1", port=8070).__str__()
    return request


def _scrubbed_response(response: Any) -> Any:
    response["headers"] = {name: values for name, values in response["headers"].items() if name.lower() in _KEPT}
    return response


def _frozen() -> datetime:
    return datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def main() -> None:
    """Record every tape anew."""
    for scene in EXPECTED:
        tape = FOLDER / f"{scene.__name__}.yaml"
        tape.unlink(missing_ok=True)
        with (
            RecordsServer(data=DOCUMENT, clock=_frozen, switches={"bulk_delay": 0}, page=False) as server,
            recorder("once").use_cassette(tape.name),
            closing(connect(server.url, server.credentials.headers)) as kizen,
        ):
            scene(kizen)


if __name__ == "__main__":
    main()
