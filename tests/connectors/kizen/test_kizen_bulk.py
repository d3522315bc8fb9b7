"""Bulk calls of the connector: what may share one, what goes out, and what counts as proof; time passes in the gate alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from syncengine.connector import Archive, Change, Combiner, Failed, Native, SetChange, Update, Written
from syncengine.errors import AuthError, NotFound, OutcomeUnknown, Rejected, TransientError, VersionConflict
from tests.connectors.kizen.crm import CONTACTS, DEALS, THINGS, Crm

NUMBER = 10


@dataclass
class Time:
    """The server's clock and the connector's gate: a pause is all that moves it."""

    now: datetime = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)
    pauses: list[float] = field(default_factory=list)
    meanwhile: Callable[[], object] | None = None

    def __call__(self) -> datetime:
        self.now += timedelta(milliseconds=1)
        return self.now

    def before(self) -> None: ...

    def after(self, status: int | None, retry_after: float | None) -> None: ...

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += timedelta(seconds=seconds)
        if self.meanwhile is not None:
            self.meanwhile()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def crm(start: Callable[..., Crm], time: Time) -> Crm:
    crm = start(clock=time)
    crm.kizen.gate = time
    crm.kizen.resources()[THINGS]
    return crm


def things(crm: Crm, number: int = NUMBER, **values: Any) -> list[str]:
    return [crm.server.add_record(THINGS, name=f"Thing {n}", **values) for n in range(number)]


def archives(ids: Sequence[str]) -> list[Change]:
    return [Archive(key=f"k{index}", id=id_) for index, id_ in enumerate(ids)]


def updates(ids: Sequence[str], **fields: Native) -> list[Change]:
    return [Update(key=f"k{index}", id=id_, fields=fields) for index, id_ in enumerate(ids)]


def wrote(crm: Crm, changes: Sequence[Change], resource: str = THINGS) -> list[Any]:
    """The outcomes of one call, in order."""
    outcomes = list(crm.kizen.write(resource, changes))
    assert [outcome.key for outcome in outcomes] == [change.key for change in changes]
    return outcomes


def errors(outcomes: Sequence[Any]) -> list[type]:
    return [type(outcome.error) for outcome in outcomes if isinstance(outcome, Failed)]


def test_it_has_the_skill(crm: Crm) -> None:
    assert isinstance(crm.kizen, Combiner)


def test_what_is_alike_shares_a_call_and_nothing_else(crm: Crm) -> None:
    """Archives; updates of one and the same single field to one and the same value; at least eight, at most five hundred."""
    ids = things(crm, 60)
    changes = [
        *archives(ids[:9]),
        *updates(ids[9:18], line="a"),
        *updates(ids[18:25], line="b"),
        *updates(ids[25:34], line="a", whole=1),
        *updates(ids[34:43], whole=1),
        *updates(ids[43:52], whole=True),
    ]
    changes = [type(one)(**{**_parts(one), "key": f"k{n}"}) for n, one in enumerate(changes)]
    mark = crm.mark
    calls = crm.kizen.combine(THINGS, changes)
    assert crm.mark == mark
    assert sorted(len(call) for call in calls) == [*[1] * 16, 9, 9, 9, 9]
    assert sorted(change.key for call in calls for change in call) == sorted(change.key for change in changes)


def _parts(change: Change) -> dict[str, Any]:
    return {name: getattr(change, name) for name in change.__slots__}


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "Same"},
        {"line": None},
        {"line": ""},
        {"mail": "a@example.com"},
        {"phone": "+13125550100"},
        {"labels": SetChange(add=("VIP",))},
        {"labels": ["VIP"]},
        {"parts": ["Top"]},
        {"maker": "0b8f6d0e-2f7a-4c52-9c6f-3a3c2d6f7a10"},
        {"papers": []},
        {"created": datetime(2026, 1, 1, tzinfo=UTC)},
        {"nonsense": 1},
    ],
)
def test_what_nobody_has_seen_in_a_bulk_call_goes_one_by_one(crm: Crm, fields: dict[str, Native]) -> None:
    """Names (archived ones may have them), blanks, sets, relations, and what the platform writes in a form of its own."""
    changes = updates(things(crm), **fields)
    assert [len(call) for call in crm.kizen.combine(THINGS, changes)] == [1] * NUMBER


def test_stages_go_one_by_one(crm: Crm) -> None:
    """They have an endpoint of their own."""
    crm.kizen.resources()[DEALS]
    deals = [crm.server.add_record(DEALS, name=f"Deal {n}") for n in range(NUMBER)]
    assert [len(call) for call in crm.kizen.combine(DEALS, updates(deals, stage="Won"))] == [1] * NUMBER


def test_without_a_gate_nobody_could_wait_so_all_go_one_by_one(start: Callable[..., Crm]) -> None:
    crm = start()
    ids = things(crm)
    assert [len(call) for call in crm.kizen.combine(THINGS, archives(ids))] == [1] * NUMBER
    assert errors(wrote(crm, archives(ids))) == []
    assert "bulk_archive" not in crm.actions()


@pytest.mark.parametrize(
    ("name", "native"),
    [
        ("line", "same"),
        ("story", "a longer story"),
        ("whole", 7),
        ("ratio", Decimal("2.5")),
        ("price", Decimal("12.75")),
        ("day", datetime(2026, 2, 3, tzinfo=UTC).date()),
        ("moment", datetime(2026, 2, 3, 4, 5, tzinfo=UTC)),
        ("ticked", True),
        ("colour", "Blue"),
        ("colour", "b"),
        ("size", "M"),
        ("phase", "Done"),
        ("sure", "Yes"),
        ("stars", 4),
        ("keeper", "bob@example.com"),
        ("zone", "Europe/Berlin"),
        ("secret_note", "hidden"),
    ],
)
def test_one_value_for_many(crm: Crm, name: str, native: Native) -> None:
    """Every type that a bulk call takes: one call writes it everywhere, and a read by id shows what a single write would store."""
    ids = things(crm, NUMBER + 1)
    alone = ids.pop()
    assert errors(wrote(crm, updates([alone], **{name: native}))) == []
    mark = crm.mark
    outcomes = wrote(crm, updates(ids, **{name: native}))
    assert outcomes == [Written(key=f"k{index}", id=id_) for index, id_ in enumerate(ids)]
    assert [one for one in crm.actions(mark) if one != "team"] == ["object", "jobs", "bulk_change", "jobs", "get"]
    shown = {repr(crm.get(THINGS, id_, name).fields) for id_ in (*ids, alone)}
    assert len(shown) == 1


def test_contacts_share_calls_too(crm: Crm) -> None:
    crm.kizen.resources()[CONTACTS]
    ids = [crm.server.add_record(CONTACTS, email=f"p{n}@example.com") for n in range(NUMBER)]
    assert errors(wrote(crm, updates(ids, last_name="Same"), CONTACTS)) == []
    assert errors(wrote(crm, archives(ids), CONTACTS)) == []
    assert crm.server.records(CONTACTS) == []


def test_the_delay_is_paused_for_and_only_as_long_as_needed(crm: Crm, time: Time) -> None:
    """Two seconds at a time, by the gate: the connector does not sleep. Four calls prove ten archives."""
    crm.kizen.write(THINGS, archives(things(crm)))
    assert time.pauses == [2.0]
    crm.server.switch("bulk_delay", 5)
    mark = crm.mark
    assert errors(wrote(crm, archives(things(crm)))) == []
    assert time.pauses == [2.0] * 4
    assert crm.actions(mark) == ["jobs", "bulk_archive", "jobs", "jobs", "jobs", "get"]


def test_a_job_that_is_not_done_in_time_is_in_doubt(crm: Crm, time: Time) -> None:
    """After four looks nobody knows, for any of them; from then on such changes go one by one, and so while the job is open."""
    crm.server.switch("bulk_delay", 60)
    ids = things(crm)
    assert errors(wrote(crm, updates(ids, line="same"))) == [OutcomeUnknown] * NUMBER
    assert time.pauses == [2.0] * 4
    assert [len(call) for call in crm.kizen.combine(THINGS, updates(ids, line="x"))] == [1] * NUMBER
    mark = crm.mark
    wrote(crm, archives(things(crm)))
    assert crm.actions(mark) == ["jobs", *["delete"] * NUMBER]


@pytest.mark.parametrize("committed", [True, False])
def test_a_lost_answer_leaves_all_in_doubt(crm: Crm, committed: bool) -> None:
    crm.server.fault("reset", path="/bulk-archive", committed=committed)
    mark = crm.mark
    assert errors(wrote(crm, archives(things(crm)))) == [OutcomeUnknown] * NUMBER
    assert crm.actions(mark)[1:] == ["jobs", "bulk_archive"]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_trouble_while_the_proof_is_read_leaves_all_in_doubt(crm: Crm, status: int) -> None:
    """The call was accepted: nothing that happens later may look as if nothing had been applied."""
    crm.server.fault("error", path="/bulk-action-progress$", status=status, skip=1)
    assert errors(wrote(crm, archives(things(crm)))) == [OutcomeUnknown] * NUMBER


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (429, TransientError)])
@pytest.mark.parametrize("path", ["/bulk-action-progress$", "/bulk-archive"])
def test_trouble_before_it_is_accepted_raises_and_applies_nothing(crm: Crm, path: str, status: int, error: type) -> None:
    """Sentence 6: raising means that nothing was applied."""
    ids = things(crm)
    crm.server.fault("error", path=path, status=status)
    with pytest.raises(error):
        crm.kizen.write(THINGS, archives(ids))
    assert len(crm.server.records(THINGS)) == NUMBER


@pytest.mark.parametrize("status", [400, 403, 404])
@pytest.mark.parametrize("path", ["/bulk-action-progress$", "/bulk-change", "/custom-objects/things$"])
def test_a_refused_bulk_call_is_made_one_by_one(crm: Crm, path: str, status: int) -> None:
    """Nothing was accepted, so the very same call writes them singly; and the next ones do not try again."""
    crm.server.fault("error", path=path, status=status, times=None)
    ids = things(crm)
    for value in ("one", "two"):
        assert errors(wrote(crm, updates(ids, line=value))) == []
        assert {one["line"] for one in crm.server.records(THINGS)} == {value}
    assert crm.actions().count("patch") == 2 * NUMBER
    assert crm.actions().count("bulk_change") <= 1


def test_those_that_the_job_refused_get_their_own_reason(crm: Crm) -> None:
    """One is archived already and one may not be edited: these fail, each with its reason, and the others are done."""
    ids = things(crm)
    crm.server.archive(ids[2])
    crm.server.permit(ids[5], editable=False)
    outcomes = wrote(crm, updates(ids, line="same"))
    failed = {index: type(one.error) for index, one in enumerate(outcomes) if isinstance(one, Failed)}
    assert failed == {2: NotFound, 5: Rejected}
    assert sorted(str(one.get("line")) for one in crm.server.records(THINGS)) == ["None", *["same"] * 8]
    assert crm.actions().count("patch") == 1


def test_one_that_may_not_be_archived_gets_its_own_reason(crm: Crm) -> None:
    """Where one is gone already, the archive of it is done."""
    ids = things(crm)
    crm.server.archive(ids[2])
    crm.server.permit(ids[5], editable=False)
    outcomes = wrote(crm, archives(ids))
    failed = {index: type(one.error) for index, one in enumerate(outcomes) if isinstance(one, Failed)}
    assert list(failed) == [5]
    assert [one["id"] for one in crm.server.records(THINGS)] == [ids[5]]


def test_an_edit_right_after_the_job_is_no_doubt_and_not_overwritten(crm: Crm, time: Time) -> None:
    """The last record holds something else when it is read as proof: that one is a conflict, the others are proved one by one."""
    ids = things(crm)

    def person() -> None:
        crm.server.settle()
        crm.server.edit(ids[-1], line="person")

    time.meanwhile = person
    outcomes = wrote(crm, updates(ids, line="same"))
    assert errors(outcomes) == [VersionConflict]
    assert isinstance(outcomes[-1], Failed)
    assert crm.server.record(ids[-1])["line"] == "person"


def test_a_strangers_job_proves_nothing(crm: Crm, time: Time) -> None:
    """Somebody's bulk call of as many records, done at once, while ours takes its time: ours is waited for."""
    mine, others = things(crm), things(crm)
    other = crm.connect()
    other.gate = Time()
    crm.server.switch("bulk_delay", 3)

    def stranger() -> None:
        time.meanwhile = None
        crm.server.switch("bulk_delay", 0)
        object_id = crm.server.object(THINGS).id
        other._open().api.bulk_archive(object_id, others)

    time.meanwhile = stranger
    assert errors(wrote(crm, updates(mine, line="same"))) == []
    assert time.pauses == [2.0, 2.0]
    other.close()


