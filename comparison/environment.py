"""Where the trials ran and with what, as a reader sees it."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from comparison.records import TrialRecord
from comparison.table import UNKNOWN
from comparison.texts import list_items, say

_SHORT_SHA = 12


def describe_environment(trials: Iterable[TrialRecord]) -> dict[str, str]:
    """Returns where the trials ran, by name; what differed between them is listed."""
    facts: dict[str, list[str]] = {}
    for trial in trials:
        own = {
            **{name.replace("_", " "): value for name, value in trial.host.items() if name != "memory_bytes"},
            "memory": _format_memory(trial.host.get("memory_bytes")),
            "backend": say(trial.backend),
            "image": trial.image or say("none: processes on the host"),
            **{name.replace("_", "-"): value for name, value in trial.versions.items()},
            "model": say("{model}, {number} parameters", model=trial.model, number=f"{trial.num_parameters:,}"),
            "data": list_items([trial.dataset, f"SHA-256 {trial.dataset_sha256[:_SHORT_SHA]}…"]),
        }
        for name, value in own.items():
            facts.setdefault(name, []).append(format_value(value))
    return {name: "; ".join(dict.fromkeys(values)) for name, values in facts.items()}


def format_value(value: Any) -> str:
    """Returns a parameter or a fact as a reader sees it."""
    if isinstance(value, Mapping | list):
        return json.dumps(value, ensure_ascii=False)
    return UNKNOWN if value is None else str(value)


def _format_memory(size_bytes: float | None) -> str:
    return UNKNOWN if size_bytes is None else f"{size_bytes / 2**30:,.1f} GiB"
