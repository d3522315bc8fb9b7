"""
Capability cards as `check` and `plan` show them: what a system was found unable to do, measured in a sandbox.

`syncengine connectors test` writes one file per system beside the config, `SYSTEM.card.json`:

    {"system": "crm", "connector": "kizen", "resources": {"contacts": {
        "measured_at": "2026-11-23T17:00:00+00:00", "account": "42", "declared": {...},
        "findings": [{"subject": "text: nul", "verdict": "cannot", "declared": null, "surprising": false, "detail": "Rejected"}],
        "contract": {"passed": 110, "skipped": 40, "failed": [{"test": "test_...", "why": "..."}]}}}}
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from syncengine.core.model import End
from syncengine.engine.report import CheckLine

_CURE = "update the connector or tell its author; then measure again: syncengine connectors test"


def card_path(base: Path, system: str) -> Path:
    """Where the card of a system is looked for; `base` is the folder of the config."""
    return base / f"{system}.card.json"


def card_lines(path: Path, end: End, *, place: str, account: str) -> list[CheckLine]:
    """What the card says a resource cannot do, for people; nothing where there is no card or it is silent about it."""
    try:
        told = json.loads(path.read_bytes())["resources"].get(end.resource)
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        why = getattr(error, "strerror", None) or "it is no capability card"
        return [CheckLine(place=place, ok=False, text=f"{path} cannot be used: {why}", cure="remove it, or measure again")]
    if told is None:
        return []
    try:
        return list(_lines(told, end, place, account))
    except (KeyError, AttributeError, TypeError):
        text = f"{path} does not say what a capability card says of {end.resource}"
        return [CheckLine(place=place, ok=False, text=text, cure="remove it, or measure again")]


def _lines(told: Mapping[str, Any], end: End, place: str, account: str) -> list[CheckLine]:
    when = str(told["measured_at"])[:10]
    source = f"{end}: by its card of {when}"
    if told["account"] != account:
        source += ", taken on another account"
    lines = []
    limits = [_limit(each) for each in told["findings"] if each["verdict"] == "cannot" and each["declared"] is None]
    if limits:
        lines.append(CheckLine(place=place, ok=True, text=f"{source}, not possible: {'; '.join(limits)}"))
    for each in told["findings"]:
        if each["surprising"]:
            declared = "declared, and not so" if each["declared"] else "not declared, and possible"
            lines.append(
                CheckLine(place=place, ok=not each["declared"], text=f"{source}, {each['subject']}: {declared}", cure=_CURE)
            )
    for each in told.get("contract", {}).get("failed", ()):
        text = f"{source}, the connector breaks its contract: {each['why']} ({each['test']})"
        lines.append(CheckLine(place=place, ok=False, text=text, cure=_CURE))
    return lines


def _limit(finding: Mapping[str, Any]) -> str:
    detail = f" ({finding['detail']})" if finding["detail"] else ""
    return f"{finding['subject']}{detail}"
