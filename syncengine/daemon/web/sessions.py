"""
Who is at the other end: signed session cookies, and how often a wrong token may be tried.

A session is a random number and a time, signed; nothing of it is kept here, so that a restart signs nobody out. The key
derives from the token: a new token ends every session.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from dataclasses import dataclass

from syncengine.engine.ports import Clock, Tokens

LASTS = 7 * 86_400
"""Seconds until a session ends and the token is asked for again."""

_SKEW = 300
_PARTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One browser. `signed_in`: it has shown the token."""

    number: str
    began: int
    signed_in: bool


class Sessions:
    """Makes, signs and recognises sessions."""

    def __init__(self, token: str | None, clock: Clock, tokens: Tokens) -> None:
        secret = token or tokens.token() + tokens.token()
        self._key = hmac.digest(secret.encode(), b"syncengine sessions 1", "sha256")
        self._clock = clock
        self._tokens = tokens

    def start(self, *, signed_in: bool) -> Session:
        """A new session."""
        return Session(number=self._tokens.token(), began=int(self._clock.now()), signed_in=signed_in)

    def cookie(self, session: Session) -> str:
        """The session as the value of a cookie."""
        text = _text(session)
        return f"{text}.{self._sign(text)}"

    def read(self, cookie: str | None) -> Session | None:
        """The session that we gave out as this cookie, unless it is over."""
        parts = (cookie or "").split(".")
        if len(parts) != _PARTS:
            return None
        number, began, kind, signature = parts
        if not same(signature, self._sign(f"{number}.{began}.{kind}")):
            return None
        session = Session(number=number, began=int(began), signed_in=kind == "in")
        age = self._clock.now() - session.began
        return session if -_SKEW <= age < LASTS else None

    def form_token(self, session: Session) -> str:
        """What every form of this session carries, and no other site can know."""
        return self._sign(f"form.{session.number}")

    def is_form_token(self, session: Session, text: str) -> bool:
        return same(text, self.form_token(session))

    def _sign(self, text: str) -> str:
        return hmac.new(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def same(one: str, two: str) -> bool:
    """Compare secrets in a time that tells nothing about them."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), two.encode("utf-8", "surrogatepass"))


def _text(session: Session) -> str:
    return f"{session.number}.{session.began}.{'in' if session.signed_in else 'out'}"


class Attempts:
    """
    Wrong tokens by address: a few at once, then one every few seconds. A right token counts for nothing while an address waits,
    or the limit would be none.
    """

    at_once = 10
    every = 6.0
    remembered = 4096

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, float] = OrderedDict()

    def may_try(self, address: str) -> bool:
        """Whether this address may show a token now."""
        return self._debt(address) <= (self.at_once - 1) * self.every

    def note_failure(self, address: str) -> None:
        """Count a wrong token."""
        now = self._clock.monotonic()
        self._failed[address] = now + self._debt(address) + self.every
        self._failed.move_to_end(address)
        while len(self._failed) > self.remembered:
            self._failed.popitem(last=False)

    def _debt(self, address: str) -> float:
        return max(0.0, self._failed.get(address, 0.0) - self._clock.monotonic())
