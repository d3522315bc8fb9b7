"""
Capability cards: what a resource can and cannot do, found out by trying in a sandbox; no pytest in here.

    card = capability_card(connector, world_for(connector.resources()["people"]))
    json.dumps(card.as_dict())

Records are made, changed and removed: the resource must be one that nobody minds. What was made is deleted or archived again
where the connector can.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from typing import Any

from syncengine.connector import (
    ABSENT,
    Archive,
    Capabilities,
    Delete,
    Failed,
    Field,
    FieldType,
    Native,
    Outcome,
    Record,
    Resource,
    Restore,
    Tombstone,
    Update,
    Written,
)
from syncengine.errors import ConnectorError, RecordError
from syncengine.testing.conformance.bench import Bench, records_of
from syncengine.testing.conformance.values import HOSTILE_TEXT, samples_of
from syncengine.testing.conformance.world import World


class Verdict(Enum):
    """What a probe found."""

    CAN = "can"
    CANNOT = "cannot"
    UNCLEAR = "unclear"
    """The probe itself did not get through; `detail` says on what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    One thing that was tried.

    `declared` is what `Capabilities` says of it, None where it says nothing. `detail` is for people and holds no value of
    anybody's record.
    """

    subject: str
    verdict: Verdict
    declared: bool | None = None
    detail: str = ""

    @property
    def surprising(self) -> bool:
        """Whether the resource does otherwise than it declares."""
        return (
            self.declared is not None and self.verdict is not Verdict.UNCLEAR and self.declared != (self.verdict is Verdict.CAN)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CapabilityCard:
    """Everything found out about one resource, and what it declares."""

    account: str
    resource: str
    declared: Capabilities
    findings: tuple[Finding, ...]

    def __getitem__(self, subject: str) -> Finding:
        """The finding on a subject; KeyError where nothing was tried."""
        for finding in self.findings:
            if finding.subject == subject:
                return finding
        raise KeyError(subject)

    def as_dict(self) -> dict[str, Any]:
        """The card in values that JSON has."""
        return {
            "account": self.account,
            "resource": self.resource,
            "declared": asdict(self.declared),
            "findings": [
                {
                    "subject": each.subject,
                    "verdict": each.verdict.value,
                    "declared": each.declared,
                    "surprising": each.surprising,
                    "detail": each.detail,
                }
                for each in self.findings
            ],
        }


def world_for(resource: Resource, *, namespace: str = "") -> World:
    """
    A world to try a resource in, made of its description alone: values for what is required or unique, and one text field.

    ValueError where no text field can be edited, or a required field's values are anybody's guess (a reference).
    """
    texts = [
        name
        for name, field in resource.fields.items()
        if field.type in {FieldType.TEXT, None}
        and not (field.unique or field.read_only or field.unusable or field.choices or field.many or name in resource.id_fields)
    ]
    # A required text is what people know the record by, and systems dislike a second one of it even where none is `unique`.
    texts.sort(key=lambda name: resource.fields[name].required)
    if not texts:
        raise ValueError(f"{resource.name} has no text field that can be edited freely; give a World")
    seed: dict[str, Any] = {}
    for name, field in resource.fields.items():
        if field.read_only or field.unusable or not (field.required or field.unique or name in resource.id_fields):
            continue
        seed[name] = _seed(resource, field, namespace)
    return World(
        resource=resource.name, seed_fields={**seed, texts[0]: "kit"}, editable=texts[0], namespace=namespace, shared=True
    )


def _seed(resource: Resource, field: Field, namespace: str) -> Any:
    samples = samples_of(field)
    if not samples:
        raise ValueError(f"{resource.name}: no values are known for the required field {field.name!r}; give a World")
    named = field.type in {FieldType.TEXT, None} and not field.choices
    if not (field.unique or named or field.name in resource.id_fields):
        return samples[0]
    if field.type is FieldType.INTEGER:
        return lambda number: 900_000_000 + number
    if field.type is FieldType.EMAIL:
        return lambda number: f"kit{namespace}{number}@example.com"
    return lambda number: f"kit{namespace}{number}"


def capability_card(connector: Any, world: World) -> CapabilityCard:
    """
    Try everything on a sandbox resource and say what was found.

    A probe that fails is a finding, not an error; only a system that cannot be reached, or lets nobody in, raises.
    """
    account = connector.check()
    bench = Bench(connector, replace(world, shared=True), test="card")
    findings: list[Finding] = []
    for probes in (_reading, _creating, _updating, _guarding, _values, _looking, _following, _removing, _tidying):
        findings += _tried(bench, probes)
    return CapabilityCard(account=account.id, resource=world.resource, declared=bench.can, findings=tuple(findings))


Probe = Callable[[Bench], Iterator[Finding]]

_DECLARABLE = frozenset(each.name for each in fields(Capabilities))


def _tried(bench: Bench, probes: Probe) -> list[Finding]:
    """The findings of a group; trouble ends the group with a finding that says where."""
    found: list[Finding] = []
    try:
        found.extend(probes(bench))
    except (ConnectorError, AssertionError) as error:
        where = probes.__name__.removeprefix("_")
        found.append(Finding(subject=where, verdict=Verdict.UNCLEAR, detail=f"stopped by {type(error).__name__}"))
    return found


def _found(bench: Bench, subject: str, can: bool, detail: str = "") -> Finding:
    declared = bool(getattr(bench.can, subject)) if subject in _DECLARABLE else None
    return Finding(subject=subject, verdict=Verdict.CAN if can else Verdict.CANNOT, declared=declared, detail=detail)


def _reading(bench: Bench) -> Iterator[Finding]:
    if not bench.has("read"):
        yield _found(bench, "read", can=False)
        return
    pages = bench.pages()
    records = records_of(pages)
    yield _found(bench, "read", can=True, detail=f"{len(records)} records in {len(pages)} pages")
    yield _found(bench, "complete listings", can=bool(pages) and pages[-1].complete)
    yield _found(bench, "incremental", can=bool(pages) and pages[-1].cursor is not None)
    if records:
        yield _found(bench, "versions", can=all(record.version is not None for record in records.values()))
        yield _found(bench, "modified_at", can=all(record.modified_at is not None for record in records.values()))


def _creating(bench: Bench) -> Iterator[Finding]:
    if not bench.has("write"):
        yield _found(bench, "creates", can=False, detail="there is no `write`")
        return
    change = bench.creation()
    first = bench.send_one(change)
    yield _found(bench, "creates", can=isinstance(first, Written), detail=_why_not(first))
    if not isinstance(first, Written):
        return
    yield _found(bench, "returns_record", can=first.record is not None)
    again = bench.send_one(change)
    yield _found(bench, "idempotent_creates", can=isinstance(again, Written) and again.id == first.id, detail=_why_not(again))
    proposed = bench.proposal()
    chosen = bench.create(id=proposed)
    yield _found(bench, "chooses_ids", can=isinstance(chosen, Written) and chosen.id == proposed, detail=_why_not(chosen))
    for name in bench.unique_fields:
        values = bench.values()
        bench.send_one(bench.creation(values))
        twin = bench.create(bench.values(**{name: values[name]}))
        yield _found(bench, f"refuses a second {name}", can=isinstance(twin, Failed), detail=_why_not(twin))


def _updating(bench: Bench) -> Iterator[Finding]:
    if not bench.has("creates") or not (bench.has("get") or bench.has("read")):
        return
    name = bench.world.editable
    id = bench.make_one()
    before = bench.there(id)
    outcome = bench.send_one(Update(key=bench.key(), id=id, fields={name: "kit edited"}))
    yield _found(bench, "updates", can=isinstance(outcome, Written), detail=_why_not(outcome))
    if not isinstance(outcome, Written):
        return
    after = bench.there(id)
    kept = [other for other in bench.other_fields if bench.alike(other, before.fields.get(other), after.fields.get(other))]
    yield _found(bench, "partial_updates", can=len(kept) == len(bench.other_fields))
    if before.version is not None:
        bench.send_one(bench.update_of(id, {name: "kit edited"}))
        still = bench.there(id).version == after.version
        yield _found(bench, "versions stay where nothing changes", can=still)


def _guarding(bench: Bench) -> Iterator[Finding]:
    if not bench.has("updates") or not bench.has("creates") or not (bench.has("get") or bench.has("read")):
        return
    name = bench.world.editable
    id = bench.make_one()
    stale = bench.expected(id)
    bench.update(id, "kit by somebody else")
    outcome = bench.send_one(bench.update_of(id, {name: "kit by us"}, expected=stale))
    refused = isinstance(outcome, Failed) and bench.holds(bench.there(id), name, "kit by somebody else")
    how = "by version" if stale.version is not None else "by old values"
    yield _found(bench, "conditional_writes", can=refused, detail=how if refused else _why_not(outcome))
    fresh = bench.send_one(bench.update_of(id, {name: "kit at last"}, expected=bench.expected(id)))
    if isinstance(fresh, Failed):
        yield Finding(subject="conditional writes that hold", verdict=Verdict.CANNOT, detail=_why_not(fresh))


def _values(bench: Bench) -> Iterator[Finding]:
    if not (bench.has("creates") or bench.has("updates")) or not (bench.has("get") or bench.has("read")):
        return
    for row, text in {**_MANNERS, **HOSTILE_TEXT}.items():
        outcome = bench.put(bench.world.editable, text)
        subject = f"text: {row.replace('_', ' ')}"
        if isinstance(outcome, Failed):
            verdict = Verdict.CANNOT if isinstance(outcome.error, RecordError) else Verdict.UNCLEAR
            yield Finding(subject=subject, verdict=verdict, detail=_why_not(outcome))
            continue
        stored = bench.there(outcome.id).fields.get(bench.world.editable, ABSENT)
        yield _found(bench, subject, can=stored == text, detail="" if stored == text else _bent(text, stored))


_MANNERS: Mapping[str, str] = {"mixed_case": "Kit MIXED case", "inner_blanks": "kit  inner   blanks"}


def _bent(text: str, stored: Native) -> str:
    """What became of a text, in words; only texts of the kit's own are ever described."""
    if stored is None or stored is ABSENT:
        return "becomes null"
    if not isinstance(stored, str):
        return f"comes back as {type(stored).__name__}"
    ways = {
        "is trimmed": text.strip(),
        "is put in lower case": text.lower(),
        "is put in upper case": text.upper(),
        "is trimmed and put in lower case": text.strip().lower(),
        "has its blanks squeezed": " ".join(text.split()),
        "has its line ends changed": text.replace("\r\n", "\n"),
    }
    for way, result in ways.items():
        if stored == result:
            return way
    if text.startswith(stored):
        return f"is cut off after {len(stored)} characters"
    return "comes back changed"


