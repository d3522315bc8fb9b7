"""
Match keys: the normalised text by which the same thing is recognised on both sides.

Pure. A key only ever decides which records may be linked; it is never written anywhere. The algorithm is that of the
design's reliability reference, section 2.3: a key depends on the text alone, `key(key(x)) == key(x)`, and blank text has
no key. Dots and `+tags` of an email's local part are kept: what they mean is the provider's business.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final
from unicodedata import normalize

from orjson import dumps

from syncengine.core.unmappable import Unmappable

KEY_VERSION: Final = 1
"""Stands in the state beside the keys; raise it with every change to the algorithm."""

_INVISIBLE: Final = dict.fromkeys(
    [
        0x00AD,  # soft hyphen
        0x061C,  # Arabic letter mark
        0x180E,  # Mongolian vowel separator
        *range(0x200B, 0x2010),  # zero-width space, joiners, direction marks
        *range(0x202A, 0x202F),  # direction embeddings
        *range(0x2060, 0x2065),  # word joiner, invisible operators
        *range(0x2066, 0x2070),  # direction isolates
        0xFEFF,  # byte order mark
    ]
)
_SPACE: Final = re.compile(r"\s+")
_HOST: Final = re.compile(r"[a-z0-9._-]+")
_MAX_HOST: Final = 253  # RFC 1035; the idna codec takes quadratic time on longer ones


def text_key(text: str) -> str | None:
    """The key of a name: NFC, case-folded, without invisible characters, white space trimmed and collapsed."""
    if text.isascii():
        return " ".join(text.split()).lower() or None
    return _SPACE.sub(" ", _fold(_visible(text))).strip() or None


def email_key(text: str) -> str | None:
    """The key of an email address: invisible characters and outer space removed, case-folded, the host as A-label."""
    if text.isascii():
        return text.strip().lower() or None
    local, at, host = _visible(text).strip().rpartition("@")
    return (_fold(local) + at + _host(host)).strip() or None


def composite_key(parts: Sequence[str | None]) -> str | None:
    """One key of several parts, told apart unambiguously; None as soon as one part is blank."""
    if not parts or not all(parts):
        return None
    return parts[0] if len(parts) == 1 else dumps(parts).decode()


def _visible(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Unmappable("the text holds half of a surrogate pair, which no system can store: correct it there") from None
    return normalize("NFC", text.translate(_INVISIBLE))


def _fold(text: str) -> str:
    # Folding can undo the normal form and the other way round: https://www.unicode.org/versions/latest/ch03.pdf, D145.
    return normalize("NFC", normalize("NFD", normalize("NFD", text).casefold()).casefold())


def _host(host: str) -> str:
    folded = _fold(host)
    if folded.isascii() or len(folded) > _MAX_HOST:
        return folded
    try:
        label = folded.encode("idna").decode("ascii").lower()
    except UnicodeError:
        return folded
    return label if _HOST.fullmatch(label) else folded
