from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Finding, Status
from comparison.audit.marks import mark_configurations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.report.cautions import collect_warnings
from comparison.report.intervals import describe_statistics
from comparison.report.verdict import describe_configuration, state_verdict
from comparison.summary import summarize
from comparison.texts import speak
from tests.comparison.record_factory import make_record, make_run
from tfjob.cpus import CoreRequest, assign_cores

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


def warn(records: list[TrialRecord]) -> list[str]:
    groups = group_trials(records)
    return collect_warnings(groups, audit_fairness(groups))


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


def test_less_accurate_models_are_no_gain() -> None:
    careless = [make_record("all-reduce-2w", trial, 37.0 + trial, 2850) for trial in range(2)]

    assert judge(SINGLE, careless).startswith(
        "Distributing is faster here, but its models are less accurate: all-reduce with 2 workers trained 1.61"
    )
    assert warn([*SINGLE, *careless]) == [
        "all-reduce-2w: its models are less accurate than the single node's (95.00 % against 99.00 %)."
    ]


@pytest.mark.parametrize(("n_correct", "is_told"), [(1000, True), (1050, True), (1120, False)])
def test_models_that_learned_nothing_are_told(n_correct: int, *, is_told: bool) -> None:
    matrix = [[1000, 0, 0], [2000 - n_correct, n_correct - 1000, 0], [1000, 0, 0]]
    guessing = [make_record("single", trial, 60.0 + trial, n_correct, confusion_matrix=matrix) for trial in range(2)]

    told = [warning for warning in warn(guessing) if "no better than answering with the most frequent class" in warning]

    assert bool(told) == is_told


def calibrate(record: TrialRecord, seconds: float) -> TrialRecord:
    replicas = [replace(replica, calibration_seconds=[seconds, seconds]) for replica in record.replicas]
    return replace(record, replicas=replicas)


@pytest.mark.parametrize(
    ("seconds", "clause"),
    [
        (0.28, ", though a fixed computation took its cores 40 % longer than the single node's."),
        (0.14, ", though a fixed computation took its cores 30 % less time than the single node's."),
        (0.209, "(99.00 % against 99.00 %)."),
    ],
)
def test_cores_that_were_not_as_fast_as_the_single_nodes_qualify_the_answer(seconds: float, clause: str) -> None:
    trials = [calibrate(record, seconds) for record in make_trials("all-reduce-2w", [37.0, 37.5])]

    assert judge(SINGLE, trials).endswith(clause)
    assert "fixed computation" not in judge(SINGLE, [replace(record, contended=True) for record in trials])


def test_models_that_miss_the_target_are_no_gain() -> None:
    verdict = judge(SINGLE, missed := make_trials("all-reduce-2w", [37.0, 37.5], misses_target=True))

    assert verdict.startswith("Distributing is faster here, but misses the target accuracy: ")
    assert ", with the target accuracy reached in 0 of 2 trials (the single node in 2 of 2)" in verdict
    assert warn([*SINGLE, *missed]) == ["all-reduce-2w: none of 2 trials reached the target."]


def test_a_target_that_some_trials_miss_is_told() -> None:
    missed = [make_record("all-reduce-2w", trial, 37.0 + trial / 2, misses_target=trial == 1) for trial in range(2)]

    assert judge(SINGLE, missed).startswith("Distributing pays off here: ")
    assert ", with the target accuracy reached in 1 of 2 trials (the single node in 2 of 2)" in judge(SINGLE, missed)
    assert warn([*SINGLE, *missed]) == [
        "all-reduce-2w: 1 of 2 trials reached the target; the time to it is the mean of these alone."
    ]


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
        "No answer, because of a broken rule (no two trials at a time): all-reduce with 2 workers trained 1.62"
    )
    assert "interval" not in verdict


