"""The steps of the pipeline, read from its compiled form: names and numbers that are written down nowhere else."""

import re
from collections.abc import Mapping
from typing import Any

from google.protobuf import json_format  # type: ignore[import-untyped]

from components.planning import count_iterations
from pipeline.speedup import speedup_pipeline

# The one loop trains so many trials of each configuration.
_TRIALS = "trials"
_SWITCH = re.compile(r"inputs\.parameter_values\['pipelinechannel--(?P<parameter>\w+)'\] == true")


def read_spec() -> dict[str, Any]:
    """Returns the compiled pipeline, as it is written to a file."""
    return json_format.MessageToDict(speedup_pipeline.pipeline_spec)  # type: ignore[no-any-return]


def name_steps(spec: Mapping[str, Any]) -> frozenset[str]:
    """Returns the names of the tasks that run a program; the others are loops, branches and the like."""
    graphs = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    tasks = [(name, task) for graph in graphs for name, task in graph["tasks"].items()]
    return frozenset(name for name, task in tasks if "executorLabel" in _find_component(spec, task))


def count_steps(spec: Mapping[str, Any], parameters: Mapping[str, Any]) -> int:
    """Returns how many steps a run executes."""

    def count(graph: Mapping[str, Any]) -> int:
        total = 0
        for task in graph["tasks"].values():
            component = _find_component(spec, task)
            steps = count(component["dag"]) if "dag" in component else 1
            if "parameterIterator" in task:
                steps *= count_iterations(int(parameters[_TRIALS]))
            switch = _SWITCH.fullmatch(task.get("triggerPolicy", {}).get("condition", ""))
            if switch is None or parameters[switch["parameter"]]:
                total += steps
        return total

    return count(spec["root"]["dag"])


def _find_component(spec: Mapping[str, Any], task: Mapping[str, Any]) -> dict[str, Any]:
    return spec["components"][task["componentRef"]["name"]]  # type: ignore[no-any-return]
