from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Finding, Status
from comparison.audit.marks import mark_configurations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.quality import CurvePoint
from comparison.records import QuietWait, TrialRecord
from comparison.report.cautions import collect_notes, collect_warnings
from comparison.report.verdict import answer_question
from comparison.summary import summarize
from comparison.texts import speak
from components.trials.disturbance import describe_attempts
from tests.comparison.record_factory import make_record, make_run_info
from tfjob.local.machine.cores import _warn_of_threads, assign_cores

TIMES = "\N{MULTIPLICATION SIGN}"


def make_trials(configuration: str, train_seconds: Sequence[float], **changes: Any) -> list[TrialRecord]:
    return [
        make_record(configuration, trial, seconds, **{"total_seconds": seconds + 15} | changes)
        for trial, seconds in enumerate(train_seconds)
    ]


def judge(*trials: list[TrialRecord]) -> str:
    groups = group_trials(record for group in trials for record in group)
    findings = audit_fairness(groups)
    marks = mark_configurations(groups, findings)
    answers = answer_question(summarize(groups), groups, findings, marks, make_run_info(configurations=[]))
    return answers["strong"].text


def warn(records: list[TrialRecord]) -> list[str]:
    groups = group_trials(records)
    return collect_warnings(groups, audit_fairness(groups))


SINGLE = make_trials("single", [60.0, 61.0])


def test_less_accurate_models_are_no_gain() -> None:
    careless = [make_record("all-reduce-2w", trial, 37.0 + trial, 2850) for trial in range(2)]

    assert judge(SINGLE, careless).startswith("No answer about all-reduce with 2 workers: its models are less accurate")
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
    missed = make_trials("all-reduce-2w", [37.0, 37.5], misses_target=True)

    assert judge(SINGLE, missed) == (
        "No answer about all-reduce with 2 workers: "
        "none of its models reaches the target accuracy, which the single node's do."
    )
    assert warn([*SINGLE, *missed]) == ["all-reduce-2w: none of 2 trials reached the target."]


def test_a_target_that_some_trials_miss_is_told() -> None:
    missed = [make_record("all-reduce-2w", trial, 37.0 + trial / 2, misses_target=trial == 1) for trial in range(2)]

    assert judge(SINGLE, missed).startswith("Distributing pays off here: ")
    assert " The target accuracy was reached in 1 of 2 trials (the single node's in 2 of 2)." in judge(SINGLE, missed)
    assert warn([*SINGLE, *missed]) == [
        "all-reduce-2w: 1 of 2 trials reached the target; the time to it is the mean of these alone."
    ]


def test_what_the_records_do_not_say_is_a_warning() -> None:
    findings = [Finding("a", Status.UNKNOWN, "Not told."), Finding("b", Status.UNKNOWN, "Nor this.")]

    assert collect_warnings(group_trials(SINGLE), findings) == ["The records do not say whether 2 rules hold."]


def test_a_clean_run_needs_no_warning() -> None:
    assert warn(SINGLE) == []


def test_warnings_tell_what_disturbed_the_trials_each_once() -> None:
    trials = make_trials("all-reduce-2w", [37.0, 38.0], restarts=1, contended=True, warnings=["slow disk"])
    other = make_trials("single", [60.0, 61.0], initial_weights_sha256="x", backend="cluster", image="me/it:1")

    warnings = warn([*trials, *other])

    assert warnings == [
        "Rule broken: same image (all-reduce-2w).",
        "Rule broken: same backend (all-reduce-2w).",
        "Rule broken: same initial weights in a round (all-reduce-2w).",
        "Rule broken: no restart, no resumption (all-reduce-2w).",
        "all-reduce-2w: slow disk (2 trials)",
    ]


def test_a_broken_rule_is_one_line_and_its_details_are_in_the_audit() -> None:
    findings = [Finding("a", Status.VIOLATED, "Long and long.", ("single", "all-reduce-2w"))]

    assert collect_warnings(group_trials(SINGLE), findings) == ["Rule broken: a (single, all-reduce-2w)."]


