"""Honesty: what a connector declares fits together, and what it has it can be asked for."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping

from syncengine.connector import FieldType
from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import clause, quality

_SIGNATURES: Mapping[str, tuple[str, ...]] = {
    "check": (),
    "resources": (),
    "read": ("resource", "fields", "cursor"),
    "write": ("resource", "changes"),
    "get": ("resource", "ids", "fields"),
    "find": ("resource", "field", "values", "fields"),
    "hints": ("headers", "body"),
    "close": (),
}
_POSITIONAL: Mapping[str, int] = {"read": 1, "write": 2, "get": 2, "find": 3, "hints": 2}


class Honesty:
    """By reflection: no record is needed."""

    @quality("reports_deletions", "incremental")
    def test_deletions_are_reported_by_incremental_reads_only(self, bench: Bench) -> None:
        """`reports_deletions` without `incremental` means nothing."""
        can = bench.can
        assert can.incremental or not can.reports_deletions, "reports_deletions is declared without incremental"
        assert bench.has("read") or not can.incremental, "incremental is declared, and there is no `read`"

    @quality("creates", "updates", "archives", "deletes", "restores")
    def test_changes_are_declared_where_they_can_be_written(self, bench: Bench) -> None:
        """A change that is declared needs `write`; a restore needs something archived."""
        can = bench.can
        taken = can.creates or can.updates or can.archives or can.deletes or can.restores
        method = callable(getattr(bench.connector, "write", None))
        assert method or not taken, "changes are declared, and the connector has no `write`"
        assert can.archives or not can.restores, "restores is declared without archives"
        assert method or bench.has("read"), "a connector has `read`, `write` or both"

    @quality("idempotent_creates", "chooses_ids", "upsert_keys")
    def test_what_makes_creates_safe_needs_creates(self, bench: Bench) -> None:
        """Idempotency keys, proposed ids and upserts say nothing where no create is taken."""
        can = bench.can
        assert can.creates or not can.idempotent_creates, "idempotent_creates is declared without creates"
        assert can.creates or not can.chooses_ids, "chooses_ids is declared without creates"
        assert can.creates or not can.upsert_keys, "upsert_keys is declared without creates"

    @quality("upsert_keys")
    def test_upsert_keys_are_unique_fields(self, bench: Bench) -> None:
        """An upsert by a field that two records may share meets the wrong one."""
        for name in bench.can.upsert_keys:
            assert name in bench.resource.fields, f"upsert_keys names {name!r}, which is not a field"
            field = bench.resource.fields[name]
            assert field.unique or bench.resource.id_fields == (name,), f"upsert_keys names {name!r}, which is not unique"

    @quality("conditional_writes", "returns_record", "partial_updates", "set_deltas")
    def test_qualities_of_writes_need_writes(self, bench: Bench) -> None:
        """A quality of updates needs updates or removals; deltas of sets need a set."""
        can = bench.can
        changes = can.updates or can.archives or can.deletes
        assert changes or not can.conditional_writes, "conditional_writes is declared, and nothing is written on conditions"
        writes = can.creates or can.updates or can.restores
        assert writes or not can.returns_record, "returns_record is declared, and nothing is written that has a record"
        sets = any(each.type is FieldType.SET or each.many for each in bench.resource.fields.values())
        assert (can.updates and sets) or not can.set_deltas, "set_deltas is declared without updates or without a set field"

    @quality(
        "max_batch",
        "max_concurrency",
        "page_size",
        "lag",
        "late_arrival",
        "clock_resolution",
        "calls_per_page",
        "calls_per_write",
    )
    def test_numbers_are_within_reason(self, bench: Bench) -> None:
        """Counts are at least one, seconds and calls finite and not negative."""
        can = bench.can
        for name in ("max_batch", "max_concurrency", "page_size"):
            value = getattr(can, name)
            assert type(value) is int, f"{name} is a whole number"
            assert value >= 1, f"{name} is at least 1"
        for name in ("lag", "late_arrival", "calls_per_page", "calls_per_write"):
            value = getattr(can, name)
            assert math.isfinite(value), f"{name} is finite"
            assert value >= 0, f"{name} is not negative"
        assert can.clock_resolution is None or can.clock_resolution > 0, "clock_resolution is positive, or None"

    @quality("rewrites_whole")
    def test_what_is_rewritten_whole_takes_batches(self, bench: Bench) -> None:
        """`rewrites_whole` asks for few large batches, so `max_batch` has to allow them."""
        assert not bench.can.rewrites_whole or bench.can.max_batch > 1, "rewrites_whole is declared, and max_batch is 1"

    @clause("Describe what is there: a lazy, cached mapping.")
    def test_descriptions_are_consistent(self, bench: Bench) -> None:
        """Names agree with their places, ids are made of fields, and asking again tells the same."""
        resources = bench.connector.resources()
        assert isinstance(resources, Mapping), "`resources()` is a mapping"
        assert bench.world.resource in list(resources), "iterating over `resources()` lists every name"
        resource = resources[bench.world.resource]
        assert resource.name == bench.world.resource, "Resource.name is the name under which it is listed"
        assert bench.connector.resources()[resource.name] == resource, "asked again, a resource is described otherwise"
        for name, field in resource.fields.items():
            assert field.name == name, f"Field.name of {name!r} is not the name under which it is listed"
            assert field.type is not FieldType.REFERENCE or field.references, f"reference {name!r} does not say of what"
            assert not (field.required and field.read_only), f"{name!r} is required, and cannot be written"
        for name in resource.id_fields:
            assert name in resource.fields, f"id_fields names {name!r}, which is not a field"

    @clause("have the method and you have the skill")
    def test_methods_take_what_the_contract_passes(self, bench: Bench) -> None:
        """Every method of the contract that is there can be called the way the engine calls it."""
        for name, parameters in _SIGNATURES.items():
            method = getattr(bench.connector, name, None)
            if method is None:
                assert name not in {"check", "resources", "close"}, f"a connector has `{name}`"
                continue
            positional = parameters[: _POSITIONAL.get(name, 0)]
            keywords = dict.fromkeys(parameters[len(positional) :])
            try:
                inspect.signature(method).bind(*positional, **keywords)
            except TypeError as error:
                raise AssertionError(f"`{name}` does not take what the contract passes: {error}") from error
