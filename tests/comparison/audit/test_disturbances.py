from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from comparison.audit.disturbances import DISTURBED_SHARE, list_holdups, list_taken_cores, measure_disturbance
from comparison.audit.findings import Status
from comparison.audit.rules import CORES_RULE, HOLDUP_RULE
from comparison.clocks import measure_waiting_share
from comparison.records import Gpu, TrialRecord
from tests.comparison.audit.fair_run import audit, calibrate, find_violations, make_fair_run
from tests.comparison.record_factory import make_record, make_run


def hold_up(record: TrialRecord, seconds: float) -> TrialRecord:
    """Returns the record of a training that stood still for so long: its median step knows nothing of it."""
    held_up = make_record(record.configuration, record.trial, record.train_seconds + seconds)
    return calibrate(replace(held_up, step_seconds=record.step_seconds, contended=record.contended), 1.0, 1.01)


def slow_down(record: TrialRecord, share: float) -> TrialRecord:
    """Returns the record of a training whose second half took so much longer, in the same time."""
    middle, end = record.curve
    half = record.train_seconds / (2 + share)
    return replace(record, curve=[replace(middle, train_seconds=half), end], seconds_to_target=half)


def disturb(record: TrialRecord, replica: int = 0, **seconds: Any) -> TrialRecord:
    """Returns the record of a trial of which one replica was disturbed for so long."""
    replicas = [replace(own, **seconds) if own.index == replica else own for own in record.replicas]
    return replace(record, replicas=replicas)


def test_a_trial_that_stood_still_for_a_while_is_told() -> None:
    records = make_fair_run()
    held_up = [hold_up(records[0], 12.0), *records[1:]]

    violations = find_violations(held_up)

    assert {rule: finding.sentence for rule, finding in violations.items()} == {
        HOLDUP_RULE: "single: trial 0 was disturbed, it trained 12.0 s longer than its median step and the other "
        "trials let expect."
    }


def test_what_holds_up_every_trial_of_a_configuration_or_is_contended_is_no_disturbance() -> None:
    records = make_fair_run()

    assert list_holdups([hold_up(record, 12.0) for record in records]) == []
    assert list_holdups([replace(hold_up(records[0], 12.0), contended=True), *records[1:]]) == []
    assert list_holdups([hold_up(records[0], 12.0)]) == []
    assert list_holdups([*records[:2], hold_up(records[2], 30.0), *records[3:]]) == []
    assert list_holdups([replace(hold_up(records[0], 12.0), step_seconds={}), *records[1:]]) == []


def test_a_median_above_the_mean_of_the_steps_makes_no_other_trial_look_held_up() -> None:
    first, second = (record for record in make_fair_run() if record.configuration == "single")
    two_speeds = replace(first, step_seconds={"p50": 1.08 * first.train_seconds / first.steps})
    usual = replace(second, step_seconds={"p50": 0.94 * second.train_seconds / second.steps})

    assert list_holdups([two_speeds, usual]) == []


@pytest.mark.parametrize(
    ("change", "words"), [(0.2, "took 20 % longer than its first"), (-0.2, "took 20 % less time than its first")]
)
def test_a_training_that_was_throttled_half_way_is_told(change: float, words: str) -> None:
    records = make_fair_run()
    throttled = [slow_down(records[0], change), *records[1:]]

    violation = find_violations(throttled)[HOLDUP_RULE]

    assert violation.sentence == f"single: trial 0 was disturbed, its second half {words}."
    assert list_holdups([slow_down(record, 0.1) for record in records]) == []
    assert list_holdups([replace(throttled[0], contended=True), *records[1:]]) == []
    assert list_holdups([replace(records[0], curve=records[0].curve[-1:]), *records[1:]]) == []


def test_a_first_epoch_that_is_slower_in_every_configuration_is_no_disturbance_and_in_one_alone_it_is() -> None:
    records = [record for record in make_fair_run() if not record.num_ps]

    assert list_holdups([slow_down(record, -0.2) for record in records]) == []
    throttled = [slow_down(own, 0.2) if own.configuration == "single" else own for own in records]
    assert [own.trial.configuration for own in list_holdups(throttled)] == ["single", "single"]


