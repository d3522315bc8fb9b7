"""
From a file to a document: TOML, `${NAME}` and `${file:PATH}` placeholders, the `.env` file beside the config.

Whatever is in the file, reading it ends in a `Document` or in problems, never in another exception.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

from syncengine.config.model import Toml
from syncengine.config.problems import Place, Problems
from syncengine.errors import ConfigError, Problem
from syncengine.wording import nearest, quoted

_LARGEST_FILE = 1 << 20
_LARGEST_SECRET = 1 << 16
_DEEPEST = 40
_PLACEHOLDER = re.compile(r"\$(\$?)\{([^{}]*)\}")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_TOML_POSITION = re.compile(r"^(?P<what>.*) \(at (?P<where>line \d+, column \d+|end of document)\)$", re.DOTALL)
_ENV_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_ENV_DOUBLE = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"\s*(?:#.*)?')
_ENV_SINGLE = re.compile(r"'(?P<text>[^']*)'\s*(?:#.*)?")
_ENV_ESCAPE = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """`written` is what stands in the file, `filled` the same with every placeholder filled in."""

    written: Toml
    filled: dict[str, object] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    problems: Problems


def read_document(path: Path, *, environ: Mapping[str, str]) -> Document:
    """Read and fill a config file. One that cannot be read at all raises ConfigError; missing placeholders are problems."""
    return fill_document(_parse(path, _read_text(path)), base=path.parent, environ=environ)


def fill_document(written: Toml, *, base: Path, environ: Mapping[str, str]) -> Document:
    """Fill the placeholders of a document; secret files and `.env` are looked for from `base`."""
    problems = Problems(written)
    filler = _Filler(base=base, environ=environ, problems=problems)
    filled = {key: filler.fill(value, (key,)) for key, value in written.items()}
    return Document(written=written, filled=filled, secrets=frozenset(filler.secrets), problems=problems)


def url_password(text: str) -> str | None:
    """The password inside a URL, as written."""
    try:
        return urlsplit(text).password
    except ValueError:
        return None


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        beside = [found.name for found in sorted(path.parent.glob("*.toml"))] if path.parent.is_dir() else []
        cure = nearest(path.name, beside) + " with --config" if beside else "write one with: syncengine init"
        raise _unreadable(path, "there is no such file", cure) from None
    except IsADirectoryError:
        raise _unreadable(path, "this is a folder", "name the TOML file in it with --config") from None
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "the name is not a valid path"
        raise _unreadable(path, f"the file cannot be read: {reason}", "check its name and permissions") from None
    if len(content) > _LARGEST_FILE:
        raise _unreadable(path, "the file is larger than 1 MiB", "a config is a small text file; is this the right one?")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _unreadable(path, f"line {line} is not UTF-8 text", "save the file with the encoding UTF-8") from None


def _small_text(path: Path) -> str:
    """Raises OverflowError for what is larger than any config."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        raise OverflowError
    return content.decode("utf-8-sig")


def _parse(path: Path, text: str) -> dict[str, object]:
    try:
        document = tomllib.loads(text, parse_float=Decimal)
    except RecursionError:
        raise _unreadable(path, "values are nested too deeply", "a config needs no such nesting") from None
    except (ValueError, ArithmeticError) as error:
        found = _TOML_POSITION.match(str(error))
        place = f"{path.name}, {found['where']}" if found else path.name
        wrong = found["what"] if found else "the file is not valid TOML"
        raise ConfigError([Problem(place=place, wrong=f"not valid TOML: {wrong}", cure=_toml_cure(wrong))]) from None
    if _depth(document) > _DEEPEST:
        raise _unreadable(path, "values are nested too deeply", "a config needs no such nesting")
    return document


def _toml_cure(wrong: str) -> str:
    if "Invalid value" in wrong:
        return 'text needs quotes: key = "text"'
    if "Cannot overwrite" in wrong or "twice" in wrong:
        return "each key and each table may stand once"
    return ""


def _unreadable(path: Path, wrong: str, cure: str) -> ConfigError:
    return ConfigError([Problem(place=str(path), wrong=wrong, cure=cure)])


def _depth(document: object) -> int:
    deepest, level = 0, [document]
    while level and deepest <= _DEEPEST:
        deepest += 1
        level = [child for value in level for child in _children(value)]
    return deepest


