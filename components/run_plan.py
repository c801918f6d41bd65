"""The plan of a run: made by the first step, kept as `run.json`, read by the steps that follow."""

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from comparison.records import SCHEMA_VERSION, RunInfo, read_run_info
from model.data import check_dataset_name
from model.errors import ConfigError
from model.plan import Configuration, plan_configurations
from model.training import TrainingConfig, setting_names
from tfjob.settings import parse_job_settings
from tfjob.spec import ReplicaSpec

# The local runner names the run before the pipeline starts, so that it knows the folder to put the results in.
RUN_ID_VARIABLE = "TFJOB_SPEEDUP_RUN_ID"
# A run that is resumed started when it was started first.
STARTED_AT_VARIABLE = "TFJOB_SPEEDUP_STARTED_AT"
# Beyond these a slip of the finger is likelier than a wish. A forecast looks as far as so many workers, too.
MAX_TRIALS = 1_000
MAX_REPLICAS = 1_024


@dataclass(frozen=True)
class RunPlan:
    """What a run will train, and with which resources.

    Attributes:
        info: The content of `run.json`.
        configurations: What is compared, the baseline first.
    """

    info: RunInfo
    configurations: Sequence[Configuration]

    @property
    def single_nodes(self) -> Sequence[Configuration]:
        """The configurations without a distribution strategy: the baseline and bigger nodes."""
        return [c for c in self.configurations if c.training.strategy == "single"]

    @property
    def distributed(self) -> Sequence[Configuration]:
        """The configurations of the TFJobs."""
        return [c for c in self.configurations if c.training.strategy != "single"]

    @property
    def trials(self) -> int:
        """Repeats of each configuration."""
        return int(self.info.parameters["trials"])

    def replica(self, count: int, cpus_factor: int = 1) -> ReplicaSpec:
        """Returns `count` replicas with the resources of this run's replicas, the CPUs times a factor."""
        parameters = self.info.parameters
        return ReplicaSpec(
            count=count,
            cpus=parameters["cpus_per_replica"] * cpus_factor,
            memory=parameters["memory_per_replica"],
            gpus=parameters["gpus_per_replica"],
        )

    def write(self, path: Path) -> None:
        """Writes `run.json`."""
        path.write_text(json.dumps(asdict(self.info), indent=1), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Returns the plan that `write` wrote.

        Raises:
            RecordError: The file is not a plan of this schema version.
        """
        info = read_run_info(path)
        return cls(info, [Configuration.from_json(entry) for entry in info.configurations])


def plan_run(run_id: str, parameters: Mapping[str, Any]) -> RunPlan:
    """Returns the plan that the pipeline's parameters ask for.

    Args:
        run_id: The run's name.
        parameters: The pipeline's parameters, all of them.

    Raises:
        ValueError: A parameter cannot be; the message says what came and what was expected.
    """
    for name in ("trials", "deadline_minutes", "pending_minutes"):
        if parameters[name] < 1:
            raise ConfigError(f"{name} must be at least 1. Received: {parameters[name]}.")
    if parameters["trials"] > MAX_TRIALS:
        raise ConfigError(f"trials must be at most {MAX_TRIALS:,}. Received: {parameters['trials']}.")
    if parameters["max_train_images"] < 0:
        raise ConfigError(f"max_train_images must be at least 0. Received: {parameters['max_train_images']}.")
    check_dataset_name(parameters["dataset"])
    parse_job_settings(parameters["job_settings"])
    parameters = {**parameters, "workers": [read_count("workers", count) for count in parameters["workers"]]}
    for name, count in [("workers", max(parameters["workers"], default=0)), ("num_ps", parameters["num_ps"])]:
        if count > MAX_REPLICAS:
            raise ConfigError(f"{name} must be at most {MAX_REPLICAS:,}. Received: {count}.")
    settings = {name: parameters[name] for name in setting_names() if name in parameters and name != "scaling"}
    base = TrainingConfig(**settings)
    configurations = plan_configurations(
        base,
        strategies=parameters["strategies"],
        workers=parameters["workers"],
        num_ps=parameters["num_ps"],
        scaling=parameters["scaling"],
        bigger_nodes=parameters["bigger_nodes"],
    )
    info = RunInfo(
        schema_version=SCHEMA_VERSION,
        run_id=run_id,
        started_at=float(os.environ.get(STARTED_AT_VARIABLE) or time.time()),
        parameters=dict(parameters),
        configurations=[configuration.to_json() for configuration in configurations],
    )
    plan = RunPlan(info, configurations)
    plan.replica(1)  # raises on resources that cannot be
    return plan


def read_count(name: str, value: float) -> int:
    """Returns a number as the integer that it is: KFP hands over integers in a list as floats.

    Raises:
        ConfigError: It has a fraction.
    """
    if not math.isfinite(value) or value != int(value):
        raise ConfigError(f"{name} must be whole numbers. Received: {value}.")
    return int(value)


def name_run(pipeline_job_id: str) -> str:
    """Returns the run's name: what the local runner chose, else the pipeline job's identifier."""
    return os.environ.get(RUN_ID_VARIABLE) or pipeline_job_id
