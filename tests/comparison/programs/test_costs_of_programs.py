from dataclasses import replace

import pytest

from comparison.programs import (
    ProgramTrial,
)
from tests.comparison.programs.answers import analyze, change, recommend
from tests.comparison.programs.program_factory import (
    make_program_run,
)


def test_the_seconds_of_gpus_are_told_of_a_program_that_held_some() -> None:
    cost = recommend(analyze(change(make_program_run(), lambda trial: replace(trial, gpus_held=trial.num_workers))))[
        "cost"
    ]
    assert cost["gpu_seconds_ratio"] == pytest.approx(cost["core_seconds_ratio"])
    assert cost["gpu_seconds"] == pytest.approx(cost["gpu_seconds_ratio"] * cost["baseline_gpu_seconds"])
    assert "gpu_seconds" not in recommend(analyze(make_program_run()))["cost"]


def test_the_cost_of_a_program_is_told_with_what_its_lost_attempts_add_to_it() -> None:
    def lose_one(trial: ProgramTrial) -> ProgramTrial:
        lost = {
            "started_at": trial.started_at - 100,
            "ended_at": trial.started_at - 50,
            "reason": "worker-1 was killed",
        }
        return replace(trial, earlier_attempts=[lost])

    analysis = analyze(change(make_program_run(), lose_one, workers=4))

    cost = recommend(analysis)["cost"]
    assert cost["core_seconds_ratio"] == recommend(analyze(make_program_run()))["cost"]["core_seconds_ratio"]
    assert cost["lost_share"] > cost["baseline_lost_share"] == 0
    assert any("attempts that were lost or repeated (3) took 150 s" in warning for warning in analysis.warnings)