@pytest.mark.parametrize(
    "seconds", [{"others_cpu_seconds": 0.12 * 60}, {"steal_seconds": 0.11 * 60}, {"others_cpu_seconds": 0.5 * 60}]
)
def test_a_training_whose_core_others_had_is_told(seconds: dict[str, Any]) -> None:
    records = make_fair_run()
    records[0] = disturb(records[0], **seconds)

    violation = find_violations(records)[CORES_RULE]

    share = measure_disturbance(records[0]) or 0.0
    assert violation.sentence == (
        f"single: trial 0 was disturbed, others had its cores for {100 * share:.0f} % of its training."
    )
    assert [own.trial for own in list_taken_cores(records)] == [records[0]]
    assert list_taken_cores([replace(records[0], contended=True), *records[1:]]) == []


def test_a_disturbance_is_a_share_of_all_cores_of_the_replica_and_that_of_the_worst_one() -> None:
    own = disturb(make_record("all-reduce-2w", train_seconds=50.0), replica=1, others_cpu_seconds=8.0, cpus=[1, 2])

    assert measure_disturbance(own) == pytest.approx(0.08)
    assert measure_disturbance(disturb(own, others_cpu_seconds=5.0)) == pytest.approx(0.1)
    unknown = [replace(replica, others_cpu_seconds=None, steal_seconds=None) for replica in own.replicas]
    assert measure_disturbance(replace(own, replicas=unknown)) is None


def test_a_trial_that_waited_for_cores_longer_than_the_others_is_told() -> None:
    unknown: dict[str, Any] = {"others_cpu_seconds": None, "steal_seconds": None}
    waits = (0.5, 0.52, 0.75)
    records = [
        disturb(make_record("all-reduce-1w", trial, 40.0 + trial), waited_seconds=wait * (40.0 + trial), **unknown)
        for trial, wait in enumerate(waits)
    ]

    told = list_taken_cores(records)

    assert [(own.trial, own.reason) for own in told] == [
        (records[2], "it waited for cores for 75 % of its training, usual are 52 %")
    ]
    assert list_taken_cores(records[:2]) == []


def test_the_share_that_a_trial_waited_is_that_of_its_replica_that_waited_longest() -> None:
    record = make_record("all-reduce-2w", train_seconds=50.0)

    assert measure_waiting_share(disturb(record, replica=1, waited_seconds=20.0)) == pytest.approx(0.4)
    assert measure_waiting_share(disturb(record, replica=1, waited_seconds=None)) == pytest.approx(0.02)
    silent = replace(record, replicas=[replace(replica, waited_seconds=None) for replica in record.replicas])
    assert measure_waiting_share(silent) is None


def simulate_quiet_run(num_workers: int, generator: np.random.Generator) -> list[TrialRecord]:
    """Returns trials on a virtual machine that nothing else uses, whose calibration scatters by 11 %."""
    records = []
    for trial in range(3):
        for name in ("single", f"all-reduce-{num_workers}w"):
            record = make_record(name, trial, 50.0 * float(np.exp(generator.normal(0, 0.03))))
            replicas = [
                replace(
                    replica,
                    calibration_seconds=list(0.2 * np.exp(generator.normal(0, 0.11, 2))),
                    others_cpu_seconds=record.train_seconds * abs(float(generator.normal(0.015, 0.01))),
                    waited_seconds=record.train_seconds * float(generator.normal(0.3, 0.02)),
                )
                for replica in record.replicas
            ]
            records.append(replace(record, replicas=replicas))
    return records


@pytest.mark.parametrize("num_workers", [2, 8, 64])
def test_a_quiet_machine_disturbs_nothing_however_many_replicas_there_are(num_workers: int) -> None:
    generator = np.random.default_rng(num_workers)

    told = [list_taken_cores(simulate_quiet_run(num_workers, generator)) for _ in range(20)]

    assert told == [[]] * 20


