"""The answer on simulated trials of a program."""

import json
from collections.abc import Callable, Sequence
from typing import Any

from comparison.programs import (
    ProgramAnalysis,
    ProgramTrial,
    analyze_programs,
)
from tests.comparison.programs.program_factory import (
    close_gaps,
    make_program_info,
)

Change = Callable[[ProgramTrial], ProgramTrial]


def analyze(trials: Sequence[ProgramTrial], **parameters: Any) -> ProgramAnalysis:
    return analyze_programs(trials, make_program_info(trials, **parameters))


def change(trials: Sequence[ProgramTrial], edit: Change, workers: int | None = None) -> list[ProgramTrial]:
    return close_gaps([edit(trial) if workers in (None, trial.num_workers) else trial for trial in trials])


def recommend(analysis: ProgramAnalysis) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(analysis.recommendation())
    return values
