"""
The oracle between runs and at the end: SQL on the state, and the four things that hold after every history.

Converged, nothing lost, nothing doubled, everything accounted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from syncengine.core.codec import decode
from syncengine.core.decision import LinkState
from syncengine.core.model import Deletes, Direction, Keyless, PairSpec, Side
from syncengine.engine.report import RunReport
from syncengine.store.database import end_of, pack, unpack
from syncengine.store.links import shadows
from syncengine.testing.simulate.bounds import in_scope
from syncengine.testing.simulate.crash import Violation
from syncengine.testing.simulate.farside import Row
from syncengine.testing.simulate.ghost import NOTHING, Atom, atoms
from syncengine.testing.simulate.ledger import everywhere
from syncengine.testing.simulate.pair import Pair
from syncengine.testing.simulate.shapes import Shape
from syncengine.testing.simulate.world import World


def learn_partners(world: World) -> None:
    """Tell the ghosts who is linked with whom."""
    for number, left, right in world.connection.execute(
        "SELECT pair, left_id, right_id FROM link WHERE state IN ('live','suspended')"
    ).fetchall():
        one, two = str(left), str(right)
        ghost = world.pair(number).ghost
        ghost.partner[Side.LEFT, one] = two
        ghost.partner[Side.RIGHT, two] = one
        ghost.partners.setdefault((Side.LEFT, one), set()).add(two)
        ghost.partners.setdefault((Side.RIGHT, two), set()).add(one)


def check_reports(world: World, reports: Sequence[RunReport]) -> None:
    """The accounts balance, inside the engine and against the far sides."""
    world.protocol.check_books(reports)


def check_state(world: World) -> None:
    """What must hold in the state after any commit: looked at after every run and every crash."""
    counts, connection = world.counts, world.connection
    counts["I3"] += 1
    counts["I11"] += 1
    for number, left_id, right_id, left, right, state, owner in connection.execute(
        "SELECT id, left_id, right_id, left_shadow, right_shadow, state, pair FROM link WHERE state='live'"
    ).fetchall():
        ids = {Side.LEFT: unpack(left_id), Side.RIGHT: unpack(right_id)}
        both = dict(zip(Side, shadows(left, right), strict=True))
        pair = world.pair(owner)
        for shape in pair.setup.shapes:
            if shape.references is not None or (number, shape.name) in pair.apart:
                continue
            names = {side: shape.native(side) for side in Side}
            if any(names[side] not in both[side] for side in Side):
                continue
            one, two = (atoms(shape, both[side][names[side]]) for side in Side)
            if one != two and not _is_image_put_back(world, pair, ids, shape):
                raise Violation("I3", f"the shadows of link {number} ({state}) disagree about {shape.name}: {one} and {two}")
    open_twice = connection.execute(
        "SELECT link FROM intent WHERE state IN ('sent','unknown','parked') AND link IS NOT NULL GROUP BY link HAVING count(*)>1"
    ).fetchone()
    if open_twice is not None:
        raise Violation("I11", f"two open intents on link {open_twice[0]}")
    world.protocol.check_cursors()


def _is_image_put_back(world: World, pair: Pair, ids: Mapping[Side, str | None], shape: Shape) -> bool:
    """
    Whether a person took our write back to an old value that its system may have made of it ("Ann" for "Anna"), where no answer
    told what was stored: DESIGN 9 takes it for noise, and nobody could tell.
    """
    for side in Side:
        if pair.setup.capabilities(side).returns_record:
            continue
        marks = pair.ghost.cells.get((side, str(ids[side]), shape.name), [])
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


def is_rightful(world: World, pair: Pair, approval: str) -> bool:
    """Whether the operator, who knows the truth, approves: every delete that was asked for is a real one."""
    for (item,) in world.connection.execute(
        "SELECT item FROM approval_item WHERE pair=? AND hash=?", (pair.number, approval)
    ).fetchall():
        op, _, rest = item.partition("|")
        if op in ("delete", "archive"):
            side, left, right = rest.split("|")
            partner = right if side == "left" else left
            if partner in pair.far[Side(side).other].live:
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
    counts["L5"] += any(manners.picky for manners in world.setup.manners.values())
    unresolved = world.connection.execute("SELECT id, state FROM intent WHERE state IN ('sent','unknown')").fetchone()
    if unresolved is not None:
        raise Violation("L4", f"intent {unresolved[0]} is still {unresolved[1]} long after every late arrival")
    _check_waits(world)
    _check_questions(world)
    world.protocol.check_end()
    for pair in world.pairs:
        _check_pair(world, pair)


def _check_pair(world: World, pair: Pair) -> None:
    linked: dict[Side, set[str]] = {Side.LEFT: set(), Side.RIGHT: set()}
    for number, state, left, right in world.connection.execute(
        "SELECT id, state, left_id, right_id FROM link WHERE pair=?", (pair.number,)
    ).fetchall():
        ids = {Side.LEFT: unpack(left), Side.RIGHT: unpack(right)}
        if state in (LinkState.LIVE.value, LinkState.SUSPENDED.value):
            for side in Side:
                linked[side].add(str(ids[side]))
            _check_scope(world, pair, number, state, ids)
        if state == LinkState.LIVE.value:
            _check_link(world, pair, number, ids)
    for side in Side:
        for id_ in pair.far[side].live:
            if id_ not in linked[side]:
                _check_unlinked(world, pair, side, id_)
    _check_doubles(world, pair, linked)


def _check_scope(world: World, pair: Pair, number: int, state: str, ids: Mapping[Side, str | None]) -> None:
    """A link is suspended exactly where one of its records is outside the filter."""
    rows = {side: row for side in Side if (row := pair.far[side].live.get(str(ids[side]))) is not None}
    if len(rows) < len(Side) or any(_is_waiting(world, pair, side, ids[side]) for side in Side):
        return
    outside = [side for side in Side if not in_scope(pair.setup, side, rows[side].fields)]
    if outside and state == LinkState.LIVE.value:
        raise Violation("L3", f"link {number} goes on, but its {outside[0].value} record is outside the filter")
    if not outside and state == LinkState.SUSPENDED.value:
        raise Violation("L3", f"link {number} is suspended, but both its records are inside the filters")


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


def _check_link(world: World, pair: Pair, number: int, ids: Mapping[Side, str | None]) -> None:
    missing = [side for side in Side if ids[side] not in pair.far[side].live]
    if missing:
        if not any(_is_waiting(world, pair, side, ids[side]) for side in Side):
            raise Violation("L1", f"link {number} is live, but its {missing[0].value} record {ids[missing[0]]} is gone")
        return
    for shape in pair.setup.shapes:
        _check_field(world, pair, number, ids, shape)


def _check_field(world: World, pair: Pair, number: int, ids: Mapping[Side, str | None], shape: Shape) -> None:
    rows = {side: pair.far[side].live[str(ids[side])] for side in Side}
    values = {side: rows[side].fields[shape.native(side)] for side in Side}
    asked = world.connection.execute(
        "SELECT 1 FROM inbox WHERE link=? AND field=? AND status IN ('open','chosen')", (number, shape.name)
    ).fetchone()
    if asked is not None or (number, shape.name) in pair.apart:
        return
    if shape.references is not None:
        left, right = (values[side] for side in Side)
        agree = left == right is None or (
            left is not None and right is not None and pair.ghost.partner.get((Side.LEFT, str(left))) == right
        )
    else:
        agree = atoms(shape, values[Side.LEFT]) == atoms(shape, values[Side.RIGHT])
    if not agree:
        if shape.references and _is_stale(world, pair, values):
            world.counts["excused: a reference to a record that is gone or was linked anew"] += 1
            return
        if any(_is_waiting(world, pair, side, ids[side]) for side in Side) or pair.setup.spec.direction is not Direction.BOTH:
            world.counts["differ and wait"] += 1
            return
        if _is_image_put_back(world, pair, ids, shape):
            return
        raise Violation(
            "L1", f"link {number}: {shape.name} differs, and nothing says why: {values[Side.LEFT]!r}, {values[Side.RIGHT]!r}"
        )
    if shape.references is None:
        _check_latest(world, pair, ids, shape, atoms(shape, values[Side.LEFT]))


def _is_stale(world: World, pair: Pair, values: Mapping[Side, object]) -> bool:
    """Whether a reference names a record that is gone or was linked anew; one that was made anew for its link is followed."""
    for side in Side:
        value = values[side]
        if value is None or _was_made_anew(world, pair, side, str(value)):
            continue
        if value not in pair.far[side].live or len(pair.ghost.partners.get((side, str(value)), ())) > 1:
            return True
    return False


def _was_made_anew(world: World, pair: Pair, side: Side, id_: str) -> bool:
    row = world.connection.execute(
        "SELECT 1 FROM intent WHERE pair=? AND op='create' AND state='done' AND side=? AND record=?",
        (pair.number, side.value, pack(id_)),
    ).fetchone()
    return row is not None


def _check_latest(
    world: World, pair: Pair, ids: Mapping[Side, str | None], shape: Shape, agreed: frozenset[tuple[str, object]]
) -> None:
    """What both sides hold is what a person wrote last, or what was written last is kept in the attic."""
    ghost = pair.ghost
    marks = [(mark, side) for side in Side if (mark := ghost.last_by_person((side, str(ids[side]), shape.name))) is not None]
    if not marks:
        return
    mark, side = max(
        marks, key=lambda found: ghost.stands_since((found[1], str(ids[found[1]]), shape.name), found[0], ids[found[1].other])
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
            _kept(world, pair, shape, atom)
            # An email is from a small pool: where somebody else typed it on the other side, nobody can tell the two apart.
            or ghost.introduced[side.other].get((shape.name, atom), -1) > (author.seq if atom[0] != "key" else -1)
        ):
            continue
        raise Violation("LOST", f"{shape.name} of {ids[side]} ({side.value}): the last thing a person wrote, {atom}, is nowhere")


def _kept(world: World, pair: Pair, shape: Shape, atom: tuple[str, object]) -> bool:
    return any(
        atom in atoms(shape, decode(value)["value"])
        for (value,) in everywhere(
            world.states, "SELECT value FROM attic WHERE pair=? AND field IN (?, ?)", (pair.number, shape.left, shape.right)
        )
    )


def _is_waiting(world: World, pair: Pair, side: Side, id_: str | None) -> bool:
    if id_ is None:
        return False
    row = world.connection.execute(
        "SELECT reason FROM pending WHERE end=? AND id=?", (end_of(pair.number, side), pack(id_))
    ).fetchone()
    return row is not None


def _check_unlinked(world: World, pair: Pair, side: Side, id_: str) -> None:
    """An unlinked record is listed with its reason, or the pair's policies leave it alone."""
    spec = pair.setup.spec
    row = pair.far[side].live[id_]
    value = row.fields[pair.setup.email.native(side)]
    if atoms(pair.setup.email, value) == NOTHING and spec.keyless is Keyless.SKIP:
        return
    if _is_waiting(world, pair, side, id_) or not spec.direction.allows(side.other):
        return
    if not in_scope(pair.setup, side, row.fields) or not _would_be_in_scope(pair, side, row):
        return
    dead = world.connection.execute(
        f"SELECT id FROM link WHERE pair=? AND {side.value}_id=? AND state='dead'", (pair.number, pack(id_))
    ).fetchone()
    if dead is not None and (pair.configs.ever(_lets_alone) or pair.chosen):
        return  # once let alone, always: that a policy changed since tells nothing of a deletion long ago
    if dead is not None and pair.configs.ever(lambda each: bool(each.filters)):
        world.counts["let alone, for its partner was deleted while a filter was on"] += 1
        return
    if dead is not None and _shares_key(world, pair, side, id_):
        world.counts["survivor of a dead link with an ambiguous key"] += 1
        return
    raise Violation("L3", f"{id_} on the {side.value} is not linked, and nothing says why")


