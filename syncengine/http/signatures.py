"""
Proofs that a delivery is genuine: signatures after Standard Webhooks (standardwebhooks.com), and shared secrets. Pure.

A signature is `v1,` and the base64 of HMAC-SHA256 over `ID.TIMESTAMP.BODY`; a header may hold several, apart by spaces, while a
secret is being replaced. A secret reads `whsec_` and the base64 of at least 24 bytes.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Final

from syncengine.errors import AuthError

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"

WINDOW: Final = 300.0
"""How many seconds a delivery may be older or newer than our clock says: a recorded one is of no use for long."""

_PREFIX: Final = "whsec_"
_SHORTEST_KEY: Final = 24
_MOST_SIGNATURES: Final = 16
_SECONDS: Final = re.compile(r"\d{1,12}", re.ASCII)


def signing_key(secret: str) -> bytes:
    """The bytes of a secret; raises ValueError, which does not hold it, for one that is too short or no base64."""
    try:
        key = b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"is not {_PREFIX} and base64") from None
    if len(key) < _SHORTEST_KEY:
        raise ValueError(f"has less than {_SHORTEST_KEY} bytes")
    return key


def sign(secret: str, *, id: str, at: int, body: bytes) -> dict[str, str]:
    """The three headers of a delivery; `at` in epoch seconds."""
    return {ID: id, TIMESTAMP: str(at), SIGNATURE: f"v1,{_signature(signing_key(secret), id, str(at), body)}"}


def prove_signed(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, *, now: float) -> None:
    """
    Raise AuthError unless one of the secrets signed this delivery, at about `now` (epoch seconds).

    Every secret is tried with every signature, in a time that does not tell how much of one was right.
    """
    given = {name.lower(): value for name, value in headers.items()}
    missing = [name for name in (ID, TIMESTAMP, SIGNATURE) if not given.get(name)]
    if missing:
        msg = f"the header {missing[0]} is missing: deliveries are signed after Standard Webhooks"
        raise AuthError(msg)
    if not _SECONDS.fullmatch(given[TIMESTAMP]):
        msg = f"the header {TIMESTAMP} is no time in whole seconds"
        raise AuthError(msg)
    signatures = given[SIGNATURE].split(" ")[:_MOST_SIGNATURES]
    known = [f"v1,{_signature(key, given[ID], given[TIMESTAMP], body)}" for key in _keys(secrets)]
    # Collected first, so that all of them are compared.
    matches = [_same(one, other) for one in known for other in signatures]
    if not any(matches):
        msg = "the signature does not fit: another secret, or a body that was changed on its way"
        raise AuthError(msg)
    if abs(now - int(given[TIMESTAMP])) > WINDOW:
        msg = f"it was signed more than {WINDOW:.0f} seconds ago, or ahead of our clock: send it anew, and compare both clocks"
        raise AuthError(msg)


def prove_shared(secrets: Sequence[str], given: str, *, header: str) -> None:
    """Raise AuthError unless the value of a header is one of the secrets."""
    matches = [_same(secret, given) for secret in secrets]
    if not any(matches):
        msg = f"the header {header} does not hold the secret" if given else f"the header {header} with the secret is missing"
        raise AuthError(msg)


def _keys(secrets: Sequence[str]) -> list[bytes]:
    """The secrets that can sign; one that is only good as a shared secret signed nothing."""
    keys = []
    for secret in secrets:
        with suppress(ValueError):
            keys.append(signing_key(secret))
    return keys


def _signature(key: bytes, id: str, at: str, body: bytes) -> str:
    return b64encode(hmac.digest(key, f"{id}.{at}.".encode("utf-8", "surrogateescape") + body, sha256)).decode()


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
