"""The forecast from at most two workers against four, on a machine with two cores.

One and two workers are trained for real. Four cannot be, where they would share cores; what is measured instead needs
none of them to itself at the same time: the computing of a worker's quarter of the batch, alone on a core, and the
real collective of four processes that sleep for as long as they would compute. The two are added up. The same is done
with two workers, so that the method itself can be judged by trainings. Four processes still share two cores for the
collective itself, so what they communicate is at most too slow.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.simulated_trials import describe_truth, simulate_trial
from comparison.forecast import Forecast, forecast_scaling, state_check
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.summary import compute_speedups
from comparison.table import format_ratio
from model.plan import Configuration, plan_configurations
from model.prepare import prepare
from model.training import TrainingConfig
from tfjob.launch import run_job
from tfjob.local import LocalBackend
from tfjob.manifest import build_manifest
from tfjob.overlay import of_env
from tfjob.spec import ReplicaSpec

ROUNDS = 3
IMAGES = 12_000
_WORKERS = (2, 4)


class Timing(NamedTuple):
    """The steps of a trial as its chief saw them: their mean parts in seconds, and the spread of the whole."""

    computing_seconds: float
    communication_seconds: float
    step_seconds: dict[str, float]


class Bench:
    """Runs what is measured, each part as replicas with a core each are launched, below a folder for its files."""

    def __init__(self, folder: Path, images: int) -> None:
        self._folder = folder
        self._data_dir = folder / "data"
        self._dataset = prepare("mnist", self._data_dir, max_train_images=images, report=_say)
        base = TrainingConfig(epochs=1)
        planned = plan_configurations(base, strategies=["all_reduce"], workers=_WORKERS, num_ps=0)
        self._configurations = {configuration.training.num_workers: configuration for configuration in planned}

    def train(self, num_workers: int, trial: int) -> Timing:
        """Returns the steps of a training, of the single node if `num_workers` is 1."""
        configuration: Configuration = self._configurations[num_workers]
        output_dir = self._folder / f"{configuration.name}-t{trial}"
        config = configuration.for_round(trial)
        folders = ("--data-dir", str(self._data_dir), "--output-dir", str(output_dir))
        self._run(output_dir.name, num_workers, "model.train", *folders, *config.to_arguments())
        training = json.loads((output_dir / "training.json").read_text(encoding="utf-8"))
        steps, communication = training["steps"], training["communication_seconds"]
        computing = training["train_seconds"] - communication
        return Timing(computing / steps, communication / steps, training["step_seconds"])

    def simulate(self, trial: int) -> dict[int, Timing]:
        """Returns the steps of workers that do not compete for cores, from what each part of them takes."""
        trainings = {count: self._configurations[count].training for count in _WORKERS}
        # Half of the training's steps are enough for their mean, and keep the whole in its few minutes.
        images = self._dataset.split("train").count
        steps = str(max(10, images // self._configurations[1].training.global_batch_size // 2))
        computing = self._folder / f"alone-t{trial}.json"
        batches = [str(training.per_replica_batch_size) for training in trainings.values()]
        group = str(trainings[_WORKERS[0]].batch_norm_group_size)
        sizes = ("--batch-sizes", *batches, "--group-size", group, "--steps", steps)
        self._run(
            computing.stem,
            1,
            "benchmarks.computing",
            "--data-dir",
            str(self._data_dir),
            *sizes,
            "--output",
            str(computing),
        )
        alone = json.loads(computing.read_text(encoding="utf-8"))["seconds"]
        timings = {}
        for count, batch in zip(_WORKERS, batches, strict=True):
            output_dir = self._folder / f"idle-{count}w-t{trial}"
            files = ("--computing", str(computing), "--output-dir", str(output_dir))
            self._run(output_dir.name, count, "benchmarks.idle_ring", *files, "--batch-size", batch, "--steps", steps)
            ring = json.loads((output_dir / "ring-0.json").read_text(encoding="utf-8"))["communication_seconds"]
            whole = np.add(alone[batch], ring)
            percentiles = {f"p{share}": float(np.percentile(whole, share)) for share in (50, 90, 99)}
            timings[count] = Timing(statistics.fmean(alone[batch]), statistics.fmean(ring), percentiles)
        return timings

    def _run(self, name: str, num_workers: int, module: str, *arguments: str) -> None:
        manifest = build_manifest(
            name,
            image="none",
            command=("python", "-m", module, *arguments),
            replicas={"Worker": ReplicaSpec(count=num_workers)},
            restart_policy="Never",
            active_deadline_seconds=300,
            success_policy="AllWorkers" if num_workers > 1 else "",
            overlays=[of_env({"TF_CPP_MIN_LOG_LEVEL": "2"})],
        )
        run_job(manifest, log_dir=self._folder / "logs" / name, backend=LocalBackend(), report=_ignore)


def main() -> int:
    """Measures, prints the figures as Markdown and returns the exit code, 0."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forecast_at_four", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="trials of each part (default: %(default)s)")
    parser.add_argument("--images", type=int, default=IMAGES, help="images of a training (default: %(default)s)")
    options = parser.parse_args()
    trained: list[TrialRecord] = []
    simulated: list[TrialRecord] = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.images)
        for trial in range(1, options.rounds + 1):
            trained += [describe_trial(count, trial, bench.train(count, trial)) for count in (1, 2)]
            simulated += [describe_trial(count, trial, own) for count, own in bench.simulate(trial).items()]
            _say(f"round {trial} of {options.rounds} done")
    print(report(trained, simulated))
    return 0


