"""References between pairs and within one: pending, never blanking; second passes; cycles end (failure mode 19)."""

from __future__ import annotations

from dataclasses import replace

from syncengine.connector import Field, FieldType
from syncengine.core.decision import LinkState
from syncengine.core.model import Condition, Deletes, End, FieldSpec, PairSpec, Side, Test
from syncengine.engine.report import Exit
from syncengine.testing.memory import Manners
from tests.support.engine import Bench, able, people_spec, same_fields

COMPANIES = (Field(name="title"),)
WORKERS = (
    Field(name="email", type=FieldType.EMAIL),
    Field(name="name"),
    Field(name="company", type=FieldType.REFERENCE, references="companies"),
    Field(name="boss", type=FieldType.REFERENCE, references="workers"),
)


def ends(resource: str) -> dict[str, End]:
    return {"left": End(system="one", resource=resource), "right": End(system="two", resource=resource)}


def company_spec(**changes: object) -> PairSpec:
    return people_spec(name="companies", match=("title",), fields=same_fields(*COMPANIES), **ends("companies"), **changes)


def worker_spec(**changes: object) -> PairSpec:
    fields = same_fields(
        *WORKERS,
        company=FieldSpec(name="company", left="company", right="company", references="companies"),
        boss=FieldSpec(name="boss", left="boss", right="boss", references="workers"),
    )
    return people_spec(name="workers", fields=fields, **ends("workers"), **changes)


def benches(
    *, required: bool = False, manners: Manners | None = None, restores: bool = True, **changes: object
) -> tuple[Bench, Bench]:
    """Companies, and workers beside them; `required`: the right knows no worker without a company."""
    options = able(manners=manners, restores=restores)
    companies = Bench(company_spec(**changes), fields=COMPANIES, right_options=options)
    # Ids differ between the sides, as they do in life.
    companies.right.remove(companies.right.insert(title="away"))
    workers = Bench(worker_spec(**changes), fields=WORKERS, beside=companies, right_options=options)
    if required:
        workers.redefine(Side.RIGHT, replace(WORKERS[2], required=True))
        companies.reconnect()
    return companies, workers


def test_a_reference_is_translated_by_the_links_of_the_pair_it_names() -> None:
    companies, workers = benches()
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    companies.sync()
    workers.sync()
    there = companies.other(Side.LEFT, acme)
    assert there is not None
    assert there != acme
    assert workers.right[str(workers.other(Side.LEFT, ada))]["company"] == there
    for bench in (companies, workers):
        bench.assert_quiet()


def test_an_unresolved_reference_waits_and_blanks_nothing() -> None:
    companies, workers = benches()
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    report = workers.sync()
    right = str(workers.other(Side.LEFT, ada))
    assert report.pending == {"reference": 1}
    assert workers.right[right]["company"] is None
    workers.assert_quiet()
    assert workers.left[ada]["company"] == acme
    companies.sync()
    assert workers.sync().exit is Exit.DONE
    assert workers.right[right]["company"] == companies.other(Side.LEFT, acme)
    workers.assert_quiet()

    other = companies.left.insert(title="Other")
    workers.left.edit(ada, company=other, name="Edited")
    workers.sync()
    assert workers.right[right]["name"] == "Edited"
    assert workers.right[right]["company"] == companies.other(Side.LEFT, acme)  # what it had stays until the new one is known
    workers.assert_quiet()
    companies.sync()
    workers.sync()
    assert workers.right[right]["company"] == companies.other(Side.LEFT, other)
    workers.assert_quiet()


def test_a_reference_that_the_target_needs_defers_the_create() -> None:
    companies, workers = benches(required=True)
    acme = companies.left.insert(title="Acme")
    workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    report = workers.sync()
    assert len(workers.right) == 0
    assert report.buckets["left"] == {"waiting": 1}
    workers.assert_quiet()
    companies.sync()
    assert workers.sync().written == {"right.create": 1}
    workers.assert_quiet()


def test_clearing_a_reference_travels_as_clearing() -> None:
    companies, workers = benches()
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    companies.sync()
    workers.sync()
    workers.left.edit(ada, company=None)
    workers.sync()
    assert workers.right[str(workers.other(Side.LEFT, ada))]["company"] is None
    workers.assert_quiet()