def test_trials_that_were_repeated_because_the_machine_was_disturbed_are_told() -> None:
    disturbed = {"started_at": 0.0, "ended_at": 1.0, "reason": "others computed", "train_seconds": 80.0}
    lost = {"started_at": 0.0, "ended_at": None, "reason": "worker-1 ended with exit code 138"}
    trials = [replace(SINGLE[0], earlier_attempts=[disturbed, lost]), SINGLE[1]]

    repeated, cost = warn(trials)
    assert repeated == "single: 1 of 2 trials repeated because the machine was disturbed; both are in the records."
    assert cost.startswith("single: attempts that were lost or repeated (2) took at least 1 s, the jobs that count 151")


def test_a_wait_for_a_quiet_machine_is_told_with_who_took_it() -> None:
    waited = replace(SINGLE[0], quiet=QuietWait(9.6, ["chrome, 80 % of a core"]))

    assert (
        warn([waited, SINGLE[1]])[-1] == "1 trial waited 10 s in all for free cores, taken by chrome, 80 % of a core."
    )


@pytest.mark.parametrize(
    ("same", "note"),
    [
        (None, "BatchNorm in groups of 64 images in every configuration: equal weights are possible, but "),
        (True, "BatchNorm in groups of 64 images in every configuration: equal weights are possible, but "),
        (False, "BatchNorm over each worker's own share: weights differ, accuracies are compared statistically."),
    ],
)
def test_which_batch_norm_it_was_is_noted_with_what_follows(note: str, *, same: bool | None) -> None:
    records = [replace(own, same_batch_norm=same) for own in [*SINGLE, *make_trials("all-reduce-2w", [37.0, 37.5])]]

    assert collect_notes(group_trials(records))[0].startswith(note)


@pytest.mark.parametrize(("cores", "why"), [(2, "; --bigger-nodes does."), (1, ": too few cores.")])
def test_a_bigger_node_that_was_not_measured_is_noted(cores: int, why: str) -> None:
    trials = [replace(own, host=own.host | {"cores": cores}) for own in make_trials("all-reduce-2w", [37.0, 37.5])]
    bigger = make_trials("single-2cpu", [50.0, 51.0])

    assert collect_notes(group_trials([*SINGLE, *trials]))[1:] == [
        f"One process with the cores of all workers (2) was not measured{why}"
    ]
    assert len(collect_notes(group_trials([*SINGLE, *bigger, *trials]))) == 1


def test_that_one_process_with_the_gpus_of_all_was_not_measured_is_noted() -> None:
    single, pair, bigger = (
        [replace(record, gpus=gpus) for record in records]
        for gpus, records in (
            (1, SINGLE),
            (1, make_trials("all-reduce-2w", [37.0, 37.5])),
            (2, make_trials("single-2cpu", [50.0, 51.0])),
        )
    )

    assert collect_notes(group_trials([*single, *pair]))[1:] == [
        "One process with the GPUs of all workers (2) was not measured: the plan says why."
    ]
    assert len(collect_notes(group_trials([*single, *bigger, *pair]))) == 1


def test_other_data_in_one_arm_is_an_answer_refused() -> None:
    other = make_trials("all-reduce-2w", [37.0, 37.5], dataset_sha256="e" * 64)
    groups = group_trials([*SINGLE, *other])

    assert judge(SINGLE, other) == (
        "No answer about all-reduce with 2 workers: "
        "it did not do the same work as the single node, they differ in dataset_sha256."
    )
    warnings = collect_warnings(groups, audit_fairness(groups))
    assert warnings[0].startswith("all-reduce-2w: no speedup, because it is not the same work as its baseline's (data")
    assert warnings[1].startswith("Rule broken: same data (all-reduce-2w)")


def test_what_the_work_differs_in_is_named_in_chinese() -> None:
    other = make_trials("all-reduce-2w", [37.0, 37.5], images_seen=5)

    with speak("zh"):
        assert (
            judge(SINGLE, other)
            == "关于all-reduce（2 个工作节点）没有结论：它与单节点所做的工作不同，差别在于 图像数。"
        )
        assert "（图像数：109,824 (single), 5 (all-reduce-2w)）" in warn([*SINGLE, *other])[0]


