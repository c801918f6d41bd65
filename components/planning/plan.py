"""The plan of a run: made by the first step, kept as `run.json`, read by the steps that follow."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from comparison.records import SCHEMA_VERSION, RecordError, RunInfo, read_run_info
from components.planning.form import SETTINGS, read_form
from components.planning.hidden import SECRETS_VARIABLE, hide_secrets, reveal
from components.planning.names import check_name
from components.planning.parameters import Parameters
from components.planning.programs import Program, choose_program
from model.files import write_json
from model.plan import DISTRIBUTED_STRATEGIES

# The local runner names the run before the pipeline starts, so that it knows the folder to put the results in.
RUN_ID_VARIABLE = "TFJOB_SPEEDUP_RUN_ID"
# A run that is resumed started when it was started first.
STARTED_AT_VARIABLE = "TFJOB_SPEEDUP_STARTED_AT"
# What stands for all strategies.
_ALL = "both"


@dataclass(frozen=True)
class RunPlan:
    """What a run will train, and with which resources.

    Attributes:
        run_id: The run's name.
        started_at: When it was started first, in Unix time.
        parameters: What a person asked for.
        configurations: What is compared, the baseline first.
        free_cpus: CPUs of the largest single node that there is room for; None where that is not known.
    """

    run_id: str
    started_at: float
    parameters: Parameters
    configurations: Sequence[Any]
    free_cpus: float | None = None

    @cached_property
    def program(self) -> Program:
        """What it is trained by."""
        return choose_program(self.parameters)

    @property
    def single_nodes(self) -> Sequence[Any]:
        """What the first training step trains: the baseline, and bigger nodes."""
        return [c for c in self.configurations if self.program.is_single_node(c)]

    @property
    def distributed(self) -> Sequence[Any]:
        """What the second one trains: distributed, or the single node that stands for that under its second name."""
        return [c for c in self.configurations if c not in self.single_nodes]

    def write(self, path: Path) -> None:
        """Writes `run.json`, without what is secret: whole or not at all, because a run is resumed by it."""
        info = RunInfo(
            schema_version=SCHEMA_VERSION,
            run_id=self.run_id,
            started_at=self.started_at,
            parameters=asdict(hide_secrets(self.parameters)),
            configurations=[configuration.to_json() for configuration in self.configurations],
            free_cpus=self.free_cpus,
        )
        write_json(path, asdict(info))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Returns the plan that `write` wrote.

        Raises:
            RecordError: The file is not a plan of this version of the project.
        """
        info = read_run_info(path)
        if unlike := sorted(info.parameters.keys() ^ {parameter.name for parameter in fields(Parameters)}):
            raise RecordError(
                f"{path} must have this version's parameters. It was written by another one, with which the run can be "
                f"resumed. Only there or only here: {', '.join(unlike)}."
            )
        parameters = Parameters(**info.parameters)
        program = choose_program(parameters)
        configurations = [program.read_configuration(entry) for entry in info.configurations]
        for configuration in configurations:
            check_name(f"a configuration's name in {path}", configuration.name)
        return cls(info.run_id, info.started_at, parameters, configurations, info.free_cpus)


def plan_run(
    run_id: str, parameters: Parameters, find_room: Callable[[Parameters], float | None] = lambda _: None
) -> RunPlan:
    """Returns the plan that the pipeline's parameters ask for.

    Args:
        run_id: The run's name.
        parameters: What a person asked for.
        find_room: Returns the CPUs of the largest single node that there is room for, None where that is not known; is
            asked where nobody says whether bigger nodes are compared.

    Raises:
        ValueError: A parameter cannot be; the message says what came and what was expected.
    """
    parameters = Parameters.read(vars(parameters))
    if parameters.strategies == [_ALL]:
        parameters = replace(parameters, strategies=[*DISTRIBUTED_STRATEGIES])
    parameters.check_ranges()
    program = choose_program(parameters)
    program.check()
    started_at = float(os.environ.get(STARTED_AT_VARIABLE) or time.time())
    configurations, free_cpus = program.plan(find_room)
    return RunPlan(run_id, started_at, parameters, configurations, free_cpus)


def read_whole_plan(path: Path, settings: str, tfjob: str = "") -> RunPlan:
    """Returns a plan with what a step that starts jobs needs and `run.json` does not say: what is hidden of it.

    Args:
        path: The run's `run.json`.
        settings: The form's `settings`, as the pipeline hands them to the step.
        tfjob: The form's `tfjob`, likewise.

    Raises:
        ValueError: The file is not a plan of this version of the project, or the settings cannot be.
    """
    plan = RunPlan.read(path)
    form = read_form({SETTINGS: settings})
    whole: dict[str, Any] = {
        "job_settings": reveal("job_settings", form.job_settings),
        "tfjob": reveal("tfjob", tfjob),
        "command": reveal("command", form.command),
    }
    os.environ.pop(SECRETS_VARIABLE, None)  # replicas inherit this step's environment, and get what is theirs
    return replace(plan, parameters=replace(plan.parameters, **whole))


def note_failed_trials(path: Path, failed: Sequence[Mapping[str, Any]]) -> None:
    """Notes in a `run.json` which trials the comparison went on without, or leaves it as it is."""
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"failed_trials": failed})


def name_run(pipeline_job_id: str) -> str:
    """Returns the run's name: what the local runner chose, else the pipeline job's identifier."""
    return os.environ.get(RUN_ID_VARIABLE) or pipeline_job_id
