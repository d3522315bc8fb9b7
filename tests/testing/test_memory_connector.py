"""The memory connector: its manners, beyond what the conformance kit holds it to."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest

from syncengine.connector import (
    Archive,
    Choice,
    Context,
    Create,
    Delete,
    Expected,
    Failed,
    Field,
    FieldType,
    Finder,
    Getter,
    Hint,
    HintReceiver,
    Identify,
    Record,
    Restore,
    SetChange,
    Tombstone,
    Unknown,
    Update,
    Written,
)
from syncengine.errors import (
    AlreadyExists,
    AuthError,
    CursorExpired,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
    Rejected,
    ResourceError,
    TransientError,
    VersionConflict,
)
from syncengine.testing.memory import (
    FULL,
    READABLE,
    SIMPLE,
    Author,
    CallKind,
    EffectKind,
    FileConnector,
    Manners,
    MemoryConnector,
    MemoryOptions,
    MemoryWorld,
    Moment,
    Paging,
    VirtualClock,
    appended,
    chained,
    load_world,
    lower,
    normaliser_named,
    plugin,
    rounded,
    save_world,
    skilled,
    trim,
    truncated,
    without,
)

EMAIL = Field(name="email", type=FieldType.EMAIL, unique=True)
NAME = Field(name="name", type=FieldType.TEXT)
TAGS = Field(name="tags", type=FieldType.SET)


def people(capabilities=FULL, manners=None, fields=(EMAIL, NAME, TAGS), **more):
    world = MemoryWorld(clock=VirtualClock(start=1000.0, step=0.0))
    return world, world.add("people", fields, capabilities=capabilities, manners=manners, **more), MemoryConnector(world)


def write(connector, change):
    [outcome] = connector.write("people", [change])
    return outcome


def refused(connector, change):
    outcome = write(connector, change)
    assert isinstance(outcome, Failed)
    return outcome.error


def listed(connector, cursor=None, fields=("name",)):
    return list(connector.read("people", fields=fields, cursor=cursor))


@pytest.mark.parametrize(
    ("normaliser", "given", "stored"),
    [
        (trim, "  Ada ", "Ada"),
        (lower, "ADA@Example.com", "ada@example.com"),
        (rounded(2), Decimal("1.005"), Decimal("1.00")),
        (rounded(2), Decimal("NaN"), Decimal("NaN")),
        (rounded(2), 2.345678, 2.35),
        (rounded(2), "2.345", "2.345"),
        (truncated(3), "abcdef", "abc"),
        (without("- "), "555 01-00", "5550100"),
        (appended("!"), "Ada", "Ada!"),
        (appended("!"), None, None),
        (chained(trim, lower), " ADA ", "ada"),
        (normaliser_named("trim | lower | truncate 2"), " ADA ", "ad"),
        (normaliser_named("without -() | append x"), "(5)-5", "55x"),
        (normaliser_named("round 1"), Decimal("2.25"), Decimal("2.2")),
    ],
)
def test_a_normaliser_makes_the_stored_value(normaliser, given, stored):
    assert repr(normaliser(given)) == repr(stored)


def test_an_unknown_normaliser_is_named():
    with pytest.raises(ValueError, match="capitals"):
        normaliser_named("capitals")


def test_what_is_written_is_normalised_and_returned_as_stored():
    _, table, connector = people(manners=Manners(normalise={"name": chained(trim, truncated(3))}))
    outcome = write(connector, Create(key="k", fields={"name": "  Adalbert "}))
    assert outcome.record == {"email": None, "name": "Ada", "tags": None}
    assert table[outcome.id]["name"] == "Ada"


def test_a_written_record_can_be_only_the_written_fields():
    _, table, connector = people(manners=Manners(returns_whole=False, returns_version=False))
    id = table.insert(email="a@x", name="Ada")
    assert write(connector, Update(key="k", id=id, fields={"name": "Bo"})) == Written(key="k", id=id, record={"name": "Bo"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field(name="f", type=FieldType.TEXT), 1),
        (Field(name="f", type=FieldType.INTEGER), True),
        (Field(name="f", type=FieldType.DECIMAL), "1.0"),
        (Field(name="f", type=FieldType.BOOLEAN), 1),
        (Field(name="f", type=FieldType.DATE), datetime(2026, 1, 1, tzinfo=UTC)),
        (Field(name="f", type=FieldType.DATETIME), date(2026, 1, 1)),
        (Field(name="f", type=FieldType.DATETIME), datetime(2026, 1, 1)),  # noqa: DTZ001 - a naive one is the point
        (Field(name="f", type=FieldType.SET), "abc"),
        (Field(name="f", type=FieldType.CHOICE, choices=(Choice(value="a"),)), "b"),
        (Field(name="f", type=FieldType.CHOICE, many=True, choices=(Choice(value="a"),)), ["a", "b"]),
        (Field(name="f", type=FieldType.TEXT, max_length=3), "abcd"),
        (Field(name="f", type=FieldType.TEXT, required=True), None),
        (Field(name="f", type=FieldType.TEXT, nullable=False), None),
        (Field(name="f", type=FieldType.TEXT, read_only=True), "x"),
        (Field(name="other", type=FieldType.TEXT), "x"),
    ],
)
def test_a_value_that_a_field_does_not_take_is_rejected_by_name(field, value):
    _, table, connector = people(fields=[field])
    error = refused(connector, Create(key="k", fields={"f": value}))
    assert isinstance(error, Rejected)
    assert error.field == "f"
    assert len(table) == 0


def test_a_unique_value_has_one_live_holder_whatever_happened_before():
    _, table, connector = people()
    first = table.insert(email="a@x")
    error = refused(connector, Create(key="k", fields={"email": "a@x"}))
    assert isinstance(error, AlreadyExists)
    assert error.id == first
    table.edit(first, email="b@x")
    second = table.insert(email="a@x")
    table.archive(second)
    third = table.insert(email="a@x")
    assert isinstance(refused(connector, Restore(key="r", id=second)), AlreadyExists)
    table.remove(third)
    assert isinstance(write(connector, Restore(key="r", id=second)), Written)


def test_the_holder_of_a_unique_value_may_stay_untold():
    _, table, connector = people(manners=Manners(tells_holder=False))
    table.insert(email="a@x")
    assert refused(connector, Create(key="k", fields={"email": "a@x"})).id is None


def test_a_create_can_revive_an_archived_holder():
    _, table, connector = people(manners=Manners(create_revives=True))
    id = table.insert(email="a@x", name="Ada")
    table.archive(id)
    outcome = write(connector, Create(key="k", fields={"email": "a@x"}))
    assert (outcome.id, outcome.met, table[id]["name"]) == (id, True, "Ada")


def test_an_upsert_meets_the_holder_even_where_updates_are_not_taken():
    _, table, connector = people(replace(FULL, updates=False, upsert_keys=("email",)))
    id = table.insert(email="a@x", name="Ada")
    outcome = write(connector, Create(key="k", fields={"email": "a@x", "name": "Bo"}, upsert_on="email"))
    assert (outcome.id, outcome.met, table[id]["name"], len(table)) == (id, True, "Bo", 1)
    assert isinstance(refused(connector, Create(key="l", fields={"name": "x"}, upsert_on="name")), Rejected)


def test_a_whole_update_clears_what_it_does_not_name():
    _, table, connector = people(replace(FULL, partial_updates=False))
    id = table.insert(email="a@x", name="Ada")
    write(connector, Update(key="k", id=id, fields={"name": "Bo"}))
    assert table[id] == {"email": None, "name": "Bo", "tags": None}


@pytest.mark.parametrize(
    ("change", "capability"),
    [
        (Create(key="k", fields={}), "creates"),
        (Update(key="k", id="1", fields={}), "updates"),
        (Archive(key="k", id="1"), "archives"),
        (Delete(key="k", id="1"), "deletes"),
        (Restore(key="k", id="1"), "restores"),
        (Update(key="k", id="1", fields={"tags": SetChange(add=("x",))}), "set_deltas"),
    ],
)
def test_a_change_that_is_not_declared_is_rejected(change, capability):
    _, table, connector = people(replace(FULL, **{capability: False}))
    table.insert(name="Ada")
    before = table.records()
    assert isinstance(refused(connector, change), Rejected)
    assert table.records() == before


def test_expected_holds_by_version_or_by_old_values():
    _, table, connector = people()
    id = table.insert(name="Ada", tags=["x"])
    [page] = listed(connector)
    assert isinstance(write(connector, Update(key="a", id=id, fields={}, expected=Expected(version=page.versions[0]))), Written)
    same = Expected(fields={"name": "Ada", "tags": ("x",)})
    assert isinstance(write(connector, Update(key="b", id=id, fields={"name": "Bo"}, expected=same)), Written)
    assert isinstance(refused(connector, Delete(key="c", id=id, expected=same)), VersionConflict)
    stale = Expected(version=page.versions[0])
    assert isinstance(refused(connector, Archive(key="d", id=id, expected=stale)), VersionConflict)
    assert table[id]["name"] == "Bo"


def test_without_versions_no_version_can_hold():
    _, table, connector = people(manners=Manners(versions=False))
    id = table.insert(name="Ada")
    assert listed(connector)[0].versions is None
    assert isinstance(refused(connector, Update(key="k", id=id, fields={}, expected=Expected(version="v1"))), VersionConflict)


def test_without_conditional_writes_expected_is_not_looked_at():
    _, table, connector = people(SIMPLE)
    id = table.insert(name="Ada")
    assert isinstance(write(connector, Update(key="k", id=id, fields={"name": "Bo"}, expected=Expected(version="x"))), Written)


def test_an_update_that_changes_nothing_moves_the_version_only_by_manners():
    for touches in (False, True):
        world, table, connector = people(manners=Manners(touches=touches))
        id = table.insert(name="Ada")
        before = listed(connector)[0].versions
        write(connector, Update(key="k", id=id, fields={"name": "Ada"}))
        assert (listed(connector)[0].versions != before) is touches
        [effect] = world.writes()
        assert effect.before == effect.after


def test_the_same_key_creates_once_where_creates_are_idempotent():
    _, table, connector = people()
    first = write(connector, Create(key="k", fields={"name": "Ada"}))
    table.edit(first.id, name="Bo")
    assert write(connector, Create(key="k", fields={"name": "Ada"})) == first
    assert len(table) == 1


def test_a_proposed_id_is_used_where_ids_are_chosen_and_else_ignored():
    _, table, connector = people()
    assert write(connector, Create(key="a", fields={}, id="mine")).id == "mine"
    assert isinstance(refused(connector, Create(key="b", fields={}, id="mine")), AlreadyExists)
    table.archive("mine")
    assert isinstance(refused(connector, Create(key="c", fields={}, id="mine")), AlreadyExists)
    _, _, plain = people(SIMPLE)
    assert write(plain, Create(key="a", fields={}, id="mine")).id == "1"


def test_ids_can_be_made_of_fields_which_then_never_change():
    fields = [Field(name="a"), Field(name="b"), Field(name="c")]
    _, table, connector = people(fields=fields, id_fields=("a", "b"))
    id = write(connector, Create(key="k", fields={"a": "1", "b": "2"})).id
    assert id == '["1", "2"]'
    assert isinstance(refused(connector, Create(key="l", fields={"a": "1", "b": "2"})), AlreadyExists)
    assert isinstance(refused(connector, Create(key="m", fields={"a": "1"})), Rejected)
    assert isinstance(refused(connector, Update(key="n", id=id, fields={"b": "3"})), Rejected)
    assert table[id]["b"] == "2"


def test_a_set_change_leaves_the_other_members():
    _, table, connector = people()
    id = table.insert(tags=["a", "b"])
    write(connector, Update(key="k", id=id, fields={"tags": SetChange(add=("c", "b"), remove=("a",))}))
    assert table[id]["tags"] == ["b", "c"]


def test_values_handed_in_or_out_are_nobody_elses():
    _, table, connector = people()
    tags = ["a"]
    id = write(connector, Create(key="k", fields={"tags": tags})).id
    tags.append("b")
    [page] = listed(connector, fields=("tags",))
    page.rows[0][0].append("c")
    assert table[id]["tags"] == ["a"]


def test_blank_is_stored_as_null_where_the_system_cannot_tell():
    _, table, connector = people(blank_is_null=True)
    assert table[write(connector, Create(key="k", fields={"name": ""})).id]["name"] is None


def test_a_sparse_record_lacks_what_it_was_never_given():
    _, table, connector = people(manners=Manners(sparse=True))
    table.insert(name="Ada")
    assert [record.fields for page in listed(connector, fields=("name", "email")) for record in page.records()] == [
        {"name": "Ada"}
    ]


def test_references_are_checked_on_both_ends_where_manners_say_so():
    world = MemoryWorld()
    manners = Manners(checks_references=True)
    companies = world.add("companies", [NAME], capabilities=FULL, manners=manners)
    company = Field(name="company", type=FieldType.REFERENCE, references="companies")
    staff = world.add("people", [NAME, company], capabilities=FULL, manners=manners)
    connector = MemoryConnector(world)
    acme = companies.insert(name="Acme")
    assert isinstance(refused(connector, Create(key="a", fields={"company": "99"})), Rejected)
    ada = write(connector, Create(key="b", fields={"company": acme})).id
    with pytest.raises(Rejected, match="refers to this one"):
        companies.remove(acme)
    staff.remove(ada)
    companies.remove(acme)
    assert len(companies) == 0


def test_pages_have_the_declared_size_and_end_complete():
    _, table, connector = people(replace(FULL, page_size=2))
    for name in "abcde":
        table.insert(name=name)
    pages = listed(connector)
    assert [len(page.ids) for page in pages] == [2, 2, 1]
    assert [page.complete for page in pages] == [False, False, True]
    assert [page.cursor is not None for page in pages] == [False, False, True]
    assert pages[0].total == 5
    assert [row for page in pages for row in page.rows] == [("a",), ("b",), ("c",), ("d",), ("e",)]


def test_pages_may_repeat_records():
    _, table, connector = people(replace(FULL, page_size=2), Manners(repeats=True))
    for name in "abcde":
        table.insert(name=name)
    assert [row[0] for page in listed(connector) for row in page.rows] == list("abbcdde")


@pytest.mark.parametrize(
    ("paging", "expected"),
    [(Paging.SNAPSHOT, ["a", "b", "c", "d"]), (Paging.LIVE, ["a", "b", "C"])],
)
def test_a_listing_shows_its_first_moment_or_each_pages_own(paging, expected):
    _, table, connector = people(replace(FULL, page_size=2), Manners(paging=paging))
    ids = [table.insert(name=name) for name in "abcd"]
    pages = connector.read("people", fields=["name"])
    first = next(pages)
    table.edit(ids[2], name="C")
    table.remove(ids[3])
    rest = list(pages)
    assert [row[0] for page in [first, *rest] for row in page.rows] == expected
    [later] = listed(connector, rest[-1].cursor)
    assert (list(later.ids), later.deleted) == ([ids[2]], (ids[3],))


def test_a_moving_listing_is_taken_again_or_not_called_complete():
    world, table, connector = people(replace(FULL, page_size=2), Manners(paging=Paging.MOVING, passes=2))
    ids = [table.insert(name=name) for name in "abcd"]
    pages = connector.read("people", fields=["name"])
    first = next(pages)
    table.remove(first.ids[0])
    rest = list(pages)
    assert {id for page in [first, *rest] for id in page.ids} == set(ids)
    assert rest[-1].complete

    def always_edited(call, moment):
        if call.kind is CallKind.PAGE and moment is Moment.BEFORE:
            table.edit(ids[0], name=f"n{call.number}")

    world.on_call = always_edited
    pages = listed(connector)
    assert not any(page.complete for page in pages)
    assert pages[-1].cursor is not None


def test_an_empty_resource_is_one_complete_page():
    _, _, connector = people()
    [page] = listed(connector)
    assert (list(page.ids), page.complete) == ([], True)


def test_the_change_feed_tells_the_last_state_of_each_record_once():
    _, table, connector = people(replace(FULL, page_size=2))
    kept, gone = table.insert(name="a"), table.insert(name="b")
    start = listed(connector)[-1].cursor
    assert [list(page.ids) for page in listed(connector, start)] == [[]]
    table.edit(kept, name="c")
    table.remove(gone)
    table.edit(kept, name="d")
    back = table.insert(name="e")
    pages = listed(connector, start)
    assert [row[0] for page in pages for row in page.rows] == ["d", "e"]
    assert [id for page in pages for id in page.deleted] == [gone]
    assert not any(page.complete for page in pages)
    [rest] = listed(connector, pages[0].cursor)
    assert list(rest.ids) == [back]


def test_deletions_are_not_reported_unless_declared():
    _, table, connector = people(replace(FULL, reports_deletions=False))
    id = table.insert(name="a")
    start = listed(connector)[-1].cursor
    table.remove(id)
    assert [page.deleted for page in listed(connector, start)] == [()]


def test_an_overlap_delivers_again_what_was_before_the_cursor():
    _, table, connector = people(manners=Manners(overlap=1))
    table.insert(name="a")
    last = table.insert(name="b")
    assert list(listed(connector, listed(connector)[-1].cursor)[0].ids) == [last]


@pytest.mark.parametrize("cursor", ["", "0", "0:x", "1:1", "0:99", "nonsense"])
def test_a_cursor_that_is_not_ours_is_expired(cursor):
    _, table, connector = people()
    table.insert(name="a")
    with pytest.raises(CursorExpired):
        listed(connector, cursor)


def test_cursors_expire_by_age_by_hand_and_where_reads_are_not_incremental():
    _, table, connector = people(manners=Manners(cursor_life=1))
    table.insert(name="a")
    cursor = listed(connector)[-1].cursor
    table.insert(name="b")
    listed(connector, cursor)
    table.insert(name="c")
    with pytest.raises(CursorExpired):
        listed(connector, cursor)
    cursor = listed(connector)[-1].cursor
    table.expire_cursors()
    with pytest.raises(CursorExpired):
        listed(connector, cursor)
    _, _, plain = people(SIMPLE)
    assert listed(plain)[-1].cursor is None
    with pytest.raises(CursorExpired):
        listed(plain, "0:0")


def test_listings_and_finds_lag_and_get_does_not():
    world, table, connector = people(replace(FULL, lag=10.0))
    old = table.insert(name="old")
    gone = table.insert(name="gone")
    world.clock.advance(60)
    start = listed(connector)[-1].cursor
    fresh = table.insert(name="fresh")
    table.edit(old, name="new")
    table.remove(gone)
    assert [row[0] for row in listed(connector)[0].rows] == ["old", "gone"]
    assert listed(connector, start)[0].ids == []
    assert connector.find("people", "name", ["fresh", "new"], fields=["name"]) == []
    answers = connector.get("people", [old, gone, fresh], fields=["name"])
    assert [answer.fields["name"] if isinstance(answer, Record) else None for answer in answers] == ["new", None, "fresh"]
    halfway = listed(connector, start)[-1].cursor
    world.clock.advance(60)
    assert [row[0] for row in listed(connector)[0].rows] == ["new", "fresh"]
    [page] = listed(connector, halfway)
    assert (set(page.ids), page.deleted) == ({fresh, old}, (gone,))


def test_modified_at_is_cut_off_at_the_clocks_resolution():
    world, table, connector = people(replace(FULL, clock_resolution=60.0))
    world.clock.advance(119.5)
    table.insert(name="a")
    assert listed(connector)[0].modified_at == [datetime.fromtimestamp(1080, UTC)]
    _, other, plain = people(replace(FULL, clock_resolution=None))
    other.insert(name="a")
    assert listed(plain)[0].modified_at is None


def test_a_person_s_new_record_has_a_provisional_id_until_it_is_identified():
    _, table, connector = people(manners=Manners(provisional=True))
    id = table.insert(name="Ada")
    assert listed(connector)[0].provisional == {id}
    assert isinstance(refused(connector, Update(key="k", id=id, fields={"name": "Bo"})), Rejected)
    done = write(connector, Identify(key="i", id=id))
    assert write(connector, Identify(key="i", id=id)) == done
    [page] = listed(connector)
    assert (list(page.ids), page.provisional) == ([done.id], frozenset())
    assert isinstance(refused(connector, Identify(key="j", id=id)), NotFound)
    assert isinstance(refused(connector, Identify(key="j", id=done.id)), Rejected)


def test_get_tells_there_gone_and_could_not_tell_apart():
    _, table, connector = people()
    there, hidden = table.insert(name="Ada"), table.insert(name="Bo")
    table.conceal(hidden)
    answers = connector.get("people", [hidden, "none", there], fields=["name"])
    assert [type(answer) for answer in answers] == [Unknown, Tombstone, Record]
    assert [answer.id for answer in answers] == [hidden, "none", there]


def test_every_call_is_logged_and_effects_are_counted_at_the_far_side():
    world, table, connector = people(replace(FULL, page_size=1))
    id = table.insert(name="Ada")
    table.insert(name="Bo")
    connector.check()
    listed(connector)
    connector.get("people", [id], fields=[])
    connector.find("people", "name", ["Ada"], fields=[])
    outcomes = connector.write("people", [Update(key="u", id=id, fields={"name": "Cy"}), Delete(key="d", id="none")])
    assert isinstance(outcomes[1].error, NotFound)
    kinds = [CallKind.CHECK, CallKind.PAGE, CallKind.PAGE, CallKind.GET, CallKind.FIND, CallKind.WRITE]
    assert [call.kind for call in world.called()] == kinds
    assert len(world.called(CallKind.PAGE, "people")) == 2
    [effect] = world.writes("people")
    assert (effect.kind, effect.by, effect.id, effect.key) == (EffectKind.UPDATED, Author.CONNECTOR, id, "u")
    assert (effect.before["name"], effect.after["name"]) == ("Ada", "Cy")
    assert len(world.effects) == 3


def test_a_call_can_be_refused_before_and_its_answer_lost_after():
    world, table, connector = people()

    def no_answer(call, moment):
        if call.kind is CallKind.WRITE and moment is Moment.AFTER:
            raise OutcomeUnknown("the answer was lost")

    world.on_call = no_answer
    assert isinstance(refused(connector, Create(key="k", fields={"name": "Ada"})), OutcomeUnknown)
    assert len(table) == 1

    def refusing(call, moment):
        raise TransientError("come back later", retry_after=5.0)

    world.on_call = refusing
    with pytest.raises(TransientError):
        write(connector, Create(key="l", fields={}))
    with pytest.raises(TransientError):
        listed(connector)
    assert len(table) == 1


def test_too_large_a_batch_applies_nothing():
    _, table, connector = people(replace(FULL, max_batch=1))
    with pytest.raises(ProtocolError, match="max_batch"):
        connector.write("people", [Create(key="a", fields={}), Create(key="b", fields={})])
    assert len(table) == 0


def test_unknown_resources_and_fields_are_named():
    _, _, connector = people()
    with pytest.raises(ResourceError, match="nobody"):
        list(connector.read("nobody", fields=[]))
    with pytest.raises(ResourceError, match="nothing"):
        list(connector.read("people", fields=["nothing"]))
    with pytest.raises(KeyError):
        connector.resources()["nobody"]


def test_refused_credentials_and_closed_connectors_say_so():
    world, _, connector = people()
    world.denied = True
    with pytest.raises(AuthError):
        connector.check()
    world.denied = False
    connector.close()
    connector.close()
    with pytest.raises(ProtocolError, match="closed"):
        listed(connector)


def test_a_connector_has_the_skills_it_was_given():
    world, _, full = people()
    assert isinstance(full, Getter)
    assert isinstance(full, Finder)
    assert isinstance(full, HintReceiver)
    bare = skilled(world, gets=False, finds=False, writes=False)
    assert not isinstance(bare, Getter)
    assert not isinstance(bare, Finder)
    assert not hasattr(bare, "write")
    assert not hasattr(skilled(world, reads=False), "read")


def test_a_hint_is_verified():
    world, _, connector = people()
    hint = Hint(resource="people", id="1", event="e1")
    headers, body = world.delivery(hint)
    assert list(connector.hints(headers, body)) == [hint]
    with pytest.raises(AuthError):
        connector.hints(headers, body + b" ")
    with pytest.raises(AuthError):
        connector.hints({}, body)


def test_a_redefined_resource_keeps_its_records():
    world, table, _ = people()
    table.insert(email="a@x")
    table.redefine(replace(table.resource, capabilities=READABLE))
    later = MemoryConnector(world)
    assert later.resources()["people"].capabilities == READABLE
    assert isinstance(refused(later, Create(key="k", fields={})), Rejected)
    with pytest.raises(AlreadyExists):
        table.insert(email="a@x")


WORLD = """
{"name": "crm", "resources": {"people": {
    "fields": {"email": {"type": "email", "unique": true}, "name": {}, "stage": {"type": "choice", "choices": ["a", "b"]},
               "amount": {"type": "money"}},
    "capabilities": {"incremental": true, "reports_deletions": true, "returns_record": true, "archives": true,
                     "restores": true, "idempotent_creates": true, "upsert_keys": ["email"]},
    "manners": {"normalise": {"email": "trim | lower"}, "paging": "live"},
    "records": [{"id": "7", "fields": {"email": "ada@example.com", "amount": {"$decimal": "1.20"}}}]}}}
