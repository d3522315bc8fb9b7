"""What follows from an error, and when raising proves that nothing was applied."""

from __future__ import annotations

import pytest

from syncengine.core.verdict import Fate, applied_nothing, verdict
from syncengine.errors import (
    AlreadyExists,
    AuthError,
    CursorExpired,
    NotFound,
    OutcomeUnknown,
    ProtocolError,
    RecordError,
    Rejected,
    ResourceError,
    TransientError,
    VersionConflict,
)

FATES = {
    TransientError: (Fate.RETRY, True),
    OutcomeUnknown: (Fate.DOUBT, False),
    RecordError: (Fate.RECORD, True),
    Rejected: (Fate.RECORD, True),
    NotFound: (Fate.RECORD, True),
    AlreadyExists: (Fate.RECORD, True),
    VersionConflict: (Fate.RECORD, True),
    CursorExpired: (Fate.REREAD, False),
    AuthError: (Fate.STOP, True),
    ResourceError: (Fate.STOP, True),
    ProtocolError: (Fate.STOP, False),
    ValueError: (Fate.STOP, False),
    TimeoutError: (Fate.STOP, False),
    KeyboardInterrupt: (Fate.STOP, False),
}


@pytest.mark.parametrize("kind", FATES)
def test_every_error_has_one_fate_and_only_the_contract_proves_that_nothing_was_applied(kind: type[BaseException]) -> None:
    error = kind("what happened")
    assert (verdict(error), applied_nothing(error)) == FATES[kind]