def _children(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        yield from value.values()
    elif isinstance(value, list):
        yield from value


class _Filler:
    """Fills placeholders in and remembers what was secret and what was missing."""

    def __init__(self, *, base: Path, environ: Mapping[str, str], problems: Problems) -> None:
        self.secrets: set[str] = set()
        self._problems = problems
        self._base = base
        self._environ = environ
        self._beside: Mapping[str, str] | None = None

    def fill(self, value: object, place: Place) -> object:
        if isinstance(value, str):
            return self._fill_text(value, place)
        if isinstance(value, dict):
            return {key: self.fill(child, (*place, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [self.fill(child, (*place, index)) for index, child in enumerate(value)]
        return value

    def _fill_text(self, text: str, place: Place) -> str:
        def answer(found: re.Match[str]) -> str:
            escaped, name = found.groups()
            if escaped:
                return found[0][1:]
            return self._secret(name, place) or ""

        filled = _PLACEHOLDER.sub(answer, text)
        if any(not found[1] for found in _PLACEHOLDER.finditer(text)):
            self._remember(filled)
        return filled

    def _secret(self, name: str, place: Place) -> str | None:
        source: Callable[[str, Place], str | None] = self._variable
        if name.startswith("file:"):
            source, name = self._file, name.removeprefix("file:")
        secret = source(name, place)
        if secret is not None:
            self._remember(secret)
        return secret

    def _remember(self, secret: str) -> None:
        password = url_password(secret) or ""
        self.secrets.update(filter(None, (secret, password, unquote(password))))

    def _variable(self, name: str, place: Place) -> str | None:
        if not _VARIABLE.fullmatch(name):
            return self._missing(
                place,
                f"{quoted(f'${{{name}}}')} names no environment variable",
                "write ${NAME}, ${file:PATH}, or $${ for a plain ${",
            )
        value = self._environ.get(name)
        if value is None:
            value = self._env_file().get(name)
        if value is None:
            return self._missing(
                place,
                f"the environment variable {name} is not set",
                f"set it, or write {name}=... into {self._base / '.env'}",
            )
        return value

    def _file(self, name: str, place: Place) -> str | None:
        path = self._base / name
        try:
            with path.open("rb") as file:
                content = file.read(_LARGEST_SECRET + 1)
            if len(content) > _LARGEST_SECRET:
                return self._missing(
                    place, f"the secret file {quoted(name)} is larger than 64 KiB", "name a file that holds only the secret"
                )
            return content.decode("utf-8-sig").rstrip("\r\n")
        except OSError as error:
            return self._missing(
                place, f"the secret file {quoted(name)} cannot be read: {error.strerror}", "check its path and permissions"
            )
        except ValueError:
            return self._missing(
                place, f"the secret file {quoted(name)} holds no UTF-8 text", "name a file that holds only the secret"
            )

    def _missing(self, place: Place, wrong: str, cure: str) -> str | None:
        self._problems.add(place, wrong, cure)
        return None

    def _env_file(self) -> Mapping[str, str]:
        """What the `.env` file says; read only when the environment lacks a variable, so a foreign file does no harm."""
        if self._beside is None:
            path = self._base / ".env"
            self._beside = {}
            try:
                text = _small_text(path) if path.is_file() else ""
            except (OSError, UnicodeDecodeError):
                text = ""
                self._problems.add(
                    (".env",), "the file cannot be read as UTF-8 text", "check its encoding and permissions", called=".env"
                )
            except OverflowError:
                text = ""
                self._problems.add((".env",), "the file is larger than 1 MiB", "it holds secrets, a line each", called=".env")
            self._beside, wrong_lines = parse_env(text)
            for line in wrong_lines:
                self._problems.add(
                    (".env", line),
                    "this line is not KEY=VALUE",
                    "quote values with spaces, start comments with #",
                    called=f".env line {line}",
                )
        return self._beside


def parse_env(text: str) -> tuple[Mapping[str, str], list[int]]:
    r"""
    The variables of a `.env` file, and the numbers of the lines that are none.

    `KEY=VALUE`, an optional `export`, comments after `#`; single quotes keep everything, double quotes know
    `\n`, `\t`, `\r`, `\"` and `\\`. The last of two lines with the same key wins.
    """
    values: dict[str, str] = {}
    wrong: list[int] = []
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        found = _ENV_LINE.fullmatch(stripped)
        value = _env_value(found["value"]) if found else None
        if found is None or value is None:
            wrong.append(number)
        else:
            values[found["name"]] = value
    return values, wrong


def _env_value(text: str) -> str | None:
    if text.startswith('"'):
        double = _ENV_DOUBLE.fullmatch(text)
        return (
            _ENV_ESCAPE.sub(lambda found: {"n": "\n", "t": "\t", "r": "\r"}.get(found[1], found[1]), double["text"])
            if double
            else None
        )
    if text.startswith("'"):
        single = _ENV_SINGLE.fullmatch(text)
        return single["text"] if single else None
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].rstrip()