def test_references_within_a_pair_and_cycles_are_filled_by_a_second_pass() -> None:
    _, workers = benches()
    ada = workers.left.insert(email="ada@example.com", name="Ada")
    bob = workers.left.insert(email="bob@example.com", name="Bob", boss=ada)
    cyd = workers.left.insert(email="cyd@example.com", name="Cyd", boss=bob)
    workers.left.edit(ada, boss=cyd)
    workers.left.insert(email="own@example.com", name="Own boss")
    own = max(workers.left.records(), key=int)
    workers.left.edit(own, boss=own)
    workers.settle()
    assert workers.creates(Side.RIGHT) == 4
    for id_ in (ada, bob, cyd, own):
        boss = workers.right[str(workers.other(Side.LEFT, id_))]["boss"]
        assert boss == workers.other(Side.LEFT, str(workers.left[id_]["boss"]))
    assert workers.sync().exit is Exit.DONE
    workers.assert_quiet()


def test_a_reference_to_what_is_out_of_scope_stays_pending_and_harms_nothing() -> None:
    filters = {Side.LEFT: (Condition(field="title", test=Test.IS_NOT, value="Secret"),)}
    companies = Bench(company_spec(filters=filters), fields=COMPANIES)
    workers = Bench(worker_spec(), fields=WORKERS, beside=companies)
    secret = companies.left.insert(title="Secret")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=secret)
    companies.sync()
    report = workers.sync()
    assert len(companies.right) == 0
    assert report.pending == {"reference": 1}
    workers.left.edit(ada, name="Edited")
    workers.sync()
    assert workers.right[str(workers.other(Side.LEFT, ada))]["name"] == "Edited"
    workers.assert_quiet()


def test_a_key_may_hold_a_reference() -> None:
    companies = Bench(company_spec(), fields=COMPANIES)
    spec = replace(worker_spec(), match=("name", "company"))
    workers = Bench(spec, fields=WORKERS, beside=companies)
    companies.right.insert(title="Away")
    sides = {}
    for side in Side:
        sides[side] = {title: companies.resources[side].insert(title=title) for title in ("Acme", "Beta")}
        for title, id_ in sides[side].items():
            workers.resources[side].insert(email=f"{title}@example.com", name="Ada", company=id_)
    report = workers.sync()
    assert report.pending == {"reference": 4}
    assert not workers.link_states()
    workers.assert_quiet()
    companies.sync()
    workers.settle()
    assert workers.link_states() == [LinkState.LIVE] * 2
    assert len(workers.left) == len(workers.right) == 2
    for id_, row in workers.left.records().items():
        assert workers.right[str(workers.other(Side.LEFT, id_))]["email"] == row["email"]
    workers.assert_quiet()


def test_deletes_of_a_parent_that_is_still_referred_to_are_refused_there_and_tried_after_the_children() -> None:
    companies, workers = benches(manners=Manners(checks_references=True), deletes=Deletes.PROPAGATE)
    spare = companies.left.insert(title="Spare")
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    workers.left.insert(email="bob@example.com", name="Bob", company=spare)
    companies.sync()
    workers.sync()
    workers.left.remove(ada)
    companies.left.remove(acme)
    assert companies.sync().exit is Exit.PARTIAL
    assert len(companies.right) == 2
    workers.sync()
    companies.sync()
    assert len(companies.right) == len(workers.right) == 1
    for bench in (companies, workers):
        bench.assert_quiet()


def test_a_parent_and_child_new_on_different_sides_find_each_other() -> None:
    companies, workers = benches()
    acme = companies.left.insert(title="Acme")
    companies.sync()
    ada = workers.right.insert(email="ada@example.com", name="Ada", company=companies.other(Side.LEFT, acme))
    workers.sync()
    assert workers.left[str(workers.other(Side.RIGHT, ada))]["company"] == acme
    workers.assert_quiet()


