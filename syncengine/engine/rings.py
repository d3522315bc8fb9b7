"""
Rings of unique values: records that wait for each other's key, where the target refuses twins.

Ada and Bob swap their emails; the target takes neither, for the other one holds it. One of the ring is parked: its field is
blanked by a write of its own, with its intent and its before-image. Then each of the others finds its value free, and the first
gets its own at last. A parked field has no base on either side, so that whatever ends the run in between, the next one fills it
from the other side; were nothing the base, a person who takes the swap back would find the field blank for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from syncengine.connector import Native, Record
from syncengine.core.decision import Decision, Op, Wait, Write
from syncengine.core.mapping import FieldRule, Unmappable
from syncengine.core.model import Side
from syncengine.engine.context import Context
from syncengine.engine.read import stage_record
from syncengine.engine.work import Work
from syncengine.errors import AlreadyExists

_WHY = "two records swap a value that has to be unique: blanked for a moment, so that the other one can have it"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """An update of one field that was refused for its value; `holder` has it, where known."""

    decision: Decision
    write: Write
    rule: FieldRule
    holder: str | None

    @property
    def name(self) -> str:
        return self.rule.native(self.write.side)

    @property
    def value(self) -> Native:
        return self.write.fields[self.name]


class Rings:
    """Remembers the refused updates of one run, and turns the rings among them; `carry_out` writes one work right away."""

    def __init__(self, context: Context, carry_out: Callable[[Side, Work], None]) -> None:
        self._context = context
        self._carry_out = carry_out
        self._refused: dict[Side, dict[str, _Refusal]] = {Side.LEFT: {}, Side.RIGHT: {}}

    def note(self, work: Work, error: AlreadyExists) -> None:
        """An update was refused because somebody else holds its value; called before the work is failed or narrowed."""
        write = work.todo[0]
        rule = self._refused_rule(write, error)
        if rule is None or write.op is not Op.UPDATE or write.id is None or work.link is None:
            return
        name, source = rule.native(write.side), rule.native(write.side.other)
        alone = replace(
            write,
            fields={name: write.fields[name]},
            before={name: write.before.get(name)},
            source={source: write.source.get(source)},
            whys={name: write.whys.get(name, "")},
        )
        # Its records are counted already, and both are decided again in the next pass: they may have been edited meanwhile.
        waits = dict.fromkeys(Side, (Wait.DEFERRED, _WHY))
        decision = replace(work.decision, link=work.link.number, losses=(), buckets={}, waits=waits, shortfalls=())
        self._refused[write.side][write.id] = _Refusal(decision=decision, write=alone, rule=rule, holder=error.id)

    def turn(self) -> None:
        """Turn every ring; where a step fails, the rest waits for the next run like any other refused update."""
        for side in Side:
            refused = self._with_holders(side)
            for ring in _rings(refused):
                self._turn(side, ring)
            refused.clear()

    def _refused_rule(self, write: Write, error: AlreadyExists) -> FieldRule | None:
        """The field whose value was refused: the one that the system named, else the only one that it can be."""
        fields = self._context.remotes[write.side].resource.fields
        rules = [rule for rule in self._context.rule.fields if rule.native(write.side) in write.fields]
        named = [rule for rule in rules if rule.native(write.side) == error.field]
        unique = [rule for rule in rules if (field := fields.get(rule.native(write.side))) is not None and field.unique]
        found = named or (rules if len(rules) == 1 else unique)
        return found[0] if len(found) == 1 else None

    def _with_holders(self, side: Side) -> dict[str, _Refusal]:
        """The refusals of a side; who holds a value is looked up where the system did not tell."""
        refused = self._refused[side]
        unknown = {id_: refusal for id_, refusal in refused.items() if refusal.holder is None}
        if len(refused) < len(Side) or not unknown:
            return refused
        for name in sorted({refusal.name for refusal in unknown.values()}):
            asking = {id_: refusal for id_, refusal in unknown.items() if refusal.name == name}
            found = self._context.remotes[side].find(name, [refusal.value for refusal in asking.values()])
            for id_, refusal in asking.items():
                holders = [record.id for record in found if record.id != id_ and self._holds(side, refusal, record)]
                if len(holders) == 1:
                    refused[id_] = replace(refusal, holder=holders[0])
        return refused

    def _holds(self, side: Side, refusal: _Refusal, record: Record) -> bool:
        resolve = self._context.resolver.resolve
        try:
            wanted = refusal.rule.canonical(side, refusal.value, resolve)
            held = refusal.rule.canonical(side, record.fields.get(refusal.name), resolve)
        except Unmappable:
            return False
        return refusal.rule.same(wanted, held)

    def _turn(self, side: Side, ring: list[_Refusal]) -> None:
        first, *others = ring
        described = self._context.remotes[side].resource.fields.get(first.name)
        if described is None or not described.nullable or described.required:
            self._context.notes.append(
                f"{first.decision.label}: {first.name} is swapped with another record's and cannot be blanked"
            )
            return
        parked = replace(first.write, fields={first.name: None}, source={}, whys={first.name: _WHY})
        last = replace(first.write, before={first.name: None})
        steps = [(first.decision, parked), *((each.decision, each.write) for each in others), (first.decision, last)]
        for decision, write in steps:
            if not self._step(side, decision, write):
                return

    def _step(self, side: Side, decision: Decision, write: Write) -> bool:
        """One write on what the record holds at this moment; tells whether it went through."""
        assert write.id is not None
        assert decision.link is not None
        if self._context.store.journal.of_link(decision.link) is not None:
            return False  # the rest of its fields went into doubt
        (answer,) = self._context.remotes[side].get([write.id])
        if not isinstance(answer, Record) or any(answer.fields.get(name) != value for name, value in write.before.items()):
            return False
        old = decision.half(side)
        now = self._context.half(stage_record(self._context, side, answer, link=decision.link))
        half = replace(now, base=old.base, unconfirmed=old.unconfirmed)
        fresh = (
            replace(decision, left=half, writes=(write,)) if side is Side.LEFT else replace(decision, right=half, writes=(write,))
        )
        work = Work.of(fresh)
        work.is_part = True
        self._carry_out(side, work)
        return not work.todo and work.bucket is None


def _rings(refused: Mapping[str, _Refusal]) -> Iterator[list[_Refusal]]:
    """The rings among records that wait for what the next one holds, each in the order in which the values become free."""
    seen: set[str] = set()
    for start in sorted(refused):
        path: list[str] = []
        at: str | None = start
        while at is not None and at in refused and at not in seen:
            seen.add(at)
            path.append(at)
            at = refused[at].holder
        if at in path:
            first, *behind = path[path.index(at) :]
            yield [refused[id_] for id_ in (first, *reversed(behind))]
