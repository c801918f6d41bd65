from typing import Any

import pytest

from components.trials.disturbance import (
    ACCEPT_NOISE_VARIABLE,
    accepts_noise,
    choose_patience,
    describe_attempts,
    find_disturbance,
)
from tfjob.backend import JobResult, ReplicaResult


def make_result(*cores: list[int], is_contended: bool = False) -> JobResult:
    replicas = [ReplicaResult(f"worker-{i}", "worker", i, 0, 0, own, 1.0, 2.0) for i, own in enumerate(cores)]
    return JobResult("mnist", "local", 0.0, 0.0, 0.0, 12.0, is_contended, [], replicas, 0.0, 12.0)


def make_training(*counted: dict[str, Any]) -> dict[str, Any]:
    replicas = [{"type": "worker", "index": i, **fields} for i, fields in enumerate(counted)]
    return {"train_seconds": 10.0, "replicas": replicas}


def test_a_trial_on_cores_of_which_others_took_more_than_a_tenth_is_disturbed_and_who_and_how_much_is_told() -> None:
    training = make_training(
        {"others_cpu_seconds": 0.2, "steal_seconds": 0.0},
        {"others_cpu_seconds": 1.9, "steal_seconds": 0.4},
    )
    assert find_disturbance(training, make_result([0], [1]), 1.0) == (
        "others took 23 % of CPU 1 of worker-1 while it trained (other programs 1.9 s, hypervisor 0.4 s, of 10.0 s; "
        "the limit is 10 %)"
    )


@pytest.mark.parametrize(
    ("others", "steal", "is_disturbed"),
    [
        (1.0, 0.0, False),
        (1.01, 0.0, True),
        (0.6, 0.6, True),
        (None, 1.01, True),
        (1.01, None, True),
        (None, None, False),
    ],
)
def test_the_limit_is_a_tenth_of_a_core_by_programs_and_hypervisor_together(
    others: float | None, steal: float | None, is_disturbed: bool
) -> None:
    training = make_training({"others_cpu_seconds": others, "steal_seconds": steal})
    assert bool(find_disturbance(training, make_result([0]), 1.0)) is is_disturbed


@pytest.mark.parametrize(("cores", "cpus", "is_disturbed"), [([0, 1], 2.0, False), ([], 2.0, False), ([], 0.5, True)])
def test_the_share_is_of_all_cores_of_a_replica_also_where_it_is_bound_to_none(
    cores: list[int], cpus: float, is_disturbed: bool
) -> None:
    training = make_training({"others_cpu_seconds": 1.9})
    assert bool(find_disturbance(training, make_result(cores), cpus)) is is_disturbed


def test_a_replica_with_several_cores_names_them_all() -> None:
    words = find_disturbance(make_training({"others_cpu_seconds": 5.0}), make_result([2, 3]), 2.0)
    assert words.startswith("others took 25 % of CPU 2, 3 of worker-0 while")


def test_a_record_that_does_not_count_others_is_not_disturbed() -> None:
    assert find_disturbance(make_training({}), make_result([0]), 1.0) == ""
    assert find_disturbance(make_training(), make_result([0]), 1.0) == ""


def test_a_contended_trial_is_not_judged() -> None:
    training = make_training({"others_cpu_seconds": 9.0})
    assert find_disturbance(training, make_result([0], is_contended=True), 1.0) == ""


def test_the_rule_looks_at_nothing_that_the_trial_measured_of_itself() -> None:
    quiet = make_training({"others_cpu_seconds": 0.1, "waited_seconds": 9.0, "cpu_seconds": 99.0})
    quiet |= {"images_per_second": 1.0, "curve": [{"validation_accuracy": 0.1}]}
    assert find_disturbance(quiet, make_result([0]), 1.0) == ""


def test_each_attempt_is_told_with_its_reason() -> None:
    lost = {"started_at": 1.0, "ended_at": 2.0, "reason": "its launcher was lost"}
    disturbed = {"started_at": 3.0, "ended_at": 4.0, "reason": "others took 50 % of core 0", "train_seconds": 9.0}
    assert describe_attempts([lost, disturbed], "others took 20 % of core 0") == [
        "trained anew from step 0, and this whole attempt counts; an attempt before it ended: its launcher was lost",
        "trained once more, and this attempt counts; in the one before it others took 50 % of core 0",
        "this attempt counts although others took 20 % of core 0",
    ]
    assert describe_attempts([], "") == []


def test_what_happened_to_two_attempts_is_told_of_the_trial_once() -> None:
    lost = {"reason": "its launcher was lost"}
    assert len(describe_attempts([lost, lost], "")) == 1


def test_the_patience_is_that_of_the_place_and_none_for_who_accepts_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_patience(is_first=True) is None  # as the tests are run
    monkeypatch.delenv(ACCEPT_NOISE_VARIABLE)
    assert [choose_patience(is_first=is_first) for is_first in (True, False)] == [60.0, 10.0]
    assert not accepts_noise({ACCEPT_NOISE_VARIABLE: ""})