def test_an_answer_of_an_unfair_comparison_says_so() -> None:
    verdict = judge(SINGLE, make_trials("all-reduce-2w", [37.0, 37.5], cpus_per_replica=1.0, image="me/it:1"))

    assert verdict.startswith("Distributing pays off here: ")
    assert ", though not a fair comparison (broken: same image" in verdict


def test_what_the_records_do_not_say_is_a_warning() -> None:
    findings = [Finding("a", Status.UNKNOWN, "Not told."), Finding("b", Status.UNKNOWN, "Nor this.")]

    assert collect_warnings(group_trials(SINGLE), findings) == ["Not known, for the records do not say it all: a, b."]


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


def test_a_clean_run_needs_no_warning() -> None:
    assert warn(SINGLE) == []


def test_warnings_tell_what_disturbed_the_trials_each_once() -> None:
    trials = make_trials("all-reduce-2w", [37.0, 38.0], restarts=1, contended=True, warnings=["slow disk"])
    other = make_trials("single", [60.0, 61.0], initial_weights_sha256="x", backend="cluster", image="me/it:1")

    warnings = warn([*trials, *other])

    assert warnings == [
        "Rule broken: same image. all-reduce-2w: none, processes on the host, where single has me/it:1.",
        "Rule broken: same backend. all-reduce-2w: local, where single has cluster.",
        (
            "Rule broken: same initial weights in a round. "
            "all-reduce-2w: SHA-256 000000000000 in trial 0 of run-1, where single has SHA-256 x; "
            "all-reduce-2w: SHA-256 111111111111 in trial 1 of run-1, where single has SHA-256 x."
        ),
        (
            "Rule broken: no trial contended. "
            "all-reduce-2w: its replicas asked for more cores than there are; its timings are contended."
        ),
        (
            "Rule broken: no restart, no resumption. all-reduce-2w: 1 restarted in trial 0, recovery is timed; "
            "all-reduce-2w: 1 restarted in trial 1, recovery is timed."
        ),
        "all-reduce-2w: slow disk (2 trials)",
    ]


def test_a_warning_tells_the_gist_of_a_long_sentence() -> None:
    findings = [Finding("a", Status.VIOLATED, "Long.", brief="Short."), Finding("b", Status.VIOLATED, "Long.")]

    assert collect_warnings(group_trials(SINGLE), findings) == ["Rule broken: a. Short.", "Rule broken: b. Long."]


def test_other_data_in_one_arm_is_an_answer_refused() -> None:
    other = make_trials("all-reduce-2w", [37.0, 37.5], dataset_sha256="e" * 64)
    groups = group_trials([*SINGLE, *other])

    assert judge(SINGLE, other) == "No answer: the trials did not do the same work, they differ in dataset_sha256."
    warnings = collect_warnings(groups, audit_fairness(groups))
    assert warnings[0].startswith("all-reduce-2w: no speedup, because it is not the same work as its baseline's (data")
    assert warnings[1].startswith("Rule broken: same data. all-reduce-2w: ")


def test_what_the_work_differs_in_is_named_in_chinese() -> None:
    other = make_trials("all-reduce-2w", [37.0, 37.5], images_seen=5)

    with speak("zh"):
        assert judge(SINGLE, other) == "没有结论：各次试验所做的工作不同，差别在于 图像数。"
        assert "（图像数：109,824 (single), 5 (all-reduce-2w)）" in warn([*SINGLE, *other])[0]


def test_one_lucky_trial_decides_nothing_and_is_noted() -> None:
    single = make_trials("single", [60.0, 60.6, 60.3])
    lucky = make_trials("all-reduce-2w", [59.0, 59.6, 20.0])

    assert judge(single, lucky).startswith("Not distinguishable at n = 3 trials")
    assert warn([*single, *lucky]) == [
        (
            f"all-reduce-2w: trial 2 trained 0.34{TIMES} as long as the other trials let expect, "
            "which their noise does not explain. It is not left out."
        )
    ]


