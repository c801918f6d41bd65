from dataclasses import replace

import pytest

from comparison.programs import (
    ProgramTrial,
)
from tests.comparison.programs.answers import analyze, change, recommend
from tests.comparison.programs.program_factory import (
    make_program_run,
    make_replicas,
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


def test_what_servers_of_another_size_held_is_counted_as_they_held_it() -> None:
    def serve(trial: ProgramTrial) -> ProgramTrial:
        servers = make_replicas(0, 1, trial.started_at + 0.5, trial.job_seconds) if trial.num_workers > 1 else []
        held = 4.0 * trial.num_workers + 0.5 * len(servers)
        told = replace(trial, replicas=[*trial.replicas, *servers], num_ps=len(servers))
        return replace(told, cpus_per_replica=4.0, cpus_held=held)

    pair = change(make_program_run({1: 60.0, 2: 33.0}), serve)
    older = change(pair, lambda trial: replace(trial, cpus_held=None))
    unlimited = change(older, lambda trial: replace(trial, cpus_per_replica=None))

    ratios = [recommend(analyze(trials))["cost"]["core_seconds_ratio"] for trials in (pair, older, unlimited)]

    assert ratios[0] == pytest.approx(ratios[1] * 8.5 / 12)
    assert ratios[2] is None


def test_an_evaluator_that_the_single_node_lacks_costs_nothing() -> None:
    def evaluate(trial: ProgramTrial) -> ProgramTrial:
        evaluator = replace(trial.replicas[0], name="evaluator-0", type="evaluator")
        return replace(trial, replicas=[*trial.replicas, evaluator]) if trial.num_workers > 1 else trial

    pair = make_program_run({1: 60.0, 2: 33.0})

    assert recommend(analyze(change(pair, evaluate)))["cost"] == recommend(analyze(pair))["cost"]
