"""The far side of a memory resource, as the conformance kit asks for it: a person's hands, and every trouble there is."""

from __future__ import annotations

from collections.abc import Callable

from syncengine.connector import Fields, Hint
from syncengine.errors import OutcomeUnknown, TransientError
from syncengine.testing.memory.log import Call, CallKind, Moment
from syncengine.testing.memory.resource import MemoryResource
from syncengine.testing.memory.world import MemoryWorld


class MemoryFarSide:
    """Every door that `syncengine.testing.conformance.FarSide` names, on one resource of a world."""

    def __init__(self, world: MemoryWorld, resource: MemoryResource) -> None:
        self.world = world
        self.resource = resource

    def insert(self, fields: Fields) -> str:
        """A person adds a record."""
        return self.resource.insert(**fields)

    def edit(self, id: str, fields: Fields) -> None:
        """A person changes a record."""
        self.resource.edit(id, **fields)

    def remove(self, id: str) -> None:
        """A person deletes a record."""
        self.resource.remove(id)

    def conceal(self, id: str) -> None:
        """Nobody can tell from now on whether the record is there."""
        self.resource.conceal(id)

    def expire_cursors(self) -> None:
        """No cursor minted so far can be resumed."""
        self.resource.expire_cursors()

    def refuse_credentials(self) -> None:
        """Nobody is let in from now on."""
        self.world.denied = True

    def calls(self) -> int:
        """Calls received so far."""
        return len(self.world.calls)

    def deliver(self, hint: Hint) -> tuple[dict[str, str], bytes]:
        """A webhook."""
        return self.world.delivery(hint)

    def fail_page(self, number: int) -> None:
        """Page `number` of the next listing cannot be read."""
        pages = iter(range(number))

        def on_call(call: Call, moment: Moment) -> None:
            if call.kind is CallKind.PAGE and moment is Moment.BEFORE and next(pages, None) is None:
                self.world.on_call = None
                raise TransientError("the page could not be read")

        self.world.on_call = on_call

    def fail_write(self) -> None:
        """The next write is refused before anything of it is applied."""
        self._at_next_write(Moment.BEFORE, _refuse)

    def lose_answer(self) -> None:
        """The next write is applied and its answer lost."""
        self._at_next_write(Moment.AFTER, _lose)

    def step_in(self, action: Callable[[], None]) -> None:
        """Call `action` when the next write is applied and not yet answered."""
        self._at_next_write(Moment.AFTER, action)

    def _at_next_write(self, wanted: Moment, action: Callable[[], None]) -> None:
        def on_call(call: Call, moment: Moment) -> None:
            if call.kind is CallKind.WRITE and moment is wanted:
                self.world.on_call = None
                action()

        self.world.on_call = on_call


def _refuse() -> None:
    raise TransientError("the write was refused before it began")


def _lose() -> None:
    raise OutcomeUnknown("the write was sent, and no answer came back")