def test_the_basis_of_the_intervals_is_told() -> None:
    double = make_trials("all-reduce-2w", [37.0, 37.5])

    assert describe_statistics(group_trials(SINGLE)) == (
        "Without repeated trials a speedup has no interval, and nothing is decided."
    )
    assert describe_statistics(group_trials([*SINGLE, *double])) == (
        "1 comparison with a baseline: intervals of speedups are 95 % intervals. "
        "Trials of a configuration scatter by 1.1 %, estimated from all configurations with a core for each replica "
        "(2 degrees of freedom). "
        "At this noise 2 trials of each configuration find a difference of 10 % in 90 % of runs; "
        "over the 95 % interval of the noise it is 2 to 13."
    )
    more = [make_trials(f"all-reduce-{count}w", [100 / count, 101 / count]) for count in (2, 4, 5, 8)]
    text = describe_statistics(group_trials([*SINGLE, *(record for trials in more for record in trials)]))
    assert text.startswith("4 comparisons with a baseline: intervals of speedups are 95 % intervals that hold for")
    assert "(4 degrees of freedom, differences between rounds taken out). At this noise " in text


@pytest.mark.parametrize(
    ("second", "end"),
    [
        (1.0, "find a difference of 10 % in 90 % of runs."),
        (1.03, "in 90 % of runs; over the 95 % interval of the noise it is 2 to 42."),
        (1.25, "in 90 % of runs; over the 95 % interval of the noise it is 18 to more than a thousand."),
    ],
)
def test_with_the_trials_that_it_takes_is_told_how_far_their_noise_is_known(second: float, end: str) -> None:
    pairs = {name: [seconds, seconds * second] for name, seconds in (("single", 60.0), ("all-reduce-2w", 40.0))}
    groups = group_trials(record for name, own in pairs.items() for record in make_trials(name, own))

    assert describe_statistics(groups).endswith(end)


def test_where_all_is_contended_no_common_noise_is_told() -> None:
    trials = [replace(record, contended=True) for record in make_run()]

    assert describe_statistics(group_trials(trials)).endswith(" that hold for all of them together.")


def test_each_kind_of_scaling_is_told_its_own_basis() -> None:
    strong = [make_record("all-reduce-2w", trial, 37.0 + trial) for trial in range(2)]
    weak = [make_record("all-reduce-4w-weak", trial, 20.0 + trial) for trial in range(2)]

    strong_text, _, weak_text = describe_statistics(group_trials([*SINGLE, *strong, *weak])).partition(
        " Weak scaling: "
    )

    assert strong_text.startswith("Strong scaling: 1 comparison with a baseline: ")
    assert weak_text.startswith("1 comparison with a baseline: ")
    assert strong_text.count(" scatter by ") == weak_text.count(" scatter by ") == 1


@pytest.mark.parametrize(("cores", "expected"), [(1, "2 个副本要求 2 个核心，本机有 1 个：计时存在争用"), (2, None)])
def test_what_the_local_backend_warns_of_is_translated(cores: int, expected: str | None) -> None:
    requests = [CoreRequest(f"worker-{index}", 1, is_worker=True) for index in range(2)]
    warning = assign_cores(requests, range(cores)).warning
    records = [replace(record, warnings=[warning] if warning else []) for record in SINGLE]

    with speak("zh"):
        assert warn(records) == ([f"single：{expected}（2 次试验）"] if expected else [])
    assert warn(records) == ([f"single: {warning} (2 trials)"] if expected else [])


def test_a_run_in_which_every_trial_is_contended_still_has_an_answer() -> None:
    groups = group_trials(
        make_record(name, trial, seconds + trial, contended=True)
        for name, seconds in (("single", 60.0), ("all-reduce-2w", 36.0))
        for trial in range(3)
    )
    (contention,) = [line for line in collect_warnings(groups, audit_fairness(groups)) if "no trial contended" in line]
    assert "single" in contention
    assert "all-reduce-2w" in contention
