"""Documents that a test follows: their fenced blocks in order, and a shell that runs them as a reader would."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_SCRIPTS = {
    "pip": "from pip._internal.cli.main import main",
    "pytest": "from pytest import console_main as main",
    "syncengine": "from syncengine.cli.main import main",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A fenced block: its language, its text, and the heading it stands under."""

    language: str
    text: str
    heading: str


def blocks(document: Path) -> list[Block]:
    """The fenced blocks of a document."""
    found, heading, language, lines = [], "", None, []
    for line in document.read_text("utf-8").splitlines():
        if language is None and line.startswith("```"):
            language, lines = line[3:], []
        elif language is not None and line == "```":
            found.append(Block(language=language, text="\n".join(lines) + "\n", heading=heading))
            language = None
        elif language is not None:
            lines.append(line)
        elif line.startswith("#"):
            heading = line.lstrip("# ")
    assert language is None, f"{document} has a block that does not end"
    return found


class Shell:
    """
    Bash in a folder, with a virtual environment of its own that sees whatever the running interpreter has.

    What is installed into it stays there; the folder is remembered from block to block.
    """

    def __init__(self, folder: Path):
        self.home = self.folder = folder
        self.environment = folder / "environment"
        command = [sys.executable, "-m", "venv", "--without-pip", str(self.environment)]
        subprocess.run(command, check=True, timeout=120)
        [own] = (self.environment / "lib").glob("python*/site-packages")
        # `addsitedir` also follows the .pth files there, which is how an editable syncengine is found.
        outer = sysconfig.get_paths()["purelib"]
        (own / "outer.pth").write_text(f"import site; site.addsitedir({outer!r})\n")
        for name, load in _SCRIPTS.items():
            script = self.environment / "bin" / name
            script.write_text(f"#!{self.environment}/bin/python\nimport sys\n{load}\nsys.exit(main())\n")
            script.chmod(0o755)

    def run(self, text: str, *, timeout: float = 300) -> tuple[int, str]:
        """Run a block; returns the exit code of its last command and all that was printed."""
        where = self.home / "where"
        script = f"{text}\ncode=$?\npwd > {where}\nexit $code\n"
        # Into a file: a process that a block leaves running would keep a pipe open.
        printed = self.home / "printed"
        with printed.open("wb") as file:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=self.folder,
                env=self._variables(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        self.folder = Path(where.read_text().strip())
        return done.returncode, printed.read_text("utf-8")

    def _variables(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_", "PIP_NO_BUILD"))}
        path = os.pathsep.join([str(self.environment / "bin"), str(Path(sys.executable).parent), kept.get("PATH", "")])
        more = {"PATH": path, "TZ": "UTC", "NO_COLOR": "1", "COLUMNS": "200", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        if importlib.util.find_spec("hatchling"):
            more["PIP_NO_BUILD_ISOLATION"] = "0"  # pip reads it the other way round: no isolation, so no download
        return kept | more


def lasting(text: str) -> str:
    """Output without what differs from run to run: times, dates, run numbers, counts of the kit's tests."""
    for pattern, instead in (
        (r"\b\d+\.\d s\b", "T s"),
        (r"\brun \d+\b", "run N"),
        (r"\b\d{4}-\d\d-\d\d\b", "DATE"),
        (r"\b\d+ (pass|do not apply|per second|runs of the engine|kill points passed)\b", r"N \1"),
        (r"\b[0-9a-f]{10}\b", "HASH"),
    ):
        text = re.sub(pattern, instead, text)
    return text


def assert_shown(shown: str, output: str) -> None:
    """Every line that a document shows stands in the output, in that order; `...` stands for any lines."""
    wanted = [line.rstrip() for line in lasting(shown).splitlines() if line.strip() not in {"", "..."}]
    rest = [line.rstrip() for line in lasting(output).splitlines()]
    for line in wanted:
        assert line in rest, f"the document shows\n  {line}\nand the output is\n{output}"
        rest = rest[rest.index(line) + 1 :]
