from dataclasses import replace
from typing import Any

from comparison.records import Replica, TrialRecord
from tests.comparison.record_factory import make_record


def clock(replica: Replica, trial: TrialRecord, *, age: float, end: float, **clocks: float) -> Replica:
    """Returns the replica with the clocks of the trial's chief, but for `clocks`, recorded `end` before the job's."""
    own = {
        name: getattr(trial, name)
        for name in ("startup_seconds", "rendezvous_seconds", "compile_seconds", "train_seconds", "input_seconds")
    }
    names = ("communication_seconds", "update_seconds", "calibrate_seconds", "eval_seconds", "save_seconds")
    own |= {name: getattr(trial, name) for name in names}
    split = {"process_start_seconds": 0.5, "import_seconds": 3.5, "build_seconds": 1.0, "warmup_seconds": 0.25}
    recorded_at = trial.ended_at - end
    return replace(replica, clocks=own | split | clocks, age_seconds=age, recorded_at=recorded_at)


def make_timed(**changes: Any) -> TrialRecord:
    """Returns an all-reduce trial of 51 s, in whose 50.2 s of a replica's life the second worker waits less."""
    trial = make_record("all-reduce-2w", train_seconds=36.0, warmup_seconds=0.25, **changes)
    parts: dict[str, Any] = {"process_start_seconds": 0.5, "import_seconds": 3.5, "build_seconds": 1.0}
    parts |= {"transfer_seconds": 1.5, "slowest_compute_seconds": 34.0, "mean_compute_seconds": 32.0}
    trial = replace(trial, **parts)
    chief, worker = trial.replicas
    worker = clock(worker, trial, age=50.2, end=0.5, communication_seconds=1.6, input_seconds=0.7)
    return replace(trial, replicas=[clock(chief, trial, age=50.2, end=0.5), worker])


def make_parameter_server() -> TrialRecord:
    trial = make_record("parameter-server-2w-1ps", train_seconds=36.0)
    zeros = dict.fromkeys(("startup_seconds", "rendezvous_seconds", "compile_seconds", "calibrate_seconds"), 0.0)
    zeros |= dict.fromkeys(("eval_seconds", "save_seconds", "update_seconds", "warmup_seconds"), 0.0)
    served = zeros | {"startup_seconds": 5.0, "build_seconds": 1.0, "serve_seconds": 44.0}
    worker = served | {"train_seconds": 30.0, "input_seconds": 1.0, "communication_seconds": 3.0}
    slower = served | {"train_seconds": 32.0, "input_seconds": 1.0, "communication_seconds": 3.0}
    idle = served | {"train_seconds": 0.0, "input_seconds": 0.0, "communication_seconds": 0.0}
    replicas = [
        clock(replica, trial, age=49.5, end=1.0, **clocks)
        for replica, clocks in zip(trial.replicas, (worker, slower, idle), strict=True)
    ]
    steps = [replace(replica, num_steps=100) for replica in replicas[:2]]
    return replace(trial, replicas=[*steps, replicas[2]])
