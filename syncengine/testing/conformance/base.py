"""The class that the author of a connector subclasses, with its gating and its strict waivers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import pytest

from syncengine.testing.conformance.bench import Bench
from syncengine.testing.conformance.demand import Demand, demand_of, names_of
from syncengine.testing.conformance.report import Note
from syncengine.testing.conformance.themes.conditional import ConditionalWrites
from syncengine.testing.conformance.themes.creating import Creating
from syncengine.testing.conformance.themes.cursors import Cursors
from syncengine.testing.conformance.themes.honesty import Honesty
from syncengine.testing.conformance.themes.identity import Identity
from syncengine.testing.conformance.themes.looking import Looking
from syncengine.testing.conformance.themes.manners import Manners
from syncengine.testing.conformance.themes.reading import Reading
from syncengine.testing.conformance.themes.removing import Removing
from syncengine.testing.conformance.themes.values import Values
from syncengine.testing.conformance.themes.writing import Writing
from syncengine.testing.conformance.world import FarSide, Waiver, World


class ConnectorConformance(
    Honesty, Identity, Reading, Cursors, Looking, Creating, Writing, ConditionalWrites, Removing, Values, Manners
):
    """
    The contract as tests. Subclass it in a test file, say what the remote is like, and give the fixture `connector`.

    Optional fixtures: `far_side` (what a person, or trouble, can do past the connector) and `reopen` (opens a second
    connector to the same place, which the test closes). A test that asks for more than there is skips with the reason.
    A kit test cannot be overridden; what a connector cannot pass is waived by name, with a reason.
    """

    world: ClassVar[World]
    waivers: ClassVar[tuple[Waiver, ...]] = ()

    @pytest.fixture
    def connector(self) -> Any:
        """A connector, open, on a resource as `World` describes it; closed by the fixture."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture `connector` that opens the connector under test")

    @pytest.fixture
    def far_side(self) -> FarSide:
        """The system past the connector; see `FarSide`. None: nothing is known of it."""
        return None

    @pytest.fixture
    def reopen(self) -> Callable[[], Any] | None:
        """Open another connector to the same place; None: it cannot be done."""
        return None

    @pytest.fixture
    def bench(
        self, request: pytest.FixtureRequest, connector: Any, far_side: FarSide, reopen: Callable[[], Any] | None
    ) -> Iterator[Bench]:
        """The workbench of a test that suits this connector; any other is skipped, or waived, with its reason."""
        demand = demand_of(request.function)
        name = name_of(request, demand)
        waived = [each.test for each in self.waivers]
        bench = Bench(connector, self.world, far_side=far_side, reopen=reopen, test=name, waived=waived)
        waiver = next((each for each in self.waivers if each.test == name), None)
        undeclared = bench.undeclared(demand)
        lacking = bench.lacking(demand)
        request.node.user_properties.append(
            Note.of(type(self), demand, bench, undeclared=undeclared, lacking=lacking, waiver=waiver).as_property()
        )
        if undeclared:
            pytest.skip(f"does not declare {undeclared[0]}")
        if lacking:
            pytest.skip(lacking[0])
        if waiver is not None:
            request.applymarker(pytest.mark.xfail(reason=f"waived: {waiver.reason}", strict=True))
        yield bench
        bench.tidy()

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        tests = kit_tests()
        overridden = sorted(name for name in vars(cls) if name in tests)
        if overridden:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(overridden)}: the kit's tests stand; waive with a reason instead"
            )
        known = {name for test, function in tests.items() for name in names_of(test, demand_of(function))}
        for waiver in cls.waivers:
            if not waiver.reason.strip():
                raise TypeError(f"{cls.__name__}: the waiver of {waiver.test} needs a reason")
            if waiver.test not in known:
                raise TypeError(f"{cls.__name__}: the waiver names {waiver.test!r}, and the kit has no such test")


def name_of(request: pytest.FixtureRequest, demand: Demand) -> str:
    """The test's name as a waiver writes it: parameters of the author's own fixtures are left out."""
    name: str = getattr(request.node, "originalname", request.node.name)
    for row, value in demand.parameters.items():
        if request.node.callspec.params[demand.argument] is value:
            return f"{name}[{row}]"
    return name


def kit_tests() -> dict[str, Callable[..., None]]:
    """Every test of the kit, by name, each with its parameters applied."""
    return {
        name: function
        for kind in ConnectorConformance.__mro__
        for name, function in vars(kind).items()
        if name.startswith("test_") and kind.__module__.startswith(__package__ or "")
    }


def _parametrise() -> None:
    """`over` becomes pytest's own parametrisation, once, when the kit is imported."""
    for function in kit_tests().values():
        demand = demand_of(function)
        if demand.parameters:
            marked = pytest.mark.parametrize(demand.argument, list(demand.parameters.values()), ids=list(demand.parameters))
            assert marked(function) is function, "pytest marks a function in place"


_parametrise()