def _looking(bench: Bench) -> Iterator[Finding]:
    yield _found(bench, "get", can=bench.has("get"))
    yield _found(bench, "find", can=bench.has("find"))
    if not bench.has("creates"):
        return
    name = bench.world.editable
    id = bench.make_one(**{name: "kit look for me"})
    if bench.has("get"):
        answers = bench.connector.get(bench.world.resource, [id, "kit-no-such-record"], fields=bench.names)
        there = isinstance(answers[0], Record) and isinstance(answers[1], Tombstone)
        yield _found(bench, "get tells there from gone at once", can=there)
    if bench.has("find"):
        found = bench.connector.find(bench.world.resource, name, [bench.stored(name, "kit look for me")], fields=[name])
        yield _found(bench, "find sees a write at once", can=any(record.id == id for record in found))
    if bench.has("read"):
        pages = bench.connector.read(bench.world.resource, fields=[name])
        yield _found(bench, "listings see a write at once", can=any(id in page.ids for page in pages))


def _following(bench: Bench) -> Iterator[Finding]:
    if not bench.has("incremental") or not bench.has("creates"):
        return
    cursor = next((page.cursor for page in reversed(bench.pages()) if page.cursor is not None), None)
    if cursor is None:
        return
    id = bench.make_one()
    yield _found(bench, "changes follow a cursor", can=id in records_of(bench.pages(cursor)))
    if bench.has("archives") or bench.has("deletes"):
        bench.send_one(bench.removal(id))
        told = any(id in page.deleted for page in bench.pages(cursor))
        yield _found(bench, "reports_deletions", can=told)


def _removing(bench: Bench) -> Iterator[Finding]:
    if not bench.has("creates") or not (bench.has("get") or bench.has("read")):
        return
    for kind, subject in ((Archive, "archives"), (Delete, "deletes")):
        id = bench.make_one()
        outcome = bench.send_one(kind(key=bench.key(), id=id))
        gone = isinstance(outcome, Written) and isinstance(bench.look(id), Tombstone)
        yield _found(bench, subject, can=gone, detail=_why_not(outcome))
        if kind is Archive and gone:
            back = bench.send_one(Restore(key=bench.key(), id=id))
            there = isinstance(back, Written) and back.id == id and isinstance(bench.look(id), Record)
            yield _found(bench, "restores", can=there, detail=_why_not(back))


def _tidying(bench: Bench) -> Iterator[Finding]:
    bench.tidy()
    if bench.has("get") or bench.has("read"):
        left = sum(isinstance(bench.look(id), Record) for id in dict.fromkeys(bench.made))
        yield _found(bench, "tidied up", can=not left, detail=f"{left} records of the kit's are left" if left else "")


def _why_not(outcome: Outcome) -> str:
    return type(outcome.error).__name__ if isinstance(outcome, Failed) else ""
