"""
Reading: both listings at once, page by page; what is unchanged costs a fingerprint and nothing more.

Rows that need a decision are staged. Absence is looked for only in a complete listing and confirmed by id.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from syncengine.connector import ABSENT, Fields, Native, Page, Record, Tombstone
from syncengine.core.decision import Decision, Write
from syncengine.core.detect import Presence
from syncengine.core.mapping import Unmappable, UnresolvedKey
from syncengine.core.model import Side
from syncengine.engine.context import Context, Seen
from syncengine.errors import CursorExpired, Interrupted, ProtocolError
from syncengine.store.staging import Staged

_GET_BATCH = 500


def read_both(context: Context, *, cursors: dict[Side, str | None]) -> None:
    """
    Read both sides and stage what needs a decision.

    `cursors` tells where to resume; None reads a side whole. Raises what a connector raises, and Interrupted when asked to stop:
    a listing that did not come to its end is no listing, and nothing is decided on half of it.
    """
    store, pair = context.store, context.pair.number
    counts = store.records.counts(pair)
    for side in Side:
        listing = context.listings[side]
        listing.begun = context.ports.clock.now()
        listing.known = counts[side]
        listing.full = cursors[side] is None
        listing.seen = Seen(bytearray(store.records.newest(pair, side) + 1))
    sources = {side: _pages(context, side, cursors[side]) for side in Side}
    done = 0
    for side, page in context.ports.executor.interleave(sources):
        _take(context, side, page)
        done += len(page.ids)
        context.ports.progress.update(context.rule.name, "read", done, page.total)
        _go_on(context)
    for side in Side:
        listing = context.listings[side]
        delivered = listing.seen.unchanged + listing.seen.staged
        if listing.full:
            # A side that still shows something it held before, or never held anything, can be believed when it says no.
            listing.healthy = listing.complete and (delivered > 0 or listing.known == 0)
        if listing.full and listing.complete and delivered < listing.known:
            left_out = sum(fetch(context, side, ids, absent=True) for ids in store.records.unseen(pair, side, listing.seen.marks))
            if left_out:
                context.notes.append(
                    f"{context.remotes[side].end}: a complete listing left out {left_out} records that are there when read by id"
                )
    _fetch_pending(context)


def _go_on(context: Context) -> None:
    if context.ports.stop():
        msg = f"{context.rule.name}: asked to stop while it was being read"
        raise Interrupted(msg)


def must_sweep(context: Context, side: Side) -> bool:
    """Whether nothing that a side is known to hold could be found: only a full listing tells an empty side from a blind one."""
    unread = context.store.records.unread(context.pair.number, side)
    return unread > 0 and context.store.records.counts(context.pair.number)[side] <= unread


def records_read(context: Context, side: Side) -> int:
    """Distinct live records that this run was delivered, by listing or by id."""
    return context.listings[side].seen.unchanged + context.store.staging.count(side, Presence.PRESENT)


def read_some(context: Context, ids: dict[Side, list[str]]) -> None:
    """Read these records by id, and their partners; nothing is concluded about any other record."""
    for side, count in context.store.records.counts(context.pair.number).items():
        context.listings[side].known = count
        context.listings[side].narrow = True
    for side in Side:
        fetch(context, side, ids[side])
    fetch_partners(context)


def _pages(context: Context, side: Side, cursor: str | None) -> Iterator[Page]:
    remote = context.remotes[side]
    try:
        yield from remote.read(cursor)
    except CursorExpired:
        if cursor is None:
            msg = f"{remote.end}: a read without a cursor raised CursorExpired (contract sentence 3)"
            raise ProtocolError(msg) from None
        context.listings[side].full = True
        yield from remote.read(None)


def _take(context: Context, side: Side, page: Page) -> None:
    remote, listing = context.remotes[side], context.listings[side]
    if page.fields != remote.columns:
        missing = sorted(set(remote.columns) - set(page.fields))
        if missing:
            msg = f"{remote.end}: a page lacks the fields {', '.join(missing)} that read was asked for (contract sentence 1)"
            raise ProtocolError(msg)
        places = [page.fields.index(name) for name in remote.columns]
        rows: Sequence[tuple[Native, ...]] = [tuple(row[place] for place in places) for row in page.rows]
    else:
        rows = page.rows
    listing.complete = page.complete
    if page.cursor is not None:
        listing.cursor = page.cursor
    if page.ids:
        changed = _changed(context, side, page, rows)
        if changed:
            _stage(context, side, page, rows, changed)
    if page.deleted:
        known = {str(id_) for id_, _, _ in context.store.records.known(context.pair.number, side, page.deleted)}
        # One that an earlier page of this very listing brought may be gone by now as well.
        fetch(context, side, sorted(known | context.store.staging.present(side, page.deleted)), absent=True)


def _changed(context: Context, side: Side, page: Page, rows: Sequence[tuple[Native, ...]]) -> list[tuple[int, bytes]]:
    """(index, fingerprint) of the rows that differ from what the state settled. The hot loop of every run."""
    fingerprints = context.fingerprinter.rows(rows)
    ids, listing = page.ids, context.listings[side]
    if not listing.known:
        return list(enumerate(fingerprints))
    records, pair, seen = context.store.records, context.pair.number, listing.seen
    nearby = records.neighbours(pair, side, ids) if listing.full else []
    if len(nearby) == len(ids):
        # Most pages of most runs are exactly as the state has them: three comparisons of whole columns prove it.
        known_ids, known_prints, numbers = zip(*nearby, strict=True)
        if known_prints == tuple(fingerprints) and known_ids == tuple(ids) and seen.pass_over(numbers):
            return []
    known = {id_: (print_, n) for id_, print_, n in nearby}
    if missing := [id_ for id_ in ids if id_ not in known]:
        known |= {id_: (print_, n) for id_, print_, n in records.known(pair, side, missing)}
    changed: list[tuple[int, bytes]] = []
    for index, (id_, fingerprint) in enumerate(zip(ids, fingerprints, strict=True)):
        if id_ not in known:
            changed.append((index, fingerprint))
            continue
        print_, n = known[id_]
        if print_ == fingerprint:
            seen.leave(n)
        else:
            seen.stage(n)
            changed.append((index, fingerprint))
    return changed


def _stage(
    context: Context, side: Side, page: Page, rows: Sequence[tuple[Native, ...]], changed: Sequence[tuple[int, bytes]]
) -> None:
    columns = context.remotes[side].columns
    links = context.store.links.of_records(context.pair.number, side, [page.ids[index] for index, _ in changed])
    staged = []
    for index, fingerprint in changed:
        id_ = page.ids[index]
        fields = {name: value for name, value in zip(columns, rows[index], strict=True) if value is not ABSENT}
        staged.append(
            Staged(
                side=side,
                id=id_,
                presence=Presence.PRESENT,
                fields=fields,
                fingerprint=fingerprint,
                key=match_key(context, side, fields),
                link=links.get(id_),
                version=page.versions[index] if page.versions is not None else None,
                modified_at=page.modified_at[index] if page.modified_at is not None else None,
                provisional=id_ in page.provisional,
            )
        )
    context.store.staging.put(staged)


def match_key(context: Context, side: Side, fields: Fields) -> str | None:
    """The match key, None where there is none or it cannot be told yet; deciding tells these apart."""
    try:
        return context.rule.key(side, fields, context.resolver.resolve)
    except (UnresolvedKey, Unmappable):
        return None


def key_of_create(context: Context, decision: Decision, write: Write) -> str | None:
    """The match key of what a create makes; for an old link it is made anew, and the decision names none."""
    return decision.key or match_key(context, write.side, write.fields)


def stage_record(context: Context, side: Side, record: Record, *, link: int | None) -> Staged:
    """A record read by id, staged."""
    columns = context.remotes[side].columns
    fields = {name: value for name in columns if (value := record.fields.get(name, ABSENT)) is not ABSENT}
    return Staged(
        side=side,
        id=record.id,
        presence=Presence.PRESENT,
        fields=fields,
        fingerprint=context.fingerprinter.rows([tuple(record.fields.get(name, ABSENT) for name in columns)])[0],
        key=match_key(context, side, fields),
        link=link,
        version=record.version,
        modified_at=record.modified_at,
    )


def fetch(context: Context, side: Side, ids: Sequence[str], *, absent: bool = False) -> int:
    """
    Read records by id and stage what was found: there, gone, or could not tell. Returns how many are there.

    `absent`: a complete listing or a tombstone said they are gone. "Gone" counts only from a side that proves healthy, or of a
    record that this run had proved gone before; otherwise the record stays unknown, and waits.
    """
    store, pair = context.store, context.pair.number
    found = 0
    if not ids or not context.remotes[side].is_readable:
        return found  # what it holds is what we wrote, as far as anybody can know
    for start in range(0, len(ids), _GET_BATCH):
        _go_on(context)
        batch = list(ids[start : start + _GET_BATCH])
        links = store.links.of_records(pair, side, batch)
        numbers = {str(id_): n for id_, _, n in store.records.known(pair, side, batch)}
        answers = context.remotes[side].get(batch)
        listing = context.listings[side]
        listing.healthy |= not listing.full and any(isinstance(answer, Record) and answer.id in numbers for answer in answers)
        missing = [answer.id for answer in answers if not isinstance(answer, Record)]
        staged = []
        for answer in answers:
            link = links.get(answer.id)
            if isinstance(answer, Record):
                if answer.id in numbers:
                    listing.seen.stage(numbers[answer.id])
                staged.append(stage_record(context, side, answer, link=link))
            elif isinstance(answer, Tombstone) and (
                absent
                or store.staging.is_gone(side, answer.id)
                # Nor did a listing show it. Where that showed nothing at all, the guard asks before anything comes of it.
                or (answer.id not in numbers and listing.full and listing.complete)
                # A side that held nothing when the run began has proved nothing about what it was found to hold since.
                or ((listing.known > 0 or answer.id not in numbers) and (listing.healthy or is_healthy(context, side, missing)))
            ):
                staged.append(Staged(side=side, id=answer.id, presence=Presence.GONE, link=link))
            else:
                staged.append(Staged(side=side, id=answer.id, presence=Presence.UNKNOWN, link=link))
        store.staging.put(staged)
        found += sum(row.presence is Presence.PRESENT for row in staged)
    return found


def is_healthy(context: Context, side: Side, suspects: Iterable[str] = ()) -> bool:
    """
    Whether a side's "no such record" can be believed: it still shows a record that it is known to hold.

    A complete listing proved it already; otherwise a few known records, none of the suspects, are read by id. A side that
    never held anything has nothing to show.
    """
    listing = context.listings[side]
    if listing.healthy or listing.full:
        return listing.healthy
    if listing.known == 0:
        listing.healthy = True
        return True
    avoid = set(suspects)
    known = [id_ for id_ in context.store.records.some(context.pair.number, side, 3 + len(avoid)) if id_ not in avoid][:3]
    listing.healthy = any(isinstance(answer, Record) for answer in context.remotes[side].get(known))
    return listing.healthy


def _fetch_pending(context: Context) -> None:
    """Records that wait are decided in every run: read by id those that the listings did not bring."""
    for side, rows in context.store.records.pending(context.pair.number).items():
        waiting = [pending.id for pending in rows]
        staged = context.store.staging.present(side, waiting)
        fetch(context, side, [id_ for id_ in waiting if id_ not in staged])


def fetch_partners(context: Context) -> None:
    """Read by id the partners of staged records, where this run was told about one side only."""
    store = context.store
    after = 0
    while numbers := store.staging.links(after=after, limit=_GET_BATCH):
        after = numbers[-1]
        staged = store.staging.of_links(numbers)
        for side in Side:
            wanted = [
                id_
                for number, link in store.links.load(numbers).items()
                if side not in staged[number] and (id_ := link.side(side).id) is not None
            ]
            fetch(context, side, wanted)
