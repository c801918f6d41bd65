"""Trials whose costs are known, with noise: records as a run leaves them, where nothing has to be trained."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comparison.quality import CurvePoint
from comparison.records import SCHEMA_VERSION, Collective, Replica, RunInfo, TrialRecord
from components.planning import Parameters

NUM_PARAMETERS = 77_754
MESSAGE_BYTES = 4.0 * NUM_PARAMETERS
STEPS = 858
_DEFAULTS = Parameters()
BATCH = _DEFAULTS.global_batch_size
RUN_ID = "simulated"
_EPOCHS = _DEFAULTS.epochs
_CLASSES = 10
_IMAGES_OF_A_CLASS = 1000
_P90_OF_NORMAL = 1.2815515655446004
_STARTED_AT = 1_700_000_000.0
_SECONDS_OF_A_PLACE = 3600.0
_PLACES = 10


@dataclass(frozen=True)
class Truth:
    """A training of resnet8 whose costs are known, with one core a replica.

    Attributes:
        strategy: `all_reduce` or `parameter_server`.
        scaling: `strong` or `weak`.
        num_ps: Parameter servers.
        step_seconds: A step of the single node.
        fixed_share: The share of it that a smaller batch does not shorten.
        relative_noise: Standard deviation of a step over its mean.
        latency_seconds: Of a message.
        seconds_per_byte: Of a message.
    """

    strategy: str = "all_reduce"
    scaling: str = "strong"
    num_ps: int = 0
    step_seconds: float = 0.05
    fixed_share: float = 0.05
    relative_noise: float = 0.02
    latency_seconds: float = 1e-3
    seconds_per_byte: float = 1e-9

    def compute(self, num_workers: int) -> float:
        """Returns for how long one of so many workers computes in a step."""
        share = 1.0 if self.scaling == "weak" else 1 / num_workers
        return self.step_seconds * (self.fixed_share + (1 - self.fixed_share) * share)

    def exchange(self, num_workers: int, message_bytes: float) -> float:
        """Returns how long an exchange takes: with servers a pull and a push, else around a ring."""
        if self.strategy == "parameter_server":
            return 2 * (self.latency_seconds + message_bytes * self.seconds_per_byte)
        others = num_workers - 1
        return 2 * others * (self.latency_seconds + message_bytes / num_workers * self.seconds_per_byte)


def name_configuration(truth: Truth, num_workers: int) -> str:
    """Returns what the table calls a configuration, the single node if it has one worker."""
    if num_workers == 1:
        return "single"
    servers = f"-{truth.num_ps}ps" if truth.num_ps else ""
    weak = "-weak" if truth.scaling == "weak" else ""
    return f"{truth.strategy.replace('_', '-')}-{num_workers}w{servers}{weak}"


def simulate_trial(
    truth: Truth, num_workers: int, trial: int, generator: np.random.Generator, *, noise: float, place: int = 0
) -> TrialRecord:
    """Returns a trial that took what it truly costs, give or take the noise.

    Args:
        truth: What it costs.
        num_workers: Of this configuration; the single node if 1.
        trial: Number of the repeat.
        generator: Draws the noise.
        noise: Standard deviation of the logarithms of the training's clock, the communication's and the setup's, each
            on its own.
        place: In the round, from 0.
    """
    is_single, is_weak = num_workers == 1, truth.scaling == "weak"
    training, communication, setup = np.exp(generator.normal(0, noise, 3)).tolist()
    batch, steps = (BATCH * num_workers, STEPS // num_workers) if is_weak else (BATCH, STEPS)
    operation = "pull_push" if truth.num_ps else "all_reduce"
    one, whole = (truth.exchange(num_workers, size) for size in (0.0, MESSAGE_BYTES))
    communication_seconds = 0.0 if is_single else communication * training * whole * steps
    train_seconds = training * truth.compute(num_workers) * steps + communication_seconds
    setup_seconds = setup * (6.0 if is_single else 7.0 + 0.1 * num_workers)
    total_seconds = train_seconds + setup_seconds
    started_at = _STARTED_AT + _SECONDS_OF_A_PLACE * (_PLACES * trial + place)
    clocks = {
        "startup_seconds": 0.6 * setup_seconds,
        "rendezvous_seconds": 0.0 if is_single else 0.1 * setup_seconds,
        "compile_seconds": (0.3 if is_single else 0.2) * setup_seconds,
        "train_seconds": train_seconds,
        "input_seconds": 0.02 * train_seconds,
        "communication_seconds": communication_seconds,
        "update_seconds": 0.01 * train_seconds,
        "calibrate_seconds": 0.02 * setup_seconds,
        "eval_seconds": 0.06 * setup_seconds,
        "save_seconds": 0.02 * setup_seconds,
    }
    weights = f"{trial:064x}"
    matrix = _draw_confusion_matrix(generator)
    return TrialRecord(
        schema_version=SCHEMA_VERSION,
        run_id=RUN_ID,
        configuration=name_configuration(truth, num_workers),
        trial=trial,
        seed=trial,
        strategy="single" if is_single else truth.strategy,
        scaling=truth.scaling,
        num_workers=num_workers,
        num_ps=0 if is_single else truth.num_ps,
        cpus_per_replica=1.0,
        global_batch_size=batch,
        per_replica_batch_size=BATCH if is_weak else BATCH // num_workers,
        batch_norm_group_size=16,
        learning_rate=_DEFAULTS.learning_rate * (num_workers if is_weak else 1),
        epochs=_EPOCHS,
        steps=steps,
        images_seen=batch * steps,
        model=_DEFAULTS.model,
        model_arguments=_DEFAULTS.model_arguments,
        num_parameters=NUM_PARAMETERS,
        dataset=_DEFAULTS.dataset,
        dataset_sha256="d" * 64,
        initial_weights_sha256=f"{trial:064x}",
        weights_sha256=weights,
        queue_seconds=0.0,
        **clocks,
        total_seconds=total_seconds,
        images_per_second=batch * steps / train_seconds,
        step_seconds={
            "p50": train_seconds / steps,
            "p90": train_seconds / steps * (1 + _P90_OF_NORMAL * truth.relative_noise),
            "p99": 2 * train_seconds / steps,
        },
        curve=[
            CurvePoint(
                epoch,
                steps * epoch // _EPOCHS,
                train_seconds * epoch / _EPOCHS,
                (0.7 + trial / 1000) / epoch,
                0.97 + 0.01 * epoch,
            )
            for epoch in range(1, _EPOCHS + 1)
        ],
        test_n_correct=int(np.trace(matrix)),
        test_n_examples=_CLASSES * _IMAGES_OF_A_CLASS,
        confusion_matrix=matrix.tolist(),
        evaluate_seconds=0.7,
        evaluated_at=started_at + total_seconds + 1,
        target_accuracy=_DEFAULTS.target_accuracy,
        seconds_to_target=train_seconds / 2,
        replicas=_list_replicas(truth, num_workers, weights, clocks),
        restarts=0,
        contended=False,
        warnings=[],
        backend="local",
        started_at=started_at,
        ended_at=started_at + total_seconds,
        host={"cpu_model": "simulated", "cores": 64, "memory_bytes": 2**37, "platform": "none"},
        versions={"python": "3.11", "tensorflow": "2.21.0", "tfjob_speedup": "0.1.0", "git_sha": "0" * 40},
        image=None,
        collective=None if is_single else Collective(operation, 20, NUM_PARAMETERS, one, whole),
    )


def simulate_run(num_trials: int, *, noise: float = 0.02, seed: int = 0) -> Iterator[TrialRecord]:
    """Yields so many trials of a single node and seven ways to distribute, round by round.

    Args:
        num_trials: Of all configurations together.
        noise: As `simulate_trial` takes it.
        seed: Of the noise.
    """
    generator = np.random.default_rng(seed)
    servers = Truth("parameter_server", num_ps=1)
    configurations: Sequence[tuple[Truth, int]] = [
        (Truth(), 1),
        *((Truth(), count) for count in (2, 4, 8)),
        *((servers, count) for count in (2, 4)),
        *((Truth(scaling="weak"), count) for count in (2, 4)),
    ]
    for number in range(num_trials):
        trial, place = divmod(number, len(configurations))
        truth, num_workers = configurations[place]
        yield simulate_trial(truth, num_workers, trial, generator, noise=noise, place=place)


def describe_simulated_run() -> RunInfo:
    """Returns what was planned for `simulate_run`."""
    parameters: dict[str, Any] = {"dataset": _DEFAULTS.dataset, "workers": [2, 4, 8], "scaling": "both"}
    return RunInfo(
        schema_version=SCHEMA_VERSION,
        run_id=RUN_ID,
        started_at=_STARTED_AT - 1,
        parameters=parameters,
        configurations=[],
    )


def _draw_confusion_matrix(generator: np.random.Generator) -> np.typing.NDArray[np.int64]:
    wrong = generator.integers(0, 3, (_CLASSES, _CLASSES))
    np.fill_diagonal(wrong, 0)
    return wrong + np.diag(_IMAGES_OF_A_CLASS - wrong.sum(axis=1))


def _list_replicas(truth: Truth, num_workers: int, weights: str, clocks: dict[str, float]) -> list[Replica]:
    num_ps = 0 if num_workers == 1 else truth.num_ps
    kinds = [("worker", index) for index in range(num_workers)] + [("ps", index) for index in range(num_ps)]
    return [
        Replica(
            name=f"{kind}-{index}",
            type=kind,
            index=index,
            cpu_seconds=math.fsum([5.0, clocks["train_seconds"]]),
            peak_rss_bytes=800 * 2**20,
            weights_sha256=weights if kind == "worker" else None,
            restored_step=0,
            restarts=0,
            exit_code=0,
            cpus=[core],
            calibration_seconds=[0.036, 0.036],
            clocks=clocks if kind == "worker" else None,
        )
        for core, (kind, index) in enumerate(kinds)
    ]
