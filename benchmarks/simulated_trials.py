"""Trials of a cost model, with noise: records as a run leaves them, where nothing has to be trained."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from comparison.forecast import CostModel, Job, predict_step_seconds
from comparison.records import SCHEMA_VERSION, CurvePoint, Replica, RunInfo, TrialRecord
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


def describe_truth(
    strategy: str = "all_reduce",
    scaling: str = "strong",
    num_ps: int = 0,
    *,
    step_seconds: float = 0.05,
    fixed_share: float = 0.05,
    relative_noise: float = 0.02,
    latency_seconds: float = 1e-3,
    seconds_per_byte: float = 1e-9,
) -> CostModel:
    """Returns a training of resnet8 whose costs are known, with one core a replica."""
    return CostModel(
        job=Job(strategy, scaling, BATCH, STEPS, MESSAGE_BYTES, num_ps, 1.0),
        single_step_seconds=step_seconds,
        fixed_share=fixed_share,
        overhead_seconds=0.0,
        relative_noise=relative_noise,
        latency_seconds=latency_seconds,
        seconds_per_byte=seconds_per_byte,
        single_setup_seconds=6.0,
        setup_seconds=7.0,
        setup_seconds_per_worker=0.1,
    )


def name_configuration(truth: CostModel, num_workers: int) -> str:
    """Returns what the table calls a configuration, the single node if it has one worker."""
    if num_workers == 1:
        return "single"
    servers = f"-{truth.job.num_ps}ps" if truth.job.num_ps else ""
    weak = "-weak" if truth.job.scaling == "weak" else ""
    return f"{truth.job.strategy.replace('_', '-')}-{num_workers}w{servers}{weak}"


def simulate_trial(
    truth: CostModel, num_workers: int, trial: int, generator: np.random.Generator, *, noise: float, place: int = 0
) -> TrialRecord:
    """Returns a trial that took what the model predicts, give or take the noise.

    Args:
        truth: The model.
        num_workers: Of this configuration; the single node if 1.
        trial: Number of the repeat.
        generator: Draws the noise.
        noise: Standard deviation of the logarithms of the training's clock, the communication's and the setup's, each
            on its own.
        place: In the round, from 0.
    """
    is_single, is_weak = num_workers == 1, truth.job.scaling == "weak"
    training, communication, setup = np.exp(generator.normal(0, noise, 3)).tolist()
    batch, steps = (BATCH * num_workers, STEPS // num_workers) if is_weak else (BATCH, STEPS)
    step = float(predict_step_seconds(truth, num_workers))
    share = 1.0 if is_weak else 1 / num_workers
    computation = truth.single_step_seconds * (truth.fixed_share + (1 - truth.fixed_share) * share)
    communication_seconds = 0.0 if is_single else communication * training * (step - computation) * steps
    train_seconds = training * computation * steps + communication_seconds
    growth = truth.setup_seconds + truth.setup_seconds_per_worker * num_workers
    setup_seconds = setup * (truth.single_setup_seconds if is_single else growth)
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
        strategy="single" if is_single else truth.job.strategy,
        scaling=truth.job.scaling,
        num_workers=num_workers,
        num_ps=0 if is_single else truth.job.num_ps,
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
    )


def simulate_run(num_trials: int, *, noise: float = 0.02, seed: int = 0) -> Iterator[TrialRecord]:
    """Yields so many trials of a single node and seven ways to distribute, round by round.

    Args:
        num_trials: Of all configurations together.
        noise: As `simulate_trial` takes it.
        seed: Of the noise.
    """
    generator = np.random.default_rng(seed)
    servers = describe_truth("parameter_server", num_ps=1)
    configurations: Sequence[tuple[CostModel, int]] = [
        (describe_truth(), 1),
        *((describe_truth(), count) for count in (2, 4, 8)),
        *((servers, count) for count in (2, 4)),
        *((describe_truth(scaling="weak"), count) for count in (2, 4)),
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


def _list_replicas(truth: CostModel, num_workers: int, weights: str, clocks: dict[str, float]) -> list[Replica]:
    num_ps = 0 if num_workers == 1 else truth.job.num_ps
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
