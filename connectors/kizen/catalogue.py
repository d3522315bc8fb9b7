"""
What there is, found out when it is asked for: objects, their fields, tags and the team.

Listing names costs one call. Describing an object costs one more; a pipeline two where its metadata does not say that the stage
is a default field, because then only the kind of the object tells it from a field that is merely called stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.kizen.api import RecordsApi
from connectors.kizen.metadata import FieldInfo, ObjectInfo, Option, fields_from, is_record_id, options_from, resource_of
from syncengine.connector import Resource
from syncengine.errors import AuthError, NotFound, ProtocolError, ResourceError


class Catalogue(Mapping[str, Resource]):
    """Resources by api_name or UUID: lazy, cached; a vanished one raises KeyError, as the contract has it."""

    def __init__(self, api: RecordsApi, *, max_concurrency: int, page_size: int) -> None:
        self._api = api
        self._max_concurrency = max_concurrency
        self._page_size = page_size
        self._listed: dict[str, Mapping[str, Any]] | None = None
        self._infos: dict[str, ObjectInfo] = {}
        self._resources: dict[str, Resource] = {}
        self._read_before: set[str] = set()
        self._looked_again: set[str] = set()
        self._uuids: dict[str, str | None] = {}

    def __getitem__(self, name: str) -> Resource:
        if name not in self._resources:
            self._describe(name)
        return self._resources[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names())

    def __len__(self) -> int:
        return len(self._names())

    def info(self, name: str) -> ObjectInfo:
        """What is known of an object. Raises ResourceError where it is gone."""
        try:
            return self._infos.get(name) or self._describe(name)
        except KeyError:
            raise ResourceError(
                f"there is no object {name!r}, or this user may not see it; its api_name is in its settings"
            ) from None

    def info_for_read(self, name: str) -> ObjectInfo:
        """
        What is known of an object at the start of a listing.

        The first listing goes by the description that the run was planned with; each later one describes anew, so that a
        field that vanished meanwhile is seen as vanished and not as cleared.
        """
        if name in self._read_before:
            self._infos.pop(name, None)
            self._looked_again.discard(name)
        self._read_before.add(name)
        return self.info(name)

    def info_again(self, name: str) -> ObjectInfo:
        """What is known after one more look, for a field or an option that we do not know; one look between two listings."""
        if name not in self._looked_again:
            self._looked_again.add(name)
            self._infos.pop(name, None)
        return self.info(name)

    def described_now(self, name: str) -> ObjectInfo:
        """What is there this very moment."""
        self._infos.pop(name, None)
        return self.info(name)

    def known(self, name: str) -> ObjectInfo | None:
        """What is known of an object without a call."""
        return self._infos.get(name)

    def uuid(self, info: ObjectInfo) -> str | None:
        """The UUID of any object, contacts included; None where the platform does not tell it."""
        if info.path not in self._uuids:
            try:
                found = info.id or str(self._item(info.path).get("id") or "")
            except (NotFound, AuthError, ProtocolError):
                found = ""
            self._uuids[info.path] = found if is_record_id(found) else None
        return self._uuids[info.path]

    def object_id(self, info: ObjectInfo) -> str | None:
        """The UUID of an object; None for contacts, whose endpoints do without."""
        if info.is_contacts:
            return None
        return info.id or str(self._item(info.path)["id"])

    def _names(self) -> Mapping[str, Mapping[str, Any]]:
        if self._listed is None:
            self._listed = {str(item["name"]): item for item in self._api.objects() if item.get("name")}
        return self._listed

    def _item(self, path: str) -> Mapping[str, Any]:
        known = None if self._listed is None else self._listed.get(path)
        return self._api.object(path) if known is None else known

    def _describe(self, name: str) -> ObjectInfo:
        reply = self._api.fields(name)
        if reply.status == 404 and isinstance(reply.refusal(), Mapping):
            self._resources.pop(name, None)
            raise KeyError(name)
        if reply.status == 404:
            raise ProtocolError(f"{reply.place} answered with an error page; check the url of the system")
        items = reply.json()
        if not isinstance(items, list) or not all(
            isinstance(item, Mapping) and item.get("name") and item.get("id") for item in items
        ):
            raise reply.nonsense("its body is no list of fields")
        stage = next((item for item in items if item["name"] == "stage" and item.get("is_default", True)), None)
        object_id, stages = self._pipeline(name, stage) if stage is not None else (None, None)
        fields = fields_from(items, is_pipeline=stages is not None, stages=stages or ())
        info = ObjectInfo(path=name, fields=fields, id=object_id)
        self._infos[name] = info
        self._resources[name] = resource_of(info, max_concurrency=self._max_concurrency, page_size=self._page_size)
        return info

    def _pipeline(self, name: str, stage: Mapping[str, Any]) -> tuple[str | None, tuple[Option, ...] | None]:
        if stage.get("is_default") is True and stage.get("options"):
            return None, options_from(stage["options"])  # only pipelines have a stage by default
        try:
            item = self._item(name)
        except NotFound:
            return None, None
        object_id = str(item["id"])
        if item.get("object_type") != "pipeline":
            return object_id, None
        return object_id, options_from(stage.get("options") or self._api.stages(object_id))


class People:
    """The ids behind the names that metadata does not hold, remembered for the life of the connection."""

    def __init__(self, api: RecordsApi, catalogue: Catalogue, info: ObjectInfo, known: dict[tuple[str, str], str]) -> None:
        self._api = api
        self._catalogue = catalogue
        self._info = info
        self._known = known

    def member(self, email: str) -> str | None:
        """The id of an active team member."""
        wanted = ("", email.casefold())
        if wanted not in self._known:
            for item in self._api.members(email):
                if item.get("email") and item.get("id"):
                    self._known["", str(item["email"]).casefold()] = str(item["id"])
        return self._known.get(wanted)

    def tag(self, field: FieldInfo, name: str) -> str | None:
        """The id of a tag: of this very spelling if there is one, else without regard to case."""
        if (field.id, "") not in self._known:
            # All of them at once: a first sync asks for most, and one page holds a thousand.
            self._remember(field, None)
            self._known[field.id, ""] = ""
        if self._tag(field, name) is None:
            self._remember(field, name)
        return self._tag(field, name)

    def _tag(self, field: FieldInfo, name: str) -> str | None:
        return self._known.get((field.id, name)) or self._known.get((f"{field.id}~", name.casefold()))

    def _remember(self, field: FieldInfo, search: str | None) -> None:
        for item in self._api.tags(self._catalogue.object_id(self._info), field.id, search):
            if item.get("name") and item.get("id"):
                self._known[field.id, str(item["name"])] = str(item["id"])
                self._known.setdefault((f"{field.id}~", str(item["name"]).casefold()), str(item["id"]))