"""


def test_a_world_in_a_file_is_opened_by_its_plugin_and_outlives_the_connector(tmp_path):
    path = tmp_path / "world.json"
    path.write_text(WORLD)
    context = Context(system="crm", base=tmp_path)
    connector = plugin.connect(plugin.options(path="world.json"), context)
    start = listed(connector)[-1].cursor
    made = write(connector, Create(key="k", fields={"email": " BO@example.com ", "stage": "b"}))
    assert made.record["email"] == "bo@example.com"
    write(connector, Delete(key="d", id="7"))
    write(connector, Archive(key="a", id=made.id))
    write(connector, Restore(key="r", id=made.id))
    connector.close()

    later = plugin.connect(plugin.options(path="world.json"), context)
    [page] = listed(later, start)
    assert (list(page.ids), page.deleted) == ([made.id], ("7",))
    assert write(later, Create(key="k", fields={"email": "bo@example.com"})) == made
    assert isinstance(refused(later, Create(key="l", fields={"email": "bo@example.com"})), AlreadyExists)
    assert write(later, Create(key="m", fields={})).id not in {"7", made.id}


def test_a_person_can_edit_a_world_in_a_file_between_runs(tmp_path):
    path = tmp_path / "world.json"
    path.write_text(WORLD)
    connector = FileConnector(path)
    start = listed(connector)[-1].cursor
    world = load_world(path)
    world["people"].edit("7", name="Ada")
    world["people"].archive(world["people"].insert(name="Bo"))
    save_world(world, path)
    again = load_world(path)
    assert again["people"].records() == world["people"].records()
    assert [list(page.ids) for page in listed(FileConnector(path), start)] == [["7"]]
    assert again["people"]["7"]["amount"] == Decimal("1.20")


def test_typed_values_survive_the_file(tmp_path):
    values = {
        "a": Decimal("1.20"),
        "b": datetime(2026, 1, 1, 12, tzinfo=UTC),
        "c": date(2026, 1, 1),
        "d": time(12, 30),
        "e": b"\x00\xff",
        "f": ["x", {"y": None}],
    }
    world = MemoryWorld()
    world.add("things", [Field(name=name) for name in values]).insert(**values)
    save_world(world, tmp_path / "w.json")
    assert load_world(tmp_path / "w.json")["things"].records() == {"1": values}


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"resources": {"a": {}}}', '{"resources": {"a": {"fields": {"f": {"x": 1}}}}}']
)
def test_a_file_that_holds_no_world_is_named(tmp_path, text):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(ResourceError, match=r"broken\.json"):
        FileConnector(path).check()


def test_a_missing_file_is_named_at_the_first_call_and_not_before(tmp_path):
    connector = plugin.connect(MemoryOptions(path="none.json"), Context(system="crm", base=tmp_path))
    with pytest.raises(ResourceError, match=r"none\.json"):
        connector.check()


def test_a_world_with_a_nameless_normaliser_cannot_be_saved(tmp_path):
    world, _, _ = people(manners=Manners(normalise={"name": trim}))
    with pytest.raises(ResourceError, match="name"):
        save_world(world, tmp_path / "w.json")