def test_nobody_is_sent_an_email_about_it(crm: Crm) -> None:
    """The platform mails the user about each bulk call unless it is told not to."""
    sent: list[Any] = []
    api = crm.kizen._open().api
    write = api._write
    api._write = lambda method, path, body, **more: (sent.append(body), write(method, path, body, **more))[1]  # type: ignore[method-assign]
    ids = things(crm)
    wrote(crm, updates(ids, line="same"))
    wrote(crm, archives(ids))
    assert [one["send_email_notification"] for one in sent] == [False, False]


def test_a_list_of_jobs_that_is_too_long_is_asked_for_by_time(crm: Crm, time: Time) -> None:
    """More jobs than a page holds: those begun since are asked for, and ours is among them."""
    object_id = crm.server.object(THINGS).id
    crm.server.switch("bulk_delay", 0)
    crm.server.switch("max_page_size", 5)
    api = crm.kizen._open().api
    for _ in range(7):
        api.bulk_archive(object_id, [])
        time.now += timedelta(minutes=1)
    mark = crm.mark
    assert errors(wrote(crm, archives(things(crm)))) == []
    assert crm.actions(mark) == ["object", "jobs", "jobs", "bulk_archive", "jobs", "get"]
    time.now += timedelta(minutes=1)
    mark = crm.mark
    assert errors(wrote(crm, archives(things(crm)))) == []
    assert crm.actions(mark) == ["jobs", "bulk_archive", "jobs", "get"]
