import json
from collections.abc import Iterable
from pathlib import Path

from tests.comparison.record_factory import make_parts


def write_trial(folder: Path, configuration: str, trial: int, train_seconds: float = 60.0, **changes: object) -> None:
    """Writes what a trial leaves behind; `changes` are entries of training.json to replace."""
    training, launch, _ = make_parts(configuration, trial, train_seconds)
    training |= changes
    (folder / "logs").mkdir(parents=True)
    (folder / "logs" / "worker-0.log").write_text("trained\n")
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "launch.json").write_text(json.dumps(launch))
    (folder / "model.keras").write_text("weights")


def write_evaluations(path: Path, trials: Iterable[tuple[str, int]]) -> None:
    """Writes the evaluations of trials."""
    path.write_text("\n".join(json.dumps(make_parts(name, trial)[2]) for name, trial in trials))