def test_with_weak_scaling_the_batch_of_a_bigger_node_is_noted() -> None:
    node = make_trials("single-2cpu", [31.0, 31.2])
    weak, strong = (make_trials(name, [37.0, 37.5]) for name in ("all-reduce-2w-weak", "all-reduce-2w"))

    told = [
        any("a bigger node has the batch of one worker" in own for own in collect_notes(group_trials(records)))
        for records in ([*SINGLE, *node, *weak], [*SINGLE, *weak], [*SINGLE, *node, *strong])
    ]

    assert told == [True, False, False]


def test_one_lucky_trial_decides_nothing_and_is_noted() -> None:
    single = make_trials("single", [60.0, 60.6, 60.3])
    lucky = make_trials("all-reduce-2w", [59.0, 59.6, 20.0])

    assert judge(single, lucky).startswith("Not distinguishable")
    assert warn([*single, *lucky]) == [
        (
            f"all-reduce-2w: trial 2 trained 0.34{TIMES} as long as the other trials let expect, "
            "which their noise does not explain. It is not left out."
        ),
        (
            "Figures that single slow trials move less differ by more than 3 % from the means: "
            "all-reduce-2w 1.31 (speedup, median of rounds: 1.02)."
        ),
    ]


@pytest.mark.parametrize(
    ("place", "told"), [(1, " It was the run's first, which may have fetched what the others found."), (4, "")]
)
def test_a_whole_job_that_took_longer_than_noise_explains_is_noted(place: int, told: str) -> None:
    pulled = make_trials("single", [60.0], total_seconds=140.0, place=place)
    others = [*make_trials("single", [60.0, 60.6, 60.3])[1:], *make_trials("all-reduce-2w", [37.0, 37.6, 37.2])]

    assert (
        f"single: the whole job of trial 0 took 1.86{TIMES} as long as the other trials let expect, which their noise "
        f"does not explain. It is not left out.{told}"
    ) in warn([*pulled, *others])


def test_what_the_local_backend_warns_of_contention_is_left_to_the_mark() -> None:
    warning = assign_cores({"worker-0": 1, "worker-1": 1}, range(1)).warning

    assert warning
    assert warn([replace(record, warnings=[warning], contended=True) for record in SINGLE]) == []


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
    findings = audit_fairness(groups)
    marks = mark_configurations(groups, findings)

    assert (marks.contended, marks.unproven) == (["single", "all-reduce-2w"], [])
    assert judge(*groups.values()).startswith("Distributing pays off here: ")


def test_of_many_disturbed_trials_the_worst_is_told_once() -> None:
    messages = [
        f"this attempt counts although others took {percent} % of CPU 0 of worker-0 while it trained (other programs "
        f"0.4 s, hypervisor 0.0 s, of 1.1 s; the limit is 10 %)"
        for percent in (33, 64)
    ]
    first, second = SINGLE
    told = warn([replace(first, warnings=messages[:1]), replace(second, warnings=[messages[1], "another"])])

    assert told == [
        f"single: {messages[1]} (2 trials, of which this is the worst)",
        "single: another (1 trial)",
    ]


def test_of_a_machine_that_was_busy_before_many_trials_the_worst_is_told_once() -> None:
    began = "after 10 s of waiting the job began on a busy machine: CPU 0 is taken by python"
    busy = [f"{began} ({own} %)" for own in (9, 40)]
    told = warn([replace(own, warnings=[message]) for own, message in zip(SINGLE, busy, strict=True)])

    assert told == [f"single: {busy[1]} (2 trials, of which this is the worst)"]


def test_a_target_that_nothing_reached_is_told_once() -> None:
    shared = make_trials("all-reduce-2w", [37.0, 38.0])
    far = [replace(own, target_accuracy=0.999, seconds_to_target=None, round=None) for own in (*SINGLE, *shared)]

    told = [own for own in warn(far) if "target" in own]
    assert told == ["None of the trials of any configuration reached the target."]


def test_an_answer_says_whose_cores_others_had() -> None:
    fast = make_trials("all-reduce-2w", [37.0, 38.0])
    taken = [
        replace(own, replicas=[replace(replica, others_cpu_seconds=20.0) for replica in own.replicas]) for own in SINGLE
    ]

    assert "had the cores" not in judge(SINGLE, fast)
    assert judge(taken, fast).endswith("Others had the cores during trainings of single.")