def change_all(records: Sequence[TrialRecord], **seconds: Any) -> list[TrialRecord]:
    return [
        replace(record, replicas=[replace(replica, **seconds) for replica in record.replicas]) for record in records
    ]


def test_of_many_disturbed_trials_the_gist_is_told_beside_the_list() -> None:
    records = make_fair_run()
    few = find_violations([*change_all(records[:3], others_cpu_seconds=20.0), *records[3:]])[CORES_RULE]
    many = find_violations([*change_all(records[:4], steal_seconds=30.0), *records[4:]])[CORES_RULE]

    assert few.brief == ""
    assert few.sentence.count("was disturbed") == 3
    assert many.sentence.count("was disturbed") == 4
    assert many.brief == (
        "4 of 6 trials were disturbed: 2 of single, 1 of all-reduce-2w, 1 of parameter-server-2w-1ps. "
        "The worst: trial 0 of all-reduce-2w, others had its cores for 84 % of its training."
    )


def test_a_core_that_is_slower_in_the_calibration_alone_marks_nothing() -> None:
    records = make_fair_run()
    records[0] = calibrate(records[0], 1.0, 1.3)

    assert not find_violations(records)
    assert DISTURBED_SHARE == 0.1


def test_a_machine_that_does_not_say_who_had_the_cores_is_not_known() -> None:
    silent: dict[str, Any] = {"others_cpu_seconds": None, "steal_seconds": None, "waited_seconds": None}
    records = change_all(make_run(), **silent)

    assert audit(records)[CORES_RULE].sentence == "Who had the cores was not measured in 6 of 6 trials."
    assert audit([*make_fair_run()[:-1], records[-1]])[CORES_RULE].status is Status.UNKNOWN


def make_gpu(**changes: Any) -> Gpu:
    fields: dict[str, Any] = {
        "name": "NVIDIA H200",
        "uuid": "GPU-1",
        "driver": "580.1",
        "memory_total_bytes": 150,
        "memory_used_bytes": 9,
        "utilisation_percent": 80.0,
        "clock_mhz": 1980.0,
        "watts": 250.0,
        "throttled": [],
        "throttled_share": 0.0,
        "other_processes": 0,
        **changes,
    }
    return Gpu(**fields)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"other_processes": 1}, "another process computed on its GPU"),
        (
            {"throttled": ["power cap", "temperature (hardware)"], "throttled_share": 0.4},
            "its GPU was slowed down in 40 % of its training: power cap, temperature (hardware)",
        ),
    ],
)
def test_a_gpu_that_others_use_or_that_is_slowed_down_is_told(changes: dict[str, Any], told: str) -> None:
    first, *others = [disturb(record, gpu=make_gpu()) for record in make_fair_run()]
    records = [disturb(first, gpu=make_gpu(**changes)), *others]
    violations = find_violations(records)
    assert [*violations] == [CORES_RULE]
    assert told in violations[CORES_RULE].sentence


@pytest.mark.parametrize("gpu", [make_gpu(), make_gpu(throttled=["power cap"], throttled_share=0.05), None])
def test_a_gpu_of_its_own_that_runs_at_its_speed_is_no_disturbance(gpu: Gpu | None) -> None:
    assert find_violations([disturb(record, gpu=gpu) for record in make_fair_run()]) == {}


def test_replicas_that_share_a_gpu_are_contended_and_do_not_disturb_each_other() -> None:
    record = replace(make_record("all-reduce-2w"), contended=True)
    assert list_taken_cores([disturb(record, gpu=make_gpu(other_processes=1))]) == []


def test_a_replica_on_another_gpu_is_told() -> None:
    records = [
        replace(record, replicas=[replace(own, gpu=make_gpu()) for own in record.replicas])
        for record in make_fair_run()
    ]
    records[-1] = disturb(records[-1], replica=records[-1].replicas[-1].index, gpu=make_gpu(name="NVIDIA T4"))
    sentence = find_violations(records)["same kind of host"].sentence
    assert "NVIDIA T4, where single has NVIDIA H200" in sentence