def test_a_reference_to_a_deleted_record_whose_partner_stays_is_pending() -> None:
    companies, workers = benches(deletes=Deletes.IGNORE)
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada")
    companies.sync()
    workers.sync()
    there = companies.other(Side.LEFT, acme)
    companies.left.remove(acme)
    companies.sync()
    workers.right.edit(str(workers.other(Side.LEFT, ada)), company=there)
    report = workers.sync()
    assert report.exit is Exit.PARTIAL
    assert workers.left[ada]["company"] is None
    workers.assert_quiet()


def test_who_points_to_a_record_that_was_made_anew_points_to_the_new_one() -> None:
    """A company is deleted on one side and edited on the other: it comes back under a new id, and nobody edits its workers."""
    companies, workers = benches(deletes=Deletes.PROPAGATE, restores=False)
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    bob = workers.left.insert(email="bob@example.com", name="Bob", company=None)
    companies.sync()
    workers.sync()
    old = str(companies.other(Side.LEFT, acme))
    companies.right.remove(old)
    companies.left.edit(acme, title="Acme Ltd")
    companies.settle()
    new = str(companies.other(Side.LEFT, acme))
    assert new != old
    before = workers.writes()
    workers.sync()
    assert workers.right[str(workers.other(Side.LEFT, ada))]["company"] == new
    assert workers.right[str(workers.other(Side.LEFT, bob))]["company"] is None
    assert workers.left[ada]["company"] == acme
    assert workers.writes() == {Side.LEFT: before[Side.LEFT], Side.RIGHT: before[Side.RIGHT] + 1}
    for bench in (companies, workers):
        bench.assert_quiet()


def test_who_points_to_a_record_of_its_own_pair_that_was_made_anew_points_to_the_new_one() -> None:
    _, workers = benches(deletes=Deletes.PROPAGATE, restores=False)
    ada = workers.left.insert(email="ada@example.com", name="Ada")
    bob = workers.left.insert(email="bob@example.com", name="Bob", boss=ada)
    workers.settle()
    old = str(workers.other(Side.LEFT, ada))
    assert workers.right[str(workers.other(Side.LEFT, bob))]["boss"] == old
    workers.right.remove(old)
    workers.left.edit(ada, name="Ida")
    workers.settle()
    new = str(workers.other(Side.LEFT, ada))
    assert new != old
    assert workers.right[str(workers.other(Side.LEFT, bob))]["boss"] == new
    workers.assert_quiet()


def test_who_points_to_a_record_that_was_made_anew_on_both_sides_in_turn_points_to_the_new_ones() -> None:
    """Its company comes back on the right, and then on the left, before anybody looks at the worker: neither id means anything."""
    companies, workers = benches(deletes=Deletes.PROPAGATE, restores=False)
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    companies.sync()
    workers.sync()
    companies.right.remove(str(companies.other(Side.LEFT, acme)))
    companies.left.edit(acme, title="Acme Ltd")
    companies.settle()
    there = str(companies.other(Side.LEFT, acme))
    companies.left.remove(acme)
    companies.right.edit(there, title="Acme Inc")
    companies.settle()
    here = str(companies.other(Side.RIGHT, there))
    assert here != acme
    before = workers.writes()
    workers.sync()
    assert workers.left[ada]["company"] == here
    assert workers.right[str(workers.other(Side.LEFT, ada))]["company"] == there
    assert workers.writes() == {side: count + 1 for side, count in before.items()}
    for bench in (companies, workers):
        bench.assert_quiet()


def test_a_record_waits_while_the_targets_filter_looks_at_a_reference_that_does_not_resolve_yet() -> None:
    """Nobody can tell yet whether it belongs there: it is not let alone for good."""
    filters = {Side.RIGHT: (Condition(field="company", test=Test.BLANK, value=False),)}
    companies = Bench(company_spec(), fields=COMPANIES)
    workers = Bench(worker_spec(filters=filters), fields=WORKERS, beside=companies)
    acme = companies.left.insert(title="Acme")
    ada = workers.left.insert(email="ada@example.com", name="Ada", company=acme)
    bob = workers.left.insert(email="bob@example.com", name="Bob")
    assert workers.sync().pending == {"reference": 1}
    assert len(workers.right) == 0
    companies.sync()
    workers.sync()
    assert workers.other(Side.LEFT, ada) is not None
    assert workers.other(Side.LEFT, bob) is None
    workers.assert_quiet()
