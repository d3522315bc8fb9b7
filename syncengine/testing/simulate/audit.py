"""
The oracle between runs and at the end: SQL on the state, and the four things that hold after every history.

Converged, nothing lost, nothing doubled, everything accounted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncengine.core.codec import decode
from syncengine.core.decision import LinkState
from syncengine.core.model import Deletes, Direction, Keyless, Side
from syncengine.engine.report import RunReport
from syncengine.store.database import end_of, pack, unpack
from syncengine.store.links import shadows
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.ghost import NOTHING, Atom, atoms
from syncengine.testing.simulate.setup import EMAIL, Shape
from syncengine.testing.simulate.world import World

_PAIR = 1


def learn_partners(world: World) -> None:
    """Tell the ghost who is linked with whom."""
    partner = world.ghost.partner
    for left, right in world.connection.execute(
        "SELECT left_id, right_id FROM link WHERE state IN ('live','suspended') "
    ).fetchall():
        one, two = str(left), str(right)
        partner[Side.LEFT, one] = two
        partner[Side.RIGHT, two] = one
        world.ghost.partners.setdefault((Side.LEFT, one), set()).add(two)
        world.ghost.partners.setdefault((Side.RIGHT, two), set()).add(one)


def check_reports(world: World, reports: Sequence[RunReport], before: Mapping[Side, int]) -> None:
    """The accounts balance, inside the engine and against the far sides."""
    world.counts["accounted"] += 1
    for report in reports:
        if "do not balance" in report.error:
            raise Violation("ACCOUNTED", report.error)
    del before


def check_state(world: World) -> None:
    """What must hold in the state after any commit: looked at after every run and every crash."""
    counts, connection = world.counts, world.connection
    counts["I3"] += 1
    counts["I11"] += 1
    for number, left_id, right_id, left, right, state in connection.execute(
        "SELECT id, left_id, right_id, left_shadow, right_shadow, state FROM link WHERE state='live'"
    ).fetchall():
        ids = {Side.LEFT: unpack(left_id), Side.RIGHT: unpack(right_id)}
        both = dict(zip(Side, shadows(left, right), strict=True))
        for shape in world.setup.shapes:
            if shape.references is not None or (number, shape.name) in world.apart:
                continue
            names = {side: shape.native(side) for side in Side}
            if any(names[side] not in both[side] for side in Side):
                continue
            one, two = (atoms(shape, both[side][names[side]]) for side in Side)
            if one != two and not _is_image_put_back(world, ids, shape):
                raise Violation("I3", f"the shadows of link {number} ({state}) disagree about {shape.name}: {one} and {two}")
    open_twice = connection.execute(
        "SELECT link FROM intent WHERE state IN ('sent','unknown','parked') AND link IS NOT NULL GROUP BY link HAVING count(*)>1"
    ).fetchone()
    if open_twice is not None:
        raise Violation("I11", f"two open intents on link {open_twice[0]}")


def _is_image_put_back(world: World, ids: Mapping[Side, str | None], shape: Shape) -> bool:
    """
    Whether a person took our write back to an old value that its system may have made of it ("Ann" for "Anna"), where no answer
    told what was stored: DESIGN 9 takes it for noise, and nobody could tell.
    """
    for side in Side:
        if world.setup.capabilities(side).returns_record:
            continue
        marks = world.ghost.cells.get((side, str(ids[side]), shape.name), [])
        for index, mark in enumerate(marks):
            put_back = marks[-1].by_person and any(each.atoms == marks[-1].atoms for each in marks[:index])
            if not mark.by_person and put_back and _begins(mark.atoms, marks[-1].atoms):
                world.counts["excused: an old value put back looks like an image of what was sent"] += 1
                return True
    return False


def _begins(sent: frozenset[Atom], now: frozenset[Atom]) -> bool:
    """Whether a text is the beginning of another one."""
    texts = [next((str(each) for kind, each in some if kind == "text"), "") for some in (sent, now)]
    return bool(texts[1]) and texts[0] != texts[1] and texts[0].startswith(texts[1])


def is_rightful(world: World, approval: str) -> bool:
    """Whether the operator, who knows the truth, approves: every delete that was asked for is a real one."""
    for (item,) in world.connection.execute(
        "SELECT item FROM approval_item WHERE pair=? AND hash=?", (_PAIR, approval)
    ).fetchall():
        op, _, rest = item.partition("|")
        if op in ("delete", "archive"):
            side, left, right = rest.split("|")
            partner = right if side == "left" else left
            if partner in world.far[Side(side).other].live:
                return False
    return not any(world.lies.values())


def waiting(world: World) -> list[tuple[object, ...]]:
    """What waits, and why: while this changes, the engine has not come to rest."""
    return world.connection.execute("SELECT end, id, reason FROM pending ORDER BY end, id").fetchall()


def check_end(world: World) -> None:
    """After healing: converged, nothing lost, nothing doubled, every record linked or listed with its reason."""
    counts = world.counts
    for name in ("converged", "nothing lost", "nothing doubled", "L3", "L4"):
        counts[name] += 1
    unresolved = world.connection.execute("SELECT id, state FROM intent WHERE state IN ('sent','unknown')").fetchone()
    if unresolved is not None:
        raise Violation("L4", f"intent {unresolved[0]} is still {unresolved[1]} long after every late arrival")
    _check_waits(world)
    _check_questions(world)
    linked: dict[Side, set[str]] = {Side.LEFT: set(), Side.RIGHT: set()}
    for number, state, left, right in world.connection.execute("SELECT id, state, left_id, right_id FROM link").fetchall():
        ids = {Side.LEFT: unpack(left), Side.RIGHT: unpack(right)}
        if state in (LinkState.LIVE.value, LinkState.SUSPENDED.value):
            for side in Side:
                linked[side].add(str(ids[side]))
        if state == LinkState.LIVE.value:
            _check_link(world, number, ids)
    for side in Side:
        for id_ in world.far[side].live:
            if id_ not in linked[side]:
                _check_unlinked(world, side, id_)
    _check_doubles(world, linked)


def _check_waits(world: World) -> None:
    """What waits at the end waits for a human, or for a record that waits for a human; nothing waits for a machine."""
    parked = world.connection.execute("SELECT 1 FROM intent WHERE state='parked'").fetchone() is not None
    ambiguous = world.connection.execute("SELECT 1 FROM pending WHERE reason IN ('ambiguous', 'conflict')").fetchone() is not None
    for end, id_, reason, detail in world.connection.execute("SELECT end, id, reason, detail FROM pending").fetchall():
        world.counts[f"waits at the end: {reason}"] += 1
        if (
            (reason == "in_doubt" and not parked)
            or (reason == "unread" and not parked)
            or (reason == "failed" and not parked)
            or (
                reason == "deferred"
                and not ambiguous
                and not parked
                and not any(word in detail for word in ("taken", "linked to another"))
            )
        ):
            raise Violation("L5", f"record {id_} of end {end} still waits ({reason}: {detail})")


def _check_questions(world: World) -> None:
    """Nobody is asked about what is no more."""
    row = world.connection.execute(
        "SELECT subject, kind, status FROM inbox WHERE status IN ('open','chosen') AND kind NOT IN ('edit_survived','met') AND "
        "((subject LIKE 'link:%' AND link NOT IN (SELECT id FROM link)) OR (subject LIKE 'intent:%' AND "
        "subject NOT IN (SELECT 'intent:' || id FROM intent WHERE state='parked')))"
    ).fetchone()
    if row is not None:
        raise Violation("L3", f"a question ({row[1]}, {row[2]}) about {row[0]}, which is no more")


def _check_link(world: World, number: int, ids: Mapping[Side, str | None]) -> None:
    missing = [side for side in Side if ids[side] not in world.far[side].live]
    if missing:
        if not any(_is_waiting(world, side, ids[side]) for side in Side):
            raise Violation("L1", f"link {number} is live, but its {missing[0].value} record {ids[missing[0]]} is gone")
        return
    for shape in world.setup.shapes:
        _check_field(world, number, ids, shape)


def _check_field(world: World, number: int, ids: Mapping[Side, str | None], shape: Shape) -> None:
    rows = {side: world.far[side].live[str(ids[side])] for side in Side}
    values = {side: rows[side].fields[shape.native(side)] for side in Side}
    asked = world.connection.execute(
        "SELECT 1 FROM inbox WHERE link=? AND field=? AND status IN ('open','chosen')", (number, shape.name)
    ).fetchone()
    if asked is not None or (number, shape.name) in world.apart:
        return
    if shape.references is not None:
        left, right = (values[side] for side in Side)
        agree = left == right is None or (
            left is not None and right is not None and world.ghost.partner.get((Side.LEFT, str(left))) == right
        )
    else:
        agree = atoms(shape, values[Side.LEFT]) == atoms(shape, values[Side.RIGHT])
    if not agree:
        if shape.references and _is_stale(world, values):
            world.counts["excused: a reference to a record that is gone or was linked anew"] += 1
            return
        if any(_is_waiting(world, side, ids[side]) for side in Side) or not world.setup.rule.spec.direction.allows(Side.LEFT):
            world.counts["differ and wait"] += 1
            return
        if _is_image_put_back(world, ids, shape):
            return
        raise Violation(
            "L1", f"link {number}: {shape.name} differs, and nothing says why: {values[Side.LEFT]!r}, {values[Side.RIGHT]!r}"
        )
    if shape.references is None:
        _check_latest(world, ids, shape, atoms(shape, values[Side.LEFT]))


def _is_stale(world: World, values: Mapping[Side, object]) -> bool:
    """Whether a reference names a record that is gone or was linked anew; one that was made anew for its link is followed."""
    for side in Side:
        value = values[side]
        if value is None or _was_made_anew(world, side, str(value)):
            continue
        if value not in world.far[side].live or len(world.ghost.partners.get((side, str(value)), ())) > 1:
            return True
    return False


def _was_made_anew(world: World, side: Side, id_: str) -> bool:
    row = world.connection.execute(
        "SELECT 1 FROM intent WHERE op='create' AND state='done' AND side=? AND record=?", (side.value, pack(id_))
    ).fetchone()
    return row is not None


def _check_latest(world: World, ids: Mapping[Side, str | None], shape: Shape, agreed: frozenset[tuple[str, object]]) -> None:
    """What both sides hold is what a person wrote last, or what was written last is kept in the attic."""
    ghost = world.ghost
    marks = [(mark, side) for side in Side if (mark := ghost.last_by_person((side, str(ids[side]), shape.name))) is not None]
    if not marks:
        return
    mark, side = max(
        marks, key=lambda pair: ghost.stands_since((pair[1], str(ids[pair[1]]), shape.name), pair[0], ids[pair[1].other])
    )
    if any(ghost.was_put_back((each, str(ids[each]), shape.name)) for each in Side):
        world.counts["not judged: a value that was put back"] += 1
        return
    if any((shape.name, atom) in ghost.excused for atom in mark.atoms):
        # A set is written as a whole: what the race excuses (2.8: an edit between the read and an unconditional write) took the
        # members that the edit had left alone with those that it had added.
        return
    lost = mark.atoms - agreed
    for atom in lost:
        author = ghost.author((side, str(ids[side]), shape.name), atom)
        if author is None or not author.by_person:
            continue  # a member that the person left in a set; the engine had brought it, so the other side had seen it
        if (
            _kept(world, shape, atom)
            # An email is from a small pool: where somebody else typed it on the other side, nobody can tell the two apart.
            or ghost.introduced[side.other].get((shape.name, atom), -1) > (author.seq if atom[0] != "key" else -1)
        ):
            continue
        raise Violation("LOST", f"{shape.name} of {ids[side]} ({side.value}): the last thing a person wrote, {atom}, is nowhere")


def _kept(world: World, shape: Shape, atom: tuple[str, object]) -> bool:
    return any(
        atom in atoms(shape, decode(value)["value"])
        for (value,) in world.connection.execute(
            "SELECT value FROM attic WHERE field IN (?, ?)", (shape.left, shape.right)
        ).fetchall()
    )


def _is_waiting(world: World, side: Side, id_: str | None) -> bool:
    if id_ is None:
        return False
    row = world.connection.execute("SELECT reason FROM pending WHERE end=? AND id=?", (end_of(_PAIR, side), pack(id_))).fetchone()
    return row is not None


def _check_unlinked(world: World, side: Side, id_: str) -> None:
    """An unlinked record is listed with its reason, or the pair's policies leave it alone."""
    spec = world.setup.spec
    value = world.far[side].live[id_].fields[EMAIL.native(side)]
    if atoms(EMAIL, value) == NOTHING and spec.keyless is Keyless.SKIP:
        return
    if _is_waiting(world, side, id_) or not spec.direction.allows(side.other):
        return
    dead = world.connection.execute(f"SELECT 1 FROM link WHERE {side.value}_id=? AND state='dead'", (pack(id_),)).fetchone()
    if dead is not None and (
        spec.deletes in (Deletes.IGNORE, Deletes.ASK) or spec.direction is not Direction.BOTH or world.chosen
    ):
        return
    if dead is not None and _shares_key(world, side, id_):
        world.counts["survivor of a dead link with an ambiguous key"] += 1
        return
    raise Violation("L3", f"{id_} on the {side.value} is not linked, and nothing says why")


