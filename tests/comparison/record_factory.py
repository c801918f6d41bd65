import hashlib
import re
from dataclasses import replace
from typing import Any

from comparison.records import RunInfo, TrialRecord, assemble_record


def _make_training(
    strategy: str, num_workers: int, num_ps: int, train_seconds: float, seed: int, *, is_weak: bool
) -> dict[str, Any]:
    batch, steps = (128 * num_workers, 858 // num_workers) if is_weak else (128, 858)
    weights = hash_weights(seed)
    roles = [("worker", index) for index in range(num_workers)] + [("ps", index) for index in range(num_ps)]
    return {
        "schema_version": 1,
        "strategy": strategy,
        "scaling": "weak" if is_weak else "strong",
        "num_workers": num_workers,
        "num_ps": num_ps,
        "seed": seed,
        "model": "resnet8",
        "model_arguments": "{}",
        "num_parameters": 77754,
        "dataset": "mnist",
        "dataset_sha256": "d" * 64,
        "global_batch_size": batch,
        "per_replica_batch_size": batch // num_workers,
        "batch_norm_group_size": 64,
        "learning_rate": 0.2 * num_workers if is_weak else 0.2,
        "epochs": 2,
        "steps": steps,
        "images_seen": steps * batch,
        "initial_weights_sha256": f"{seed}" * 64,
        "weights_sha256": weights,
        "startup_seconds": 5.0,
        "rendezvous_seconds": 0.0 if strategy == "single" else 0.5,
        "compile_seconds": 6.0,
        "train_seconds": train_seconds,
        "input_seconds": 0.3,
        "update_seconds": 0.2,
        "calibrate_seconds": 0.4,
        "communication_seconds": 0.0 if strategy == "single" else 2.0,
        "eval_seconds": 2.0,
        "save_seconds": 0.1,
        "images_per_second": steps * batch / train_seconds,
        "step_seconds": {
            name: slow * train_seconds / steps for name, slow in (("p50", 1), ("p90", 8 / 7), ("p99", 10 / 7))
        },
        "curve": [
            {
                "epoch": epoch,
                "step": steps * epoch // 2,
                "train_seconds": train_seconds * epoch / 2,
                "train_loss": (0.7 + seed / 1000) / epoch,
                "validation_accuracy": 0.97 + 0.01 * epoch,
            }
            for epoch in (1, 2)
        ],
        "target_accuracy": 0.98,
        "seconds_to_target": train_seconds / 2,
        "versions": {"python": "3.11.7", "tensorflow": "2.21.0", "tfjob_speedup": "0.1.0", "git_sha": "abc1234"},
        "host": {"cpu_model": "AMD EPYC", "cores": 16, "memory_bytes": 25769803776, "platform": "Linux-6.1"},
        "replicas": [
            {
                "type": kind,
                "index": index,
                "cpu_seconds": 10.0 + train_seconds / num_workers,
                "peak_rss_bytes": 900 * 2**20 + index,
                "weights_sha256": weights,
                "restored_step": 0,
                "calibration_seconds": [0.2, 0.2],
                "waited_seconds": 0.02 * train_seconds,
                "steal_seconds": 0.0,
                "others_cpu_seconds": 0.01 * train_seconds,
            }
            for kind, index in roles
        ],
    }


def _make_launch(configuration: str, trial: int, training: dict[str, Any], cpus: float) -> dict[str, Any]:
    total_seconds = training["train_seconds"] + 15.0
    # One after another: a place in the round for each configuration, and an hour and a half for each round.
    place = cpus if training["strategy"] == "single" else 10 * training["num_workers"] + 5 * bool(training["num_ps"])
    place += training["num_ps"] + 2 * (training["scaling"] == "weak")
    started_at = 1_700_000_000.0 + 5_400 * trial + 110 * place
    return {
        "schema_version": 1,
        "job_name": f"job-{configuration}-{trial}",
        "backend": "local",
        "queue_seconds": 0.5,
        "total_seconds": total_seconds,
        "cpus_per_replica": cpus,
        "contended": False,
        "warnings": [],
        "replicas": [
            {
                "name": f"{replica['type']}-{replica['index']}",
                "type": replica["type"],
                "index": replica["index"],
                "restarts": 0,
                "exit_code": 0,
                "cpus": list(range(core * int(cpus), (core + 1) * int(cpus))),
            }
            for core, replica in enumerate(training["replicas"])
        ],
        "configuration": configuration,
        "trial": trial,
        "run_id": "run-1",
        "image": None,
        "started_at": started_at,
        "ended_at": started_at + total_seconds,
    }


def _make_evaluation(configuration: str, trial: int, n_correct: int, ended_at: float) -> dict[str, Any]:
    wrong = 3000 - n_correct
    return {
        "schema_version": 1,
        "configuration": configuration,
        "trial": trial,
        "split": "test",
        "n_correct": n_correct,
        "n_examples": 3000,
        "confusion_matrix": [[1000 - wrong, wrong, 0], [0, 1000, 0], [0, 0, 1000]],
        "evaluate_seconds": 3.0,
        "evaluated_at": ended_at + 5.0,
        "dataset_sha256": "d" * 64,
        "weights_sha256": hash_weights(trial),
    }


def hash_weights(seed: int) -> str:
    """Returns the digest of the weights that every configuration ends with from a seed."""
    return hashlib.sha256(f"{seed}".encode()).hexdigest()


def make_parts(
    configuration: str = "single", trial: int = 0, train_seconds: float = 60.0, n_correct: int = 2970
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Returns the contents of training.json, launch.json and evaluation.json of one trial."""
    parts = re.fullmatch(r"([a-z-]+?)(?:-(\d+)cpu)?(?:-(\d+)w)?(?:-(\d+)ps)?(-weak)?", configuration)
    assert parts is not None, configuration
    strategy, num_workers, num_ps = parts[1].replace("-", "_"), int(parts[3] or 1), int(parts[4] or 0)
    training = _make_training(strategy, num_workers, num_ps, train_seconds, trial, is_weak=bool(parts[5]))
    launch = _make_launch(configuration, trial, training, float(parts[2] or 1))
    return training, launch, _make_evaluation(configuration, trial, n_correct, launch["ended_at"])


def make_record(
    configuration: str = "single",
    trial: int = 0,
    train_seconds: float = 60.0,
    n_correct: int = 2970,
    *,
    total_seconds: float | None = None,
    misses_target: bool = False,
    **changes: Any,
) -> TrialRecord:
    """Returns the record of one trial; a whole job that took longer started up longer; `changes` replace fields."""
    record = assemble_record(*make_parts(configuration, trial, train_seconds, n_correct))
    if total_seconds is not None:
        record = replace(
            record,
            startup_seconds=record.startup_seconds + total_seconds - record.total_seconds,
            total_seconds=total_seconds,
            ended_at=record.started_at + total_seconds,
            evaluated_at=record.started_at + total_seconds + 5.0,
        )
    if misses_target:
        curve = [replace(own, validation_accuracy=own.value - 0.03) for own in record.curve]
        record = replace(record, curve=curve, seconds_to_target=None)
    return replace(record, **changes)


def delay(record: TrialRecord, seconds: float) -> TrialRecord:
    """Returns the record of a trial that took place so much later."""
    moments: dict[str, Any] = {
        name: getattr(record, name) + seconds for name in ("started_at", "ended_at", "evaluated_at")
    }
    return replace(record, **moments)


PLANNED = ("strategy", "num_workers", "num_ps", "model", "epochs", "global_batch_size", "learning_rate", "scaling")


def make_run_info(**changes: Any) -> RunInfo:
    """Returns what was planned for `make_run`; `changes` are fields to replace."""
    run_info = RunInfo(
        schema_version=1,
        run_id="run-1",
        started_at=1_699_999_990.0,
        parameters={"dataset": "mnist", "workers": [2], "target_accuracy": 0.98, "trials": 2, "seed": 1},
        configurations=[
            {"name": record.configuration, "training": {name: getattr(record, name) for name in PLANNED}}
            for record in make_run()[:3]
        ],
    )
    return replace(run_info, **changes)


def make_run() -> list[TrialRecord]:
    """Returns two trials each of a single node, all-reduce and parameter servers, the last one contended."""
    return [
        make_record("single", 0, 60.0, 2970),
        make_record("all-reduce-2w", 0, 36.0, 2968),
        make_record("parameter-server-2w-1ps", 0, 90.0, 2965, contended=True),
        make_record("single", 1, 62.0, 2974),
        make_record("all-reduce-2w", 1, 37.0, 2972),
        make_record("parameter-server-2w-1ps", 1, 91.0, 2970, contended=True, misses_target=True),
    ]


def make_run_of_both() -> list[TrialRecord]:
    weak = {"all-reduce-2w-weak": (33.0, 34.5), "all-reduce-4w-weak": (20.0, 19.0)}
    return [
        *(make_record(name, trial, own) for name, seconds in weak.items() for trial, own in enumerate(seconds)),
        *make_run(),
    ]
