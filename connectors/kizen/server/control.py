"""
Remote control of a server process: `/_control/...`, only with `--control`, with the same three headers as the API.

    GET  /_control/switches                         every switch with its value and meaning
    POST /_control/switches      {"name": "value"}  set some
    POST /_control/faults        {"kind": "reset", "method": "POST", "path": "/add$", "committed": true}
    DELETE /_control/faults                         disarm all
    GET  /_control/requests?after=120               the request log
    GET  /_control/records/{object}?archived=true   records as a person sees them
    POST /_control/records/{object}  {values}       a person adds one; {"id"}
    PATCH /_control/record/{id}      {values}       a person edits one
    DELETE /_control/record/{id}                    a person archives one
    POST /_control/record/{id}/unarchive            a person restores one
    POST /_control/people        {"number": 10}     more generated contacts
"""

# ruff: noqa: ARG002 - handlers share one signature

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from starlette.routing import BaseRoute, Route

from connectors.kizen.server.errors import invalid_key
from connectors.kizen.server.faults import Fault
from connectors.kizen.server.http import Action, Api, Call, Endpoint, Reply
from connectors.kizen.server.switches import describe

if TYPE_CHECKING:
    from connectors.kizen.server.hands import Hands


class _Control:
    def __init__(self, hands: Hands) -> None:
        self.hands = hands

    def switches(self, api: Api, call: Call) -> Reply:
        if call.method == "POST":
            for name, value in call.json().items():
                self.hands.switch(name, value)
        current = self.hands.switches
        return Reply(200, [{**asdict(one), "value": getattr(current, one.name)} for one in describe()])

    def faults(self, api: Api, call: Call) -> Reply:
        if call.method == "DELETE":
            self.hands.calm()
            return Reply(204)
        return Reply(201, asdict(self.hands.fault(Fault.of(dict(call.json())))))

    def requests(self, api: Api, call: Call) -> Reply:
        after = call.query.get("after", "0")
        if not after.isdecimal():
            raise invalid_key("after", "invalid", "A number is required.")
        return Reply(200, [asdict(one) for one in self.hands.requests.select(after=int(after))])

    def records(self, api: Api, call: Call) -> Reply:
        name = call.params["object"]
        if call.method == "POST":
            return Reply(201, {"id": self.hands.add_record(name, call.json())})
        return Reply(200, self.hands.records(name, archived=call.flag("archived")))

    def record(self, api: Api, call: Call) -> Reply:
        record_id = call.params["record_id"]
        if call.method == "DELETE":
            self.hands.archive(record_id)
            return Reply(204)
        if call.method == "PATCH":
            self.hands.edit(record_id, call.json())
        return Reply(200, self.hands.record(record_id))

    def unarchive(self, api: Api, call: Call) -> Reply:
        self.hands.unarchive(call.params["record_id"])
        return Reply(204)

    def people(self, api: Api, call: Call) -> Reply:
        number = call.json().get("number", 1)
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= _MANY:
            raise invalid_key("number", "invalid", f"A number from 1 to {_MANY} is required.")
        self.hands.add_people(number)
        return Reply(204)


_MANY: Final = 1_000_000


def control_routes(api: Api, hands: Hands) -> list[BaseRoute]:
    """The routes of the control interface."""
    control = _Control(hands)
    table: Mapping[str, tuple[Any, tuple[str, ...]]] = {
        "/_control/switches": (control.switches, ("GET", "POST")),
        "/_control/faults": (control.faults, ("POST", "DELETE")),
        "/_control/requests": (control.requests, ("GET",)),
        "/_control/records/{object}": (control.records, ("GET", "POST")),
        "/_control/record/{record_id}": (control.record, ("GET", "PATCH", "DELETE")),
        "/_control/record/{record_id}/unarchive": (control.unarchive, ("POST",)),
        "/_control/people": (control.people, ("POST",)),
    }
    return [
        Route(path, Endpoint(api, {method: Action("control", _guarded(handler)) for method in methods}))
        for path, (handler, methods) in table.items()
    ]


def _guarded(handler: Any) -> Any:
    """What `Hands` complains about is the caller's mistake: 400 with its words."""

    def run(api: Api, call: Call) -> Reply:
        try:
            reply: Reply = handler(api, call)
        except ValueError as error:
            raise invalid_key("non_field_errors", "invalid", str(error)) from error
        return reply

    return run
