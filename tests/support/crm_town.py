"""A town whose left side is a Records server on this machine, over real HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from connectors.kizen.server import RecordsServer
from tests.support.town import FIELDS, Town
from tests.support.zygote import Zygote

CONTACTS: Final = "client_client"
NATIVE: Final = {"ref": "ref", "email": "email", "name": "first_name", "phone": "line", "note": "remark"}
MINUTES: Final = 200.0
DAY: Final = 86_400.0
CONFIG: Final = """
state = "state.db"
[systems.crm]
connector = "kizen"
url = "{url}"
api_key = "{key}"
business_id = "{business}"
user_id = "{user}"
[systems.office]
connector = "sql"
url = "sqlite:///office.db"
[pairs.people]
left = "crm.client_client"
right = "office.people"
match = "email"
deletes = "propagate"
[pairs.people.fields]
{fields}
[pairs.people.guards]
deletes = "100%"
updates = "100%"
creates = "100%"
"""


class CrmTown(Town):
    """
    Its clock is ahead of ours, further with every sync: a killed request may land for a minute, which nobody waits for here.

    An undisturbed sync comes a day later and reads everything; one that is to be killed comes after minutes.
    """

    later = 0.0

    def _build(self) -> None:
        self.server = RecordsServer(clock=self._now, page=False)
        self.server.start()
        for label in ("Ref", "Line", "Remark"):
            self.server.add_field(CONTACTS, label, "text")
        who = self.server.credentials
        fields = "\n".join(f'{name} = {{ left = "{native}", right = "{name}" }}' for name, native in NATIVE.items())
        config = CONFIG.format(url=self.server.url, key=who.api_key, business=who.business_id, user=who.user_id, fields=fields)
        (self.folder / "syncengine.toml").write_text(config)
        self._build_right()

    def close(self) -> None:
        self.server.stop()

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.later)

    def sync(self, zygote: Zygote, *, delay: float | None = None) -> dict[str, Any]:
        self.later += DAY if delay is None else MINUTES
        return zygote.command(self.folder, "sync", "--json", later=self.later, delay=delay)

    def sync_until(self, zygote: Zygote, point: int) -> dict[str, Any]:
        self.later += MINUTES
        return zygote.sync_until(self.folder, point, later=self.later)

    def left(self) -> list[dict[str, str]]:
        return [{name: one.get(NATIVE[name]) or "" for name in FIELDS} for one in self.server.records(CONTACTS)]

    def _id(self, ref: str) -> str:
        (found,) = [one["id"] for one in self.server.records(CONTACTS) if one.get("ref") == ref]
        return str(found)

    def add(self, side: str, person: dict[str, str]) -> None:
        if side == "left":
            self.server.add_record(CONTACTS, {NATIVE[name]: value for name, value in person.items()})
        else:
            super().add(side, person)

    def edit(self, side: str, ref: str, **changes: str) -> None:
        if side == "left":
            self.server.edit(self._id(ref), {NATIVE[name]: value for name, value in changes.items()})
        else:
            super().edit(side, ref, **changes)

    def remove(self, side: str, ref: str) -> None:
        if side == "left":
            self.server.archive(self._id(ref))
        else:
            super().remove(side, ref)