def describe_trial(num_workers: int, trial: int, timing: Timing) -> TrialRecord:
    """Returns a record with the measured clocks of training; all others of its figures are made up, and not used."""
    record = simulate_trial(describe_truth(), num_workers, trial, np.random.default_rng(0), noise=0.0)
    # As many steps as all others of strong scaling: simulated trials measure fewer.
    step = timing.computing_seconds + timing.communication_seconds
    train_seconds = step * record.steps
    return replace(
        record,
        train_seconds=train_seconds,
        communication_seconds=timing.communication_seconds * record.steps,
        total_seconds=train_seconds + 10,
        images_per_second=record.images_seen / train_seconds,
        step_seconds=timing.step_seconds,
    )


def report(trained: Sequence[TrialRecord], simulated: Sequence[TrialRecord]) -> str:
    """Returns the measured steps, and how well forecasts from at most two workers meet four.

    Args:
        trained: Trials of one and two workers, trained.
        simulated: Trials of two and four workers, added up from their parts.
    """
    singles = [trial for trial in trained if trial.num_workers == 1]
    four = [trial for trial in simulated if trial.num_workers == 4]  # noqa: PLR2004 - the benchmark is about four
    both = {"trained": [*trained, *four], "simulated": [*singles, *simulated]}
    lines = ["| workers | how | step, ms | computing, ms | communication, ms | speedup |", "|---|---|---|---|---|---|"]
    rows = {
        (trial.num_workers, how): trials
        for how, trials in both.items()
        for trial in trials
        if (trial.num_workers, how) in {(1, "trained"), (2, "trained"), (2, "simulated"), (4, "simulated")}
    }
    for (count, how), trials in sorted(rows.items()):
        lines.append(_describe_row(count, how, trials))
    lines.append("")
    for how, trials in both.items():
        forecast = forecast_four(trials)
        lines += [f"From one and two workers, two {how}: {state_check(check)}" for check in forecast.checks]
    return "\n".join(lines)


def forecast_four(trials: Sequence[TrialRecord]) -> Forecast:
    """Returns the forecast whose check is that of four workers from two."""
    (forecast,) = forecast_scaling(group_trials(trials))
    return forecast


def _describe_row(count: int, how: str, trials: Sequence[TrialRecord]) -> str:
    groups = group_trials(trials)
    name = next(name for name, own in groups.items() if own[0].num_workers == count)
    steps = [trial.train_seconds / trial.steps for trial in groups[name]]
    communication = [trial.communication_seconds / trial.steps for trial in groups[name]]
    whole, exchanged = 1000 * statistics.fmean(steps), 1000 * statistics.fmean(communication)
    cells = [
        f"{whole:.2f}",
        f"{whole - exchanged:.2f}",
        f"{exchanged:.2f}",
        format_ratio(compute_speedups(groups)[name]),
    ]
    return f"| {count} | {how} | {' | '.join(cells)} |"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _ignore(_: str) -> None:
    """Takes a line of a replica's; its log keeps it."""


if __name__ == "__main__":
    sys.exit(main())
