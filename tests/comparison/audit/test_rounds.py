import time
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Finding, Status
from comparison.audit.plan import PLAN_RULE, TARGET_RULE, audit_plan
from comparison.groups import group_trials
from comparison.records import RunInfo, TrialRecord
from comparison.texts import speak
from tests.comparison.audit.fair_run import audit, change, find_violations, make_fair_run, move_to_another_run
from tests.comparison.audit.mirrored_run import audit_run, make_mirrored_run
from tests.comparison.record_factory import delay, make_record, make_run_info


def test_overlapping_trials_are_told_on_both_sides() -> None:
    records = make_fair_run()
    end = records[0].ended_at

    overlap = find_violations(change(records, "all-reduce-2w", 0, started_at=end - 5))["no two trials at a time"]

    assert overlap.configurations == ("single", "all-reduce-2w")
    assert overlap.sentence == (
        "single: trial 0 ended 5 s after the start of trial 0 of all-reduce-2w; "
        "all-reduce-2w: trial 0 started before the end of trial 0 of single."
    )


def test_a_trial_within_another_does_not_hide_the_next_overlap() -> None:
    records = make_fair_run()
    start = records[0].started_at
    records = change(records, "single", 0, ended_at=start + 5000)

    overlap = find_violations(records)["no two trials at a time"]

    assert overlap.configurations == ("single", "all-reduce-2w", "parameter-server-2w-1ps")


def test_trials_that_were_not_interleaved_are_told() -> None:
    records = make_fair_run()
    start = min(record.started_at for record in records)
    one_after_another = sorted(records, key=lambda record: (record.configuration, record.trial))
    moved = [
        replace(record, started_at=start + 200 * place, ended_at=start + 200 * place + 100)
        for place, record in enumerate(one_after_another)
    ]

    violation = find_violations(moved)["trials in rounds"]

    assert violation.sentence == (
        "all-reduce-2w: trial 1 started before trial 0 of single; "
        "parameter-server-2w-1ps: trial 1 started before trial 0 of single."
    )
    assert find_violations(records[:-1])["trials in rounds"].sentence == "parameter-server-2w-1ps: no trial in round 1."


def test_a_round_that_was_left_out_is_told() -> None:
    left_out = [replace(record, trial=2) for record in make_fair_run() if record.trial == 1]

    violation = find_violations(left_out)["trials in rounds"]

    assert violation.configurations == ("single", "all-reduce-2w", "parameter-server-2w-1ps")
    assert violation.sentence.startswith("single: no round 1, where there is a round 2; all-reduce-2w: ")


def test_trials_that_were_planned_and_are_not_there_are_told() -> None:
    records, names = make_fair_run(), ["single", "all-reduce-2w", "parameter-server-2w-1ps"]
    planned = make_run_info(configurations=[{"name": name} for name in names])
    first_round = [record for record in records if record.trial == 0]
    without_servers = [record for record in records if record.strategy != "parameter_server"]
    foreign = [replace(record, run_id="run-2") for record in records]

    def check(own: list[TrialRecord], plan: RunInfo = planned) -> Finding:
        return next(finding for finding in audit_plan(group_trials(own), plan) if finding.rule == PLAN_RULE)

    whole, best, arms = check(records), check(first_round), check(without_servers)
    merged, alone = check([*records, *foreign]), check(foreign)
    unplanned = check(records, replace(planned, configurations=planned.configurations[:2]))

    assert (whole.status, whole.sentence) == (Status.HOLDS, "Received: 2 trials of each configuration.")
    assert best.status is Status.VIOLATED
    assert best.sentence.startswith("single: 1 of 2 planned trials; all-reduce-2w: 1 of 2 planned trials; ")
    assert best.configurations == tuple(names)
    assert arms.sentence == "parameter-server-2w-1ps: 0 of 2 planned trials."
    assert unplanned.sentence == "parameter-server-2w-1ps: 2 of 0 planned trials."
    assert (merged.status, merged.sentence) == (Status.UNKNOWN, "The plans of other runs are not there.")
    assert (alone.status, alone.sentence) == (Status.UNKNOWN, "The plan of this run is not there.")


@pytest.mark.parametrize(
    ("planned", "status", "sentence"),
    [
        ({"target_accuracy": 0.98}, Status.HOLDS, "Received: 0.98."),
        (
            {"target_accuracy": 0.99},
            Status.VIOLATED,
            "single: a target of 0.98, planned was 0.99; all-reduce-2w: a target",
        ),
        (
            {"target_accuracy": 0},
            Status.VIOLATED,
            "single: a target of 0.98, planned was None; all-reduce-2w: a target",
        ),
        ({}, Status.UNKNOWN, "The plan of this run is not there."),
    ],
)
def test_a_target_that_was_not_the_planned_one_is_told(planned: dict[str, Any], status: Status, sentence: str) -> None:
    finding = audit_plan(group_trials(make_fair_run()), make_run_info(parameters=planned))[1]

    assert (finding.rule, finding.status) == (TARGET_RULE, status)
    assert finding.sentence.startswith(sentence)