def _shares_key(world: World, side: Side, id_: str) -> bool:
    """Whether another record with this record's key waits for a human."""
    key = atoms(EMAIL, world.far[side].live[id_].fields[EMAIL.native(side)])
    return any(
        _is_waiting(world, each, row.id)
        for each in Side
        for row in world.far[each].live.values()
        if row.id != id_ and atoms(EMAIL, row.fields[EMAIL.native(each)]) == key
    )


def _check_doubles(world: World, linked: Mapping[Side, set[str]]) -> None:
    """No record that the engine made is left over without its link."""
    for (side, id_), source in world.ghost.made_from.items():
        is_left_over = id_ in world.far[side].live and id_ not in linked[side] and world.ghost.partner.get((side, id_)) is None
        if is_left_over and source in world.far[side.other].live and not _is_waiting(world, side, id_):
            if world.oracle.is_past_recognition(side, id_):
                # 2.8, the last row: with no key to replay and nothing left of what was sent, no look can tell that it was ours.
                world.counts["excused: left over, for it was edited beyond recognition while in doubt"] += 1
                continue
            if any(world.oracle.has_hidden.values()):
                # Hole 22 of 3.9: a side that hid it from the first look on cannot be told from one that never had it.
                world.counts["excused: left over, for its system had denied having it"] += 1
                continue
            raise Violation("I5", f"{id_} on the {side.value} was made for {source}, which does not know it")
