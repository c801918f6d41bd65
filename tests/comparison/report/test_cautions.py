from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Finding, Status
from comparison.audit.marks import mark_configurations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import CurvePoint, TrialRecord
from comparison.report.cautions import collect_warnings
from comparison.report.verdict import state_verdict
from comparison.summary import summarize
from comparison.texts import speak
from components.trials.disturbance import describe_attempts
from tests.comparison.record_factory import make_record
from tfjob.local.cores import _warn_of_threads, assign_cores

TIMES = "\N{MULTIPLICATION SIGN}"


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
    curve = [CurvePoint(1, 858, 60.0, 1.1, 0.35)]
    guessing = [
        make_record("single", trial, 60.0 + trial, n_correct, confusion_matrix=matrix, curve=curve)
        for trial in range(2)
    ]

    told = [warning for warning in warn(guessing) if "no better than answering with the most frequent class" in warning]

    assert bool(told) == is_told


def test_models_that_know_the_validation_images_alone_did_not_learn_nothing() -> None:
    matrix = [[1000, 0, 0], [1000, 0, 0], [1000, 0, 0]]
    curve = [CurvePoint(1, 858, 60.0, 0.2, 0.94)]
    unlike = [
        make_record("single", trial, 60.0 + trial, 1000, confusion_matrix=matrix, curve=curve) for trial in range(2)
    ]

    told = "single: validation 94 %, test 33 %: the test images seem to be prepared unlike the training images."
    assert told in warn(unlike)
    assert not [warning for warning in warn(unlike) if "learns nothing" in warning]


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


def test_what_the_records_do_not_say_is_a_warning() -> None:
    findings = [Finding("a", Status.UNKNOWN, "Not told."), Finding("b", Status.UNKNOWN, "Nor this.")]

    assert collect_warnings(group_trials(SINGLE), findings) == ["Not known, for the records do not say it all: a, b."]


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
            "all-reduce-2w: SHA-256 000000000000 in round 0 of run-1, where single has SHA-256 x; "
            "all-reduce-2w: SHA-256 111111111111 in round 1 of run-1, where single has SHA-256 x."
        ),
        (
            "Rule broken: no trial contended. "
            "all-reduce-2w: its replicas asked for more cores than there are; its timings are contended."
        ),
        (
            "Rule broken: no restart, no resumption. all-reduce-2w: 1 restarted in trial 0, which has no time; "
            "all-reduce-2w: 1 restarted in trial 1, which has no time."
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


@pytest.mark.parametrize(("cores", "expected"), [(1, "2 个副本要求 2 个核心，本机有 1 个：计时存在争用"), (2, None)])
def test_what_the_local_backend_warns_of_is_translated(cores: int, expected: str | None) -> None:
    warning = assign_cores({"worker-0": 1, "worker-1": 1}, range(cores)).warning
    records = [replace(record, warnings=[warning] if warning else []) for record in SINGLE]

    with speak("zh"):
        assert warn(records) == ([f"single：{expected}（2 次试验）"] if expected else [])
    assert warn(records) == ([f"single: {warning} (2 trials)"] if expected else [])


@pytest.mark.parametrize(
    "warning",
    [
        _warn_of_threads({"worker-0": [0], "worker-1": [1]}, {0: 0, 1: 0}),
        *describe_attempts([{"reason": "worker-1"}], ""),
    ],
)
def test_what_is_recorded_of_threads_and_of_lost_attempts_is_translated(warning: str) -> None:
    with speak("zh"):
        (told,) = warn([replace(record, warnings=[warning]) for record in SINGLE])
    assert "worker-1" in told
    assert not {"threads", "step"} & {*told.split()}


def test_a_run_in_which_every_trial_is_contended_still_has_an_answer() -> None:
    groups = group_trials(
        make_record(name, trial, seconds + trial, contended=True)
        for name, seconds in (("single", 60.0), ("all-reduce-2w", 36.0))
        for trial in range(3)
    )
    (contention,) = [line for line in collect_warnings(groups, audit_fairness(groups)) if "no trial contended" in line]
    assert "single" in contention
    assert "all-reduce-2w" in contention
