from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.marks import mark_configurations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.report.verdict import describe_configuration, state_verdict
from comparison.summary import summarize
from tests.comparison.record_factory import make_record, make_run

TIMES = "\N{MULTIPLICATION SIGN}"
DASH = "\N{EN DASH}"


def make_trials(configuration: str, train_seconds: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [
        make_record(configuration, trial, seconds, **{"total_seconds": seconds + 15} | changes)
        for trial, seconds in enumerate(train_seconds)
    ]


def judge(*trials: list[TrialRecord]) -> str:
    records = [record for group in trials for record in group]
    groups = group_trials(records)
    findings = audit_fairness(groups)
    return state_verdict(summarize(groups), groups, findings, mark_configurations(groups, findings))


SINGLE = make_trials("single", [60.0, 61.0])


def test_a_gain_in_training_and_in_the_whole_job_pays_off() -> None:
    assert judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5])) == (
        f"Distributing pays off here: all-reduce with 2 workers trained 1.62{TIMES} as fast as a single node "
        f"(95 % interval 1.55{DASH}1.70, n = 2 trials) at indistinguishable accuracy (99.00 % against 99.00 %)."
    )


def test_a_gain_that_start_up_eats_is_a_gain_in_training_time_only() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], total_seconds=120.0))

    assert verdict.startswith("Distributing pays off here in training time only: all-reduce with 2 workers")
    assert verdict.endswith(", but the whole job, start-up included, took longer (120 s against 75.5 s).")


def test_a_whole_job_that_is_not_measurably_faster_is_said_to_be_so() -> None:
    slow = [
        make_record("all-reduce-2w", trial, 37.0 + trial, total_seconds=seconds)
        for trial, seconds in enumerate((66.0, 82.0))
    ]

    assert "in training time only" in judge(SINGLE, slow)
    assert judge(SINGLE, slow).endswith("was not distinguishable (74.0 s against 75.5 s).")


def test_slower_training_does_not_pay_off() -> None:
    verdict = judge(SINGLE, make_trials("parameter-server-2w-1ps", [90.0, 91.0]))

    assert verdict.startswith(
        "Distributing does not pay off here: "
        f"parameter-server with 2 workers and 1 server trained 0.67{TIMES} as fast as a single node (95 % interval"
    )
    assert "whole job" not in verdict


def test_noise_is_not_a_result() -> None:
    verdict = judge(make_trials("single", [60.0, 70.0]), make_trials("all-reduce-2w", [50.0, 60.2]))

    assert verdict.startswith("Not distinguishable at n = 2 trials: all-reduce with 2 workers trained 1.18")


def test_single_trials_decide_nothing() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [30.0]))

    assert verdict.startswith("Not decided by a single trial: all-reduce with 2 workers trained 2.02")
    assert "(n = 1 and 2 trials)" in verdict


def test_the_fastest_distributed_configuration_is_the_one_judged() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 38.0]), make_trials("all-reduce-4w", [20.0, 20.2]))

    assert "all-reduce with 4 workers" in verdict


@pytest.mark.parametrize(("n_correct", "kind"), [(2850, "lower"), (2969, "indistinguishable"), (3000, "higher")])
def test_speed_at_the_cost_of_accuracy_is_not_hidden(n_correct: int, kind: str) -> None:
    fast = [make_record("all-reduce-2w", trial, 37.0 + trial, n_correct) for trial in range(2)]

    assert f"at {kind} accuracy ({n_correct / 30:.2f} % against 99.00 %)" in judge(SINGLE, fast)


def test_a_fast_configuration_with_worse_models_gives_way_to_one_that_is_sound() -> None:
    careless = [make_record("all-reduce-4w", trial, 20.0 + trial, 2850) for trial in range(2)]

    assert "pays off here: all-reduce with 2 workers" in judge(
        SINGLE, make_trials("all-reduce-2w", [37.0, 37.5]), careless
    )


def test_trials_that_prove_nothing_give_no_interval() -> None:
    at_once = [
        replace(record, started_at=beside.started_at + 1, ended_at=beside.started_at + 1 + record.total_seconds)
        for record, beside in zip(make_trials("all-reduce-2w", [37.0, 37.5]), SINGLE, strict=True)
    ]

    verdict = judge(SINGLE, at_once)

    assert verdict.startswith(
        "No answer, because of a broken rule (no two trials at a time, trials in rounds): "
        "all-reduce with 2 workers trained 1.62"
    )
    assert "interval" not in verdict


def test_an_answer_of_an_unfair_comparison_says_so() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], cpus_per_replica=1.0, image="me/it:1"))

    assert verdict.startswith("Distributing pays off here: ")
    assert ", though not a fair comparison (broken: same image" in verdict


def test_accuracies_that_scatter_between_trials_are_not_distinguished() -> None:
    fast = [make_record("all-reduce-2w", trial, 37.0, n_correct) for trial, n_correct in enumerate((2800, 2950))]

    assert "at indistinguishable accuracy" in judge(SINGLE, fast)


def test_one_bigger_node_that_does_as_well_is_named() -> None:
    verdict = judge(SINGLE, make_trials("single-2cpu", [30.0, 30.1]), make_trials("all-reduce-2w", [37.0, 37.5]))

    assert verdict.endswith(f", while one node with 2 CPUs was 2.01{TIMES} as fast.")


def test_one_bigger_node_that_does_worse_is_left_to_the_table() -> None:
    verdict = judge(SINGLE, make_trials("single-2cpu", [50.0, 50.1]), make_trials("all-reduce-2w", [37.0, 37.5]))

    assert "one node" not in verdict


def test_contended_timings_are_said_to_be_so() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], contended=True))

    assert verdict.endswith(
        ", with replicas that shared too few cores, so that this says little about separate machines."
    )


def test_weak_scaling_is_about_throughput() -> None:
    single = make_trials("single", [60.0, 61.0], scaling="weak")
    double = make_trials("all-reduce-2w", [37.0, 37.5], scaling="weak", per_replica_batch_size=128)

    assert "all-reduce with 2 workers processed images 1.62" in judge(single, double)


def test_without_both_sides_there_is_no_answer() -> None:
    assert judge(SINGLE) == "No answer: no distributed training was measured."
    assert judge(make_trials("all-reduce-2w", [37.0])).startswith("No answer: there is no single node")


def test_configurations_are_described_in_words() -> None:
    assert [describe_configuration(record) for record in make_run()[:3]] == [
        "a single node with 1 CPU",
        "all-reduce with 2 workers",
        "parameter-server with 2 workers and 1 server",
    ]


def test_the_verdict_is_about_several_workers_where_there_are_any() -> None:
    alone, two = make_trials("all-reduce-1w", [50.0, 50.5]), make_trials("all-reduce-2w", [58.0, 58.5])

    assert "all-reduce with 2 workers trained 1.04" in judge(SINGLE, alone, two)
    assert "all-reduce with 1 worker trained 1.20" in judge(SINGLE, alone)


def test_the_verdict_is_about_several_workers_even_where_their_models_are_worse() -> None:
    alone = make_trials("all-reduce-1w", [59.0, 59.5])
    careless = [make_record("all-reduce-2w", trial, 37.0 + trial, 2850) for trial in range(2)]

    assert judge(SINGLE, alone, careless).startswith(
        "Distributing is faster here, but its models are less accurate: all-reduce with 2 workers"
    )