def _lets_alone(spec: PairSpec) -> bool:
    """Whether a config leaves a record there whose partner was deleted."""
    return spec.deletes in (Deletes.IGNORE, Deletes.ASK) or spec.direction is not Direction.BOTH


def _would_be_in_scope(pair: Pair, side: Side, row: Row) -> bool:
    """Whether what would be made of a record on the other side is inside the filter there."""
    made = {shape.native(side.other): row.fields[shape.native(side)] for shape in pair.setup.shapes}
    return in_scope(pair.setup, side.other, made)


def _shares_key(world: World, pair: Pair, side: Side, id_: str) -> bool:
    """Whether another record with this record's key waits for a human."""
    key = atoms(pair.setup.email, pair.far[side].live[id_].fields[pair.setup.email.native(side)])
    return any(
        _is_waiting(world, pair, each, row.id)
        for each in Side
        for row in pair.far[each].live.values()
        if row.id != id_ and atoms(pair.setup.email, row.fields[pair.setup.email.native(each)]) == key
    )


def _check_doubles(world: World, pair: Pair, linked: Mapping[Side, set[str]]) -> None:
    """No record that the engine made is left over without its link."""
    for (side, id_), source in pair.ghost.made_from.items():
        is_left_over = id_ in pair.far[side].live and id_ not in linked[side] and pair.ghost.partner.get((side, id_)) is None
        if is_left_over and source in pair.far[side.other].live and not _is_waiting(world, pair, side, id_):
            if pair.oracle.is_past_recognition(side, id_):
                # 2.8, the last row: with no key to replay and nothing left of what was sent, no look can tell that it was ours.
                world.counts["excused: left over, for it was edited beyond recognition while in doubt"] += 1
                continue
            if pair.oracle.was_away(side, id_):
                world.counts["excused: left over, for a person took it away while in doubt, and brought it back"] += 1
                continue
            if any(pair.oracle.has_hidden.values()):
                # Hole 22 of 3.9: a side that hid it from the first look on cannot be told from one that never had it.
                world.counts["excused: left over, for its system had denied having it"] += 1
                continue
            raise Violation("I5", f"{id_} on the {side.value} was made for {source}, which does not know it")
