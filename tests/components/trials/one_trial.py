"""One trial, run by a fake backend, and what it left."""

import json
from pathlib import Path
from typing import Any

from components.planning.plan import RunPlan
from components.trials.trial import run_trial
from tests.components.fake_backend import FakeBackend
from tests.components.plan_factory import find_place


def run(
    plan: RunPlan, dataset: Path, tmp_path: Path, *, index: int = 0, trial: int = 1, backend: FakeBackend | None = None
) -> FakeBackend:
    backend = backend or FakeBackend()
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    place = find_place(plan, plan.configurations[index].name, trial)
    run_trial(plan, place, dataset, workspace, tmp_path / "out" / place.configuration.name, backend)
    return backend


def read_launch(folder: Path) -> dict[str, Any]:
    launch: dict[str, Any] = json.loads((folder / "launch.json").read_text())
    return launch


def get_command(manifest: Any) -> list[str]:
    commands = [
        replica["template"]["spec"]["containers"][0]["command"]
        for replica in manifest["spec"]["tfReplicaSpecs"].values()
    ]
    assert commands == [commands[0]] * len(commands)
    command: list[str] = commands[0]
    return command
