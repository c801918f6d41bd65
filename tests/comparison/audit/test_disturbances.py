from dataclasses import replace

import pytest

from comparison.audit.disturbances import CALIBRATION_TOLERANCE, list_holdups, list_slow_cores
from comparison.audit.findings import Status
from comparison.audit.rules import HOLDUP_RULE
from comparison.records import TrialRecord
from tests.comparison.audit.fair_run import audit, calibrate, find_violations, make_fair_run
from tests.comparison.record_factory import make_record, make_run


def hold_up(record: TrialRecord, seconds: float) -> TrialRecord:
    """Returns the record of a training that stood still for so long: its median step knows nothing of it."""
    held_up = make_record(record.configuration, record.trial, record.train_seconds + seconds)
    return calibrate(replace(held_up, step_seconds=record.step_seconds, contended=record.contended), 1.0, 1.01)


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


RULE = "cores as fast before and after every trial"


@pytest.mark.parametrize(
    ("seconds", "reason"),
    [
        ((1.0, 1.2), "worker-0's core 20 % slower after the training than before it"),
        ((1.21, 1.21), "worker-0's core 20 % slower than the median core"),
        ((0.8, 0.8), "worker-0's core 20 % faster than the median core"),
    ],
)
def test_a_disturbed_trial_is_told(seconds: tuple[float, float], reason: str) -> None:
    records = make_fair_run()
    records[0] = calibrate(records[0], *seconds)

    violation = find_violations(records)[RULE]

    assert violation.sentence.startswith("single: trial 0 was disturbed, ")
    assert reason in violation.sentence
    assert [own.trial for own in list_slow_cores(records)] == [records[0]]


def test_of_many_disturbed_trials_the_gist_is_told_beside_the_list() -> None:
    records = [calibrate(record, 1.0, 1.0) for record in make_run()]
    few = find_violations([*(calibrate(record, 1.0, 1.2) for record in records[:3]), *records[3:]])[RULE]
    worse = [calibrate(record, 1.0, 1.2 + 0.1 * index) for index, record in enumerate(records[:4])]
    many = find_violations([*worse, *records[4:]])[RULE]

    assert few.brief == ""
    assert few.sentence.count("was disturbed") == 3
    assert many.sentence.count("was disturbed") == 4
    assert many.brief == (
        "4 of 6 trials were disturbed: 2 of single, 1 of all-reduce-2w, 1 of parameter-server-2w-1ps. "
        "The worst: trial 1 of single, worker-0's core 50 % slower after the training than before it."
    )


def test_the_machines_noise_is_tolerated_and_each_run_has_its_own_median() -> None:
    records = [calibrate(record, 1.0, 1 + 0.9 * CALIBRATION_TOLERANCE) for record in make_fair_run()]
    faster = [calibrate(replace(record, run_id="run-2"), 0.5, 0.5) for record in records]

    assert list_slow_cores([*records, *faster]) == []


def test_a_machine_that_was_not_calibrated_is_not_known() -> None:
    records = [
        replace(record, replicas=[replace(replica, calibration_seconds=None) for replica in record.replicas])
        for record in make_run()
    ]

    assert audit(records)[RULE].sentence == "The cores' speed was not measured in 6 of 6 trials."
    assert audit([*make_fair_run()[:-1], records[-1]])[RULE].status is Status.UNKNOWN
