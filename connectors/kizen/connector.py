"""
The connector to the Records API: the contract, put together from the parts beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

import httpx
from pydantic import SecretStr

from connectors.kizen import finding, hints
from connectors.kizen.api import RecordsApi
from connectors.kizen.bulk import Bulk
from connectors.kizen.catalogue import Catalogue
from connectors.kizen.embedded import PEOPLE, Embedded
from connectors.kizen.listing import Cursor, Listing
from connectors.kizen.options import KizenOptions
from connectors.kizen.writing import Writer
from syncengine.connector import Account, Answer, Change, Context, Failed, Hint, Native, Outcome, Page, Plugin, Record, Resource
from syncengine.errors import AuthError, ConnectorError, NotFound, OutcomeUnknown, ProtocolError, RecordError, TransientError
from syncengine.http import Gate, HttpClient, Limits, PlainHttp


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an open connection works with."""

    api: RecordsApi
    catalogue: Catalogue
    writer: Writer
    bulk: Bulk


class Kizen:
    """One connection with one set of credentials; opened by the first call. `transport` is for tests and recorders."""

    def __init__(self, options: KizenOptions, context: Context, *, transport: httpx.BaseTransport | None = None) -> None:
        self._options = options
        self._context = context
        self._transport = transport
        self._embedded: Embedded | None = None
        self._http: HttpClient | None = None
        self._parts: _Parts | None = None
        self._gate: Gate | None = None
        self._business = options.business_id or ""

    @property
    def limits(self) -> Limits:
        """What the config permits."""
        options = self._options
        return Limits(
            requests_per_second=options.requests_per_second,
            max_calls=options.max_calls,
            max_concurrency=options.max_concurrency,
        )

    @property
    def gate(self) -> Gate | None:
        """Who decides when a request may go; set by the pacing wrapper, asked before every single one."""
        return self._gate

    @gate.setter
    def gate(self, gate: Gate | None) -> None:
        self._gate = gate
        if self._http is not None:
            self._http.gate = gate

    @property
    def deadline(self) -> float:
        """A write looks before it acts and may look again after: as long as that takes at the longest, in seconds."""
        return max(60.0, 3 * self._options.timeout)

    @property
    def place(self) -> str:
        """The id of the account: the business, which every call names; the platform lets no key of another one in."""
        if self._options.embedded_state is not None:
            self._open()
        return self._business.lower()

    def check(self) -> Account:
        """Prove that the key is let in. The account is the business: another one on a known state is another place."""
        api = self._open().api
        api.access()
        try:
            business = api.bootstrap().get("business")
        except (NotFound, AuthError, ProtocolError):
            business = None
        name = business.get("name") if isinstance(business, Mapping) else None
        place = self.place
        return Account(id=place, label=f"Kizen business {name or place}" if self._embedded is None else "embedded records server")

    def resources(self) -> Mapping[str, Resource]:
        """Every object and the contacts, by api_name; a UUID is understood too."""
        return self._open().catalogue

    def read(self, resource: str, *, fields: Sequence[str], cursor: str | None = None) -> Iterator[Page]:
        """List the live records, or what changed since the cursor."""
        api, catalogue = self._open().api, self._open().catalogue
        info = catalogue.info_for_read(resource)
        overlap = timedelta(seconds=self._options.overlap)
        listing = Listing(
            api,
            info,
            fields,
            page_size=self._options.page_size,
            overlap=overlap,
            again=partial(catalogue.described_now, resource),
        )
        return listing.everything() if cursor is None else listing.changes(Cursor.parse(cursor, info))

    def get(self, resource: str, ids: Sequence[str], *, fields: Sequence[str]) -> Sequence[Answer]:
        """One call per id, and one to see whether a field of which no record says anything is blank or not there any more."""
        api, catalogue = self._open().api, self._open().catalogue
        again = partial(catalogue.described_now, resource)
        return finding.get(api, catalogue.info(resource), ids, fields, again=again)

    def find(self, resource: str, field: str, values: Sequence[Native], *, fields: Sequence[str]) -> Sequence[Record]:
        """By search, twenty values a call; names and emails that it does not find are looked up, a call each."""
        api, catalogue = self._open().api, self._open().catalogue
        info, again = catalogue.info(resource), partial(catalogue.described_now, resource)
        return finding.find(api, info, field, values, fields, page_size=self._options.page_size, again=again)

    def combine(self, resource: str, changes: Sequence[Change]) -> Sequence[Sequence[Change]]:
        """Archives together, and updates that set one and the same value of one field, where somebody can wait for the result."""
        if self._gate is None:
            return [[change] for change in changes]
        return self._open().bulk.combine(resource, changes)

    def write(self, resource: str, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply the changes in one call where they are alike, else one by one."""
        parts = self._open()
        if self._gate is not None and len(changes) > 1:
            made = parts.bulk.write(resource, changes, self._gate.pause)
            if made is not None:
                return made
        outcomes: list[Outcome] = []
        for change in changes:
            try:
                outcomes.append(parts.writer.apply(resource, change))
            except (RecordError, OutcomeUnknown) as error:
                outcomes.append(Failed(key=change.key, error=error))
            except ConnectorError as error:
                if not outcomes:
                    raise
                # What stops a whole side is no word on one change: that one, and those behind it, were not sent.
                kept = error if isinstance(error, TransientError) else TransientError(str(error))
                outcomes += [Failed(key=each.key, error=kept) for each in changes[len(outcomes) :]]
                break
        return outcomes

    def hints(self, headers: Mapping[str, str], body: bytes) -> Sequence[Hint]:
        """Verify a delivery of a workflow, and tell which record to look at."""
        return hints.hints(self._options.webhook_secret, headers, body)

    def close(self) -> None:
        """Close the connections, and stop the embedded server if there is one."""
        if self._http is not None:
            self._http.close()
        if self._embedded is not None:
            self._embedded.close()
        self._http = self._embedded = self._parts = None

    def _open(self) -> _Parts:
        if self._parts is None:
            self._http = self._client()
            self._http.gate = self._gate
            api = RecordsApi(self._http)
            catalogue = Catalogue(api, max_concurrency=self._options.max_concurrency, page_size=self._options.page_size)
            writer = Writer(api, catalogue, self._options.on_archived)
            self._parts = _Parts(api=api, catalogue=catalogue, writer=writer, bulk=Bulk(api, catalogue, writer))
        return self._parts

    def _client(self) -> HttpClient:
        options = self._options
        url, headers = options.url, self._headers()
        if options.embedded_state is not None:
            people = (0 if options.data else PEOPLE) if options.people is None else options.people
            self._embedded = Embedded(self._context.base, state=options.embedded_state, data=options.data or "", people=people)
            url, headers = self._embedded.url, self._embedded.headers
            self._business = self._embedded.business_id
        return HttpClient(
            url,
            headers=headers,
            deadline=options.timeout,
            connections=options.max_concurrency,
            plain_http=PlainHttp.ANYWHERE if options.plain_http else PlainHttp.LOOPBACK,
            transport=self._transport,
        )

    def _headers(self) -> Mapping[str, str | SecretStr]:
        options = self._options
        return {
            "X-API-KEY": options.api_key or "",
            "X-BUSINESS-ID": options.business_id or "",
            "X-USER-ID": options.user_id or "",
        }


def connect(options: KizenOptions, context: Context) -> Kizen:
    """Open the connector; the network is not touched before the first call."""
    return Kizen(options, context)


plugin = Plugin(
    title="Records API (Kizen)",
    options=KizenOptions,
    connect=connect,
    guarantee=(
        "No duplicates: contacts by the platform's unique email, other objects by a look-up right before an upsert by name. "
        "Lost updates: the platform has no preconditions, so an edit made there between our read by id and our write of the "
        "same field is overwritten; the window is the time of one request for a single change, and of the requests of a group of "
        "at most eight times max_concurrency records for many, two seconds longer where they share a bulk call."
    ),
)
