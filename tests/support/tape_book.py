"""
Many cassettes of vcrpy in one file, each answer written down once: a description of an object is the same in a hundred tests.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import vcr
from vcr.persisters.filesystem import CassetteNotFoundError
from vcr.serialize import deserialize, serialize
from vcr.serializers import jsonserializer

_KEPT = frozenset({"content-type", "retry-after"})
_PLACE = "http://127.0.0.1:8070"
"""Where every recording claims to have been made."""


class TapeBook:
    """A persister for vcrpy, and the recorder that uses it. A tape holds no header of a request, so no credential."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._book: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.exists() else {"answers": {}, "tapes": {}}

    @property
    def names(self) -> set[str]:
        """The names of all tapes."""
        return set(self._book["tapes"])

    def tape(self, name: str, mode: str) -> Any:
        """A context in which HTTP is recorded (`once`) or played (`none`)."""
        recorder = vcr.VCR(
            record_mode=mode,
            match_on=["method", "uri", "raw_body"],
            before_record_request=_without_place_and_headers,
            before_record_response=_without_most_headers,
        )
        recorder.register_persister(self)
        return recorder.use_cassette(name)

    def load_cassette(self, name: object, serializer: object) -> Any:
        """The tape of this name; as vcrpy asks for it."""
        del serializer
        tape = self._book["tapes"].get(str(name))
        if tape is None:
            raise CassetteNotFoundError
        played = [
            {
                "request": {"method": method, "uri": _PLACE + path, "body": body, "headers": {}},
                "response": self._book["answers"][answer],
            }
            for method, path, body, answer in tape
        ]
        return deserialize(json.dumps({"interactions": played}), jsonserializer)

    def save_cassette(self, name: object, told: Any, serializer: object) -> None:
        """Keep the tape of this name; as vcrpy asks for it."""
        del serializer
        tape = []
        for each in json.loads(serialize(told, jsonserializer))["interactions"]:
            text = json.dumps(each["response"], sort_keys=True)
            key = hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
            self._book["answers"][key] = each["response"]
            request = each["request"]
            tape.append((request["method"], request["uri"].removeprefix(_PLACE), request["body"], key))
        self._book["tapes"][str(name)] = tape

    def keep(self) -> None:
        """Write the file, without the answers that no tape holds any more."""
        used = {answer for tape in self._book["tapes"].values() for *_, answer in tape}
        answers = {key: answer for key, answer in sorted(self._book["answers"].items()) if key in used}
        tapes = dict(sorted(self._book["tapes"].items()))
        self.file.write_text(f'{{"answers": {{\n{_lines(answers)}\n}},\n"tapes": {{\n{_lines(tapes)}\n}}}}\n', "utf-8")


def _lines(entries: dict[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value, ensure_ascii=False)}" for key, value in entries.items())


def _without_place_and_headers(request: Any) -> Any:
    request.headers = {}
    request.uri = _PLACE + request.uri[request.uri.index("/", len("http://")) :]
    return request


def _without_most_headers(response: Any) -> Any:
    response["headers"] = {name: values for name, values in response["headers"].items() if name.lower() in _KEPT}
    return response
