"""
From bytes to lines of text without losing where each line stands in the file.

Encodings are told by the byte order mark, by the zero bytes of UTF-16 without one, or by the `encoding` option; otherwise it
is UTF-8. Lines keep their line ends. A NUL or a byte sequence that the encoding does not know is a `ResourceError` with
its place.
"""

from __future__ import annotations

import codecs
import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import accumulate, chain, islice
from pathlib import Path
from typing import Final

from connectors.files.disk import BLOCK
from syncengine.errors import ResourceError

HEAD = 1 << 16
BUFFER = 1 << 17
LINES = 500

MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16 LE, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WIDTHS: Final = {"utf-16-le": 2, "utf-16-be": 2, "utf-32-le": 4, "utf-32-be": 4}
ONE_BYTE: Final = {"ascii", "latin-1", "iso8859-1", "cp1252", "iso8859-15"}
LINE_END: Final = re.compile(r"\r\n|\r|\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """How the text of a file is written: the codec, and the byte order mark the file begins with."""

    codec: str
    mark: bytes = b""

    @property
    def width(self) -> int:
        """Bytes of the smallest unit."""
        return WIDTHS.get(self.codec, 1)

    def measure(self) -> Callable[[str], int]:
        """A function that tells how many bytes a text takes."""
        codec = self.codec
        if codec in ONE_BYTE:
            return len
        if codec == "utf-8":
            return lambda text: len(text) if text.isascii() else len(text.encode())
        return lambda text: len(text.encode(codec))


def usable_encoding(name: str) -> str:
    """
    The codec's own name, if a file in it can be changed in one place without touching the rest; else ValueError.

    Codecs with shift states (UTF-7, ISO-2022) cannot: what a byte means depends on what stands before it.
    """
    try:
        codec = codecs.lookup(name)
        plain = "aé".encode(codec.name, "replace").decode(codec.name)[:1] == "a"
    except (LookupError, ValueError, TypeError):
        plain, codec = False, None
    if codec is None or not plain or codec.name.startswith(("iso2022", "hz", "utf-7", "unicode", "raw", "idna", "puny")):
        raise ValueError(f"{name!r} is not an encoding that files can be kept in; try utf-8, utf-16, cp1252 or latin-1")
    return codec.name


def detect(head: bytes, chosen: str | None) -> Encoding:
    """The encoding of a file that begins with `head`; `chosen` comes from the option, as `usable_encoding` gave it."""
    for mark, codec in MARKS:
        if head.startswith(mark) and (chosen is None or chosen.startswith("utf")):
            return Encoding(codec=codec, mark=mark)
    if chosen == "utf-8-sig":
        return Encoding(codec="utf-8")
    if chosen not in {None, "utf-16", "utf-32"}:
        assert chosen is not None
        return Encoding(codec=chosen)
    if chosen == "utf-32":
        return Encoding(codec="utf-32-le")
    zeros = tuple(byte == 0 for byte in head[:4])
    if zeros in {(False, True, False, True), (False, True)} or (chosen == "utf-16" and zeros[:2] != (True, False)):
        return Encoding(codec="utf-16-le")
    if zeros in {(True, False, True, False), (True, False)}:
        return Encoding(codec="utf-16-be")
    return Encoding(codec="utf-8")


def decoded_head(head: bytes, encoding: Encoding, path: Path) -> str:
    """The text of the first bytes of a file, as far as it is whole."""
    try:
        return codecs.getincrementaldecoder(encoding.codec)("strict").decode(head[len(encoding.mark) :])
    except UnicodeDecodeError as error:
        raise undecodable(path, encoding) from error


class Watched(io.RawIOBase):
    """Raw bytes from the start of a file, refusing NUL characters and keeping a digest of everything that passed."""

    def __init__(self, file: io.FileIO, path: Path, encoding: Encoding, *, digest: bool = False) -> None:
        self._file = file
        self._path = path
        self._width = encoding.width
        self._encoding = encoding
        self._seen = hashlib.blake2b(digest_size=16) if digest else None
        file.seek(0)
        mark = file.read(len(encoding.mark)) if encoding.mark else b""
        self._position = len(mark)
        if self._seen is not None:
            self._seen.update(mark)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override] # any writable buffer, says typeshed
        size = self._file.readinto(buffer) or 0
        block = bytes(buffer[:size])
        zero = block.find(bytes(self._width))
        while zero >= 0 and (zero + self._position - len(self._encoding.mark)) % self._width:
            zero = block.find(bytes(self._width), zero + 1)
        if zero >= 0:
            line = line_at(self._path, self._encoding, self._position + zero)
            raise ResourceError(
                f"{self._path}, line {line}: there is a NUL character at byte {self._position + zero};"
                " the file is damaged or not a text file: restore it, or set `encoding` if it is in another encoding"
            )
        if self._seen is not None:
            self._seen.update(block)
        self._position += size
        return size

    def digest(self) -> bytes:
        """BLAKE2b-128 of the bytes read so far, byte order mark included."""
        assert self._seen is not None
        return self._seen.digest()


def text_of(watched: Watched, encoding: Encoding, *, newline: str) -> io.TextIOWrapper:
    """The text behind the byte order mark; `newline` as for `open`: "" splits at any line end, a line feed only there."""
    return io.TextIOWrapper(io.BufferedReader(watched, BUFFER), encoding=encoding.codec, errors="strict", newline=newline)


class Measured:
    """
    Lines of text together with the bytes they begin at.

    Lines are taken from the text a block ahead; `take` gives the places of those that the reader has used, in step.
    `end` is where the last block ends, `last` the last line.
    """

    __slots__ = ("_lines", "_size", "_starts", "end", "last")

    def __init__(self, lines: Iterator[str], encoding: Encoding) -> None:
        self._lines = lines
        self._size = encoding.measure()
        self._starts: list[int] = []
        self.end = len(encoding.mark)
        self.last = "\n"

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self._blocks())

    def _blocks(self) -> Iterator[list[str]]:
        while block := list(islice(self._lines, LINES)):
            *starts, end = accumulate(map(self._size, block), initial=self.end)
            self._starts.extend(starts)
            self.end = end
            self.last = block[-1]
            yield block

    def take(self, count: int) -> list[int]:
        """Where each of the next `count` lines begins."""
        taken = self._starts[:count]
        del self._starts[:count]
        return taken


def undecodable(path: Path, encoding: Encoding) -> ResourceError:
    """The complaint about a file that is not in its encoding, with the place of the first wrong byte."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("strict")
    place = ""
    with path.open("rb") as file:
        position = file.seek(len(encoding.mark))
        while True:
            block = file.read(BLOCK)
            kept = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                offset = position - kept + error.start
                place = f", line {line_at(path, encoding, offset)}, byte {offset}"
                break
            if not block:
                break
            position += len(block)
    return ResourceError(
        f'{path}{place}: the text is not {encoding.codec}; set `encoding` (say "cp1252" or "latin-1"), or save it as UTF-8'
    )


def line_at(path: Path, encoding: Encoding, offset: int) -> int:
    """The number of the line, counted from 1, that holds the byte at `offset`."""
    decoder = codecs.getincrementaldecoder(encoding.codec)("replace")
    feeds = returns = pairs = 0
    ended = False
    with path.open("rb") as file:
        left = offset - file.seek(len(encoding.mark))
        while left > 0 and (block := file.read(min(left, BLOCK))):
            left -= len(block)
            text = decoder.decode(block)
            feeds += text.count("\n")
            returns += text.count("\r")
            pairs += text.count("\r\n") + (ended and text.startswith("\n"))
            ended = text.endswith("\r")
    return 1 + feeds + returns - pairs