def test_rounds_that_were_left_out_are_told_as_one() -> None:
    later = [replace(record, trial=1_000_000) if record.trial == 1 else record for record in make_fair_run()]

    sentence = find_violations(later)["trials in rounds"].sentence

    assert sentence.startswith("single: no rounds 1 to 999999, where there is a round 1000000; all-reduce-2w: ")


def test_a_run_of_thousands_of_trials_is_audited_at_once() -> None:
    first = make_fair_run()[0]
    records = [
        replace(first, trial=index, seed=index, started_at=200.0 * index, ended_at=200.0 * index + 100)
        for index in range(3000)
    ]
    began = time.thread_time()

    assert audit(records)["trials in rounds"].sentence == "3,000 rounds, each with every configuration once."
    assert time.thread_time() - began < 20


def resume_at(records: list[TrialRecord], configuration: str, trial: int, seconds: float) -> list[TrialRecord]:
    """Returns the records of a run that was interrupted for so long before a trial."""
    own = next(record for record in records if (record.configuration, record.trial) == (configuration, trial))
    before = max((record for record in records if record.ended_at <= own.started_at), key=lambda each: each.ended_at)
    shift = before.ended_at + seconds - own.started_at
    later = [delay(record, shift) if record.started_at >= own.started_at else record for record in records]
    return change(later, configuration, trial, resumed=True)


def test_an_interruption_is_told_and_no_breach() -> None:
    records = resume_at(make_fair_run(), "all-reduce-2w", 1, 35 * 60)

    findings = audit(records)

    assert {finding.status for finding in findings.values()} == {Status.HOLDS}
    assert findings["trials in rounds"].sentence == (
        "2 rounds, each with every configuration once. Round 1 of run-1 was interrupted for 35 min "
        "between single and all-reduce-2w, and resumed."
    )


@pytest.mark.parametrize(("seconds", "lasted"), [(45, "45 秒"), (35 * 60, "35 分钟"), (3 * 86_400, "72 小时")])
def test_how_long_an_interruption_lasted_is_told_in_chinese(seconds: float, lasted: str) -> None:
    records = resume_at(make_fair_run(), "all-reduce-2w", 1, seconds)

    with speak("zh"):
        assert f"中断了 {lasted}，" in audit(records)["trials in rounds"].sentence


def test_each_interruption_is_told_also_between_rounds_and_beside_a_breach() -> None:
    records = resume_at(resume_at(make_fair_run(), "single", 1, 3 * 86_400), "parameter-server-2w-1ps", 1, 45)[1:]

    finding = find_violations(records)["trials in rounds"]

    assert finding.sentence == (
        "single: no trial in round 0. run-1 was interrupted for 72 h before round 1, and resumed. Round 1 of "
        "run-1 was interrupted for 45 s between all-reduce-2w and parameter-server-2w-1ps, and resumed."
    )
    assert finding.configurations == ("single",)


def test_a_lucky_seed_that_is_used_again_is_told() -> None:
    first = make_fair_run()[0]
    lucky: dict[str, Any] = {"seed": first.seed, "initial_weights_sha256": first.initial_weights_sha256}
    again = [replace(record, **lucky) for record in make_fair_run()]

    violations = find_violations(again)

    assert list(violations) == ["another seed in each round"]
    assert violations["another seed in each round"].sentence.startswith(
        "single: trial 1 has the seed of trial 0, 0; all-reduce-2w: "
    )


def test_rounds_are_those_of_each_run() -> None:
    records = make_fair_run()

    assert not find_violations([*records, *map(move_to_another_run, records)])


def test_arms_that_are_of_two_runs_have_no_round_in_common() -> None:
    records = [
        move_to_another_run(record) if record.configuration == "single" else record for record in make_fair_run()
    ]

    finding = find_violations(records)["trials in rounds"]

    assert finding.sentence == (
        "single: no trial of run-1; all-reduce-2w: no trial of run-2; parameter-server-2w-1ps: no trial of run-2."
    )


@pytest.mark.parametrize(("num_rounds", "is_told"), [(2, False), (3, True)])
def test_a_place_that_stays_the_same_over_several_rounds_is_told_and_no_breach(num_rounds: int, is_told: bool) -> None:
    names = ["single", "all-reduce-2w", "all-reduce-4w"]
    records = []
    for trial in range(num_rounds):
        order = names if trial % 2 else [names[0], names[2], names[1]]
        records += [
            make_record(name, trial, 60.0 + trial + place, started_at=400.0 * trial + 100.0 * place)
            for place, name in enumerate(order)
        ]
    records = [replace(record, ended_at=record.started_at + record.total_seconds) for record in records]

    finding = audit(records)["trials in rounds"]

    told = (
        " At the same place in every round, so that a drift within rounds does not even out: single (place 1)."
        if is_told
        else ""
    )
    assert (finding.status, finding.sentence) == (
        Status.HOLDS,
        f"{num_rounds} rounds, each with every configuration once.{told}",
    )


def test_of_one_round_a_reader_is_told_in_the_singular() -> None:
    once = audit_run([own for own in make_mirrored_run() if own.round == 1])

    assert once["trials in rounds"].sentence == "One round with every configuration."
