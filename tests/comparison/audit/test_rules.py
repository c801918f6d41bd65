import re
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.consistency import list_contradictions
from comparison.audit.disturbances import CALIBRATION_TOLERANCE, list_holdups, list_slow_cores
from comparison.audit.findings import MAX_LISTED, Finding, Status, list_violations
from comparison.audit.rules import HOLDUP_RULE, PLAN_RULE, TARGET_RULE, audit_fairness, audit_plan
from comparison.groups import group_trials
from comparison.records import RunInfo, TrialRecord
from comparison.texts import speak
from tests.comparison.record_factory import delay, make_record, make_run, make_run_info


def calibrate(record: TrialRecord, *seconds: float) -> TrialRecord:
    replicas = [replace(replica, calibration_seconds=list(seconds)) for replica in record.replicas]
    return replace(record, replicas=replicas)


def make_fair_run() -> list[TrialRecord]:
    """Returns two rounds of three configurations that break no rule and leave nothing unsaid."""
    return [calibrate(replace(record, contended=False), 1.0, 1.01) for record in make_run()]


def shorten(record: TrialRecord, steps: int) -> TrialRecord:
    """Returns the record of a training that had so many steps, in the same time."""
    images = steps * record.global_batch_size
    return replace(
        record,
        steps=steps,
        images_seen=images,
        images_per_second=images / record.train_seconds,
        curve=[replace(point, step=point.step * steps // record.steps) for point in record.curve],
        step_seconds={"p50": record.train_seconds / steps},
    )


def change(records: Sequence[TrialRecord], configuration: str, trial: int, **changes: Any) -> list[TrialRecord]:
    return [
        replace(record, **changes) if (record.configuration, record.trial) == (configuration, trial) else record
        for record in records
    ]


def audit(records: Sequence[TrialRecord]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in audit_fairness(group_trials(records))}


def find_violations(records: Sequence[TrialRecord]) -> dict[str, Finding]:
    return {finding.rule: finding for finding in list_violations(audit_fairness(group_trials(records)))}


def test_a_fair_comparison_keeps_every_rule_and_says_by_which_values() -> None:
    findings = audit(make_fair_run())

    assert {finding.status for finding in findings.values()} == {Status.HOLDS}
    assert findings["same data"].sentence == "Received: mnist, SHA-256 dddddddddddd."
    assert findings["same learning rate"].sentence == "Received: 0.2."
    assert findings["same seed in a round"].sentence == "Received: 0, 1."
    assert findings["trials in rounds"].sentence == "2 rounds, each with every configuration once."
    assert findings["same image"].sentence == "Received: none, processes on the host."
    assert all(finding.sentence.endswith(".") for finding in findings.values())


def test_every_rule_has_a_name_of_its_own() -> None:
    records = make_fair_run()

    assert len(audit(records)) == len(audit_fairness(group_trials(records))) == 26


@pytest.mark.parametrize(
    ("rule", "changes", "received"),
    [
        ("same data", {"dataset_sha256": "e" * 64}, "mnist, SHA-256 eeeeeeeeeeee, where single has mnist, SHA-256 ddd"),
        ("same model", {"num_parameters": 5}, "resnet8, 5 parameters, where single has resnet8, 77,754 parameters"),
        ("same learning rate", {"learning_rate": 0.4}, "0.4, where single has 0.2"),
        ("same number of epochs", {"epochs": 3}, "3, where single has 2"),
        ("same target accuracy", {"target_accuracy": 0.975}, "0.975, where single has 0.98"),
        ("same BatchNorm group size", {"batch_norm_group_size": 32}, "32, where single has 64"),
        (
            "same software",
            {"versions": {"tensorflow": "2.20.0"}},
            "tensorflow 2.20.0, where single has git_sha abc1234",
        ),
        (
            "same kind of host",
            {"host": {"cores": 8}},
            "cores 8, where single has cores 16, cpu model AMD EPYC, memory 24",
        ),
        ("same image", {"image": "me/it:1"}, "me/it:1, where single has none, processes on the host"),
        (
            "same backend",
            {"backend": "cluster", "image": "none, processes on the host"},
            "cluster, where single has local",
        ),
        ("same seed in a round", {"seed": 7}, "7 in trial 1 of run-1, where single has 1"),
        (
            "same initial weights in a round",
            {"initial_weights_sha256": "e" * 64},
            "SHA-256 eeeeeeeeeeee in trial 1 of run-1, where single has SHA-256 111111111111",
        ),
        ("no trial contended", {"contended": True}, "asked for more cores than there are"),
        ("no restart, no resumption", {"restarts": 2}, "2 restarted in trial 1"),
        ("same final weights in all replicas of a synchronous training", {"weights_sha256": "a"}, "in trial 1"),
    ],
)
def test_a_trial_that_differs_is_told_with_its_value(rule: str, changes: dict[str, Any], received: str) -> None:
    violations = find_violations(change(make_fair_run(), "all-reduce-2w", 1, **changes))

    assert list(violations) == [rule]
    assert violations[rule].configurations == ("all-reduce-2w",)
    assert violations[rule].sentence.startswith("all-reduce-2w: ")
    assert received in violations[rule].sentence


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("same software", {"versions": {"git_sha": None}}),
        ("same software", {"versions": {}}),
        ("same kind of host", {"host": {}}),
        ("same kind of host", {"host": {"cores": None}}),
    ],
)
def test_what_a_record_does_not_say_is_not_known(rule: str, changes: dict[str, Any]) -> None:
    records = make_fair_run()

    assert audit(change(records, "single", 1, **changes))[rule].sentence == "One trial does not say."
    every = audit([replace(record, **changes) for record in records])[rule]
    assert (every.status, every.sentence) == (Status.UNKNOWN, "6 trials do not say.")


def test_an_image_that_a_cluster_does_not_name_is_not_known() -> None:
    findings = audit([replace(record, backend="cluster") for record in make_fair_run()])

    assert findings["same image"].status is Status.UNKNOWN


def test_hosts_may_differ_in_what_their_kernels_keep_back() -> None:
    records = make_fair_run()
    host = records[0].host | {"memory_bytes": records[0].host["memory_bytes"] - 4096}

    assert not find_violations(change(records, "all-reduce-2w", 1, host=host))
    without = {name: value for name, value in host.items() if name != "memory_bytes"}
    assert not find_violations([replace(record, host=without) for record in records])


def test_a_training_with_fewer_images_is_told_with_their_number() -> None:
    records = make_fair_run()

    violations = find_violations([*records[:4], shorten(records[4], 429), *records[5:]])

    assert {rule: finding.sentence for rule, finding in violations.items()} == {
        "same number of images": "all-reduce-2w: 54,912 images, where single has 109,824."
    }


def test_unequal_batches_are_told() -> None:
    records = [record for record in make_fair_run() if record.configuration != "all-reduce-2w"]
    records += [make_record("all-reduce-2w", trial, 36.0 + trial, global_batch_size=256) for trial in range(2)]

    sentence = "all-reduce-2w: 256 images in a global batch, where single has 128 images in a global batch."
    assert find_violations(records)["same batch"].sentence == sentence


def make_weak_run(steps: int = 428, **changes: Any) -> list[TrialRecord]:
    """Returns a fair run with weak scaling; `steps` and `changes` are those of the distributed trials."""
    weak: dict[str, Any] = {"global_batch_size": 256, "per_replica_batch_size": 128, "learning_rate": 0.4}
    records = [make_record("single", trial, 60.0 + trial) for trial in range(2)]
    distributed = [make_record("all-reduce-2w", trial, 36.0 + trial, **weak) for trial in range(2)]
    records += [replace(shorten(record, steps), **changes) for record in distributed]
    return [calibrate(replace(record, scaling="weak"), 1.0, 1.0) for record in records]


def test_with_weak_scaling_batch_and_learning_rate_grow_with_the_workers() -> None:
    findings = audit(make_weak_run())

    assert {finding.status for finding in findings.values()} == {Status.HOLDS}
    assert findings["same batch"].sentence == "Received: 128 images a worker."
    assert findings["same learning rate"].sentence == "Received: 0.0015625 an image of the global batch."


@pytest.mark.parametrize(
    ("rule", "changes"),
    [
        ("same batch", {"per_replica_batch_size": 64}),
        ("same learning rate", {"learning_rate": 0.2}),
        ("same number of images", {"steps": 858}),
    ],
)
def test_weak_scaling_that_is_none_is_told(rule: str, changes: dict[str, Any]) -> None:
    violations = find_violations(make_weak_run(**changes))

    assert violations.keys() - {"counts and clocks add up"} == {rule}


def make_run_of_both_scalings() -> list[TrialRecord]:
    names = ("single", "all-reduce-2w", "all-reduce-4w", "all-reduce-2w-weak", "all-reduce-4w-weak")
    records = [
        make_record(name, trial, 60.0 + 7 * trial + place) for trial in (0, 1) for place, name in enumerate(names)
    ]
    return [calibrate(replace(record, contended=False), 1.0, 1.0) for record in records]


def test_a_run_of_both_scalings_is_two_fair_comparisons() -> None:
    findings = audit(make_run_of_both_scalings())

    assert {finding.status for finding in findings.values()} == {Status.HOLDS}
    assert findings["same scaling"].sentence == "Received: strong, weak."
    assert findings["same batch"].sentence == "Received: 128 images in a global batch, 128 images a worker."
    assert findings["same learning rate"].sentence == "Received: 0.2, 0.0015625 an image of the global batch."


@pytest.mark.parametrize(
    ("configuration", "changes", "broken"),
    [
        (
            "all-reduce-2w",
            {"global_batch_size": 256, "learning_rate": 0.4},
            {
                "same batch": "256 images in a global batch with strong scaling, where single has 128 images in a "
                "global batch",
                "same learning rate": "0.4 with strong scaling, where single has 0.2",
            },
        ),
        (
            "all-reduce-2w",
            {"scaling": "weak"},
            {"same batch": "64 images a worker with weak scaling, where single has 128 images a worker"},
        ),
        (
            "all-reduce-4w-weak",
            {"scaling": "strong"},
            {
                "same batch": "512 images in a global batch with strong scaling, where single has 128 images in a "
                "global batch",
                "same learning rate": "0.8 with strong scaling, where single has 0.2",
                "same number of images": "109,568 images, where single has 109,824",
            },
        ),
        (
            "all-reduce-4w-weak",
            {"per_replica_batch_size": 32},
            {"same batch": "32 images a worker with weak scaling, where single has 128 images a worker"},
        ),
    ],
)
def test_a_row_that_is_in_the_wrong_half_is_told(
    configuration: str, changes: dict[str, Any], broken: dict[str, str]
) -> None:
    records = make_run_of_both_scalings()
    mixed_up = [replace(own, **changes) if own.configuration == configuration else own for own in records]

    violations = find_violations(mixed_up)
    violations.pop("counts and clocks add up", None)  # for the number of steps is still the other half's

    assert {rule: finding.sentence for rule, finding in violations.items()} == {
        rule: f"{configuration}: {received}." for rule, received in broken.items()
    }


def test_one_trial_of_another_scaling_in_a_row_is_told() -> None:
    records = change(make_run_of_both_scalings(), "all-reduce-2w", 1, scaling="weak")
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(record.configuration, []).append(record)

    findings = {finding.rule: finding for finding in audit_fairness(groups)}

    assert findings["same scaling"].sentence == "all-reduce-2w: weak with strong scaling, where single has strong."


def test_a_bigger_single_node_is_a_row_of_its_own() -> None:
    records = [make_record("single"), make_record("single-2cpu"), make_record("all-reduce-2w", cpus_per_replica=2.0)]
    rule = "same CPUs a replica"

    assert audit(records)[rule].sentence == "Received: 1 a replica."
    bigger = replace(records[1], configuration="big")
    assert audit([records[0], bigger])[rule].sentence == ("big: a single node with 2 CPUs that is not named for them.")
    huge = make_record("all-reduce-2w", cpus_per_replica=4.0)
    assert audit([*records[:2], huge])[rule].sentence == ("all-reduce-2w: 4 CPUs a replica, single nodes have 1, 2.")
    assert audit(records[2:])[rule].status is Status.UNKNOWN


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
    assert find_violations(records[:-1])["trials in rounds"].sentence == "parameter-server-2w-1ps: no trial 1."


def test_a_round_that_was_left_out_is_told() -> None:
    left_out = [replace(record, trial=2) for record in make_fair_run() if record.trial == 1]

    violation = find_violations(left_out)["trials in rounds"]

    assert violation.configurations == ("single", "all-reduce-2w", "parameter-server-2w-1ps")
    assert violation.sentence.startswith("single: no trial 1, where there is a trial 2; all-reduce-2w: ")


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

    assert sentence.startswith("single: no trials 1 to 999999, where there is a trial 1000000; all-reduce-2w: ")


def test_a_run_of_thousands_of_trials_is_audited_at_once() -> None:
    first = make_fair_run()[0]
    records = [
        replace(first, trial=index, seed=index, started_at=200.0 * index, ended_at=200.0 * index + 100)
        for index in range(3000)
    ]
    began = time.process_time()

    assert audit(records)["trials in rounds"].sentence == "3,000 rounds, each with every configuration once."
    assert time.process_time() - began < 2


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
        "2 rounds, each with every configuration once. The round of trial 1 of run-1 was interrupted for 35 min "
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
        "single: no trial 0. run-1 was interrupted for 72 h before trial 1, and resumed. The round of trial 1 of "
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


def move_to_another_run(record: TrialRecord) -> TrialRecord:
    """Returns the record of a trial that another run measured two weeks later."""
    later = delay(record, 1e6)
    return replace(later, run_id="run-2", startup_seconds=record.startup_seconds + 0.1)


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
            make_record(name, trial, 60.0 + trial + place, started_at=1e6 * trial + 100.0 * place)
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


def change_replicas(records: Sequence[TrialRecord], configuration: str, **changes: Any) -> list[TrialRecord]:
    return [
        replace(record, replicas=[replace(replica, **changes) for replica in record.replicas])
        if record.configuration == configuration
        else record
        for record in records
    ]


def test_a_resumed_trial_is_told_and_one_that_does_not_say_is_not_known() -> None:
    rule = "no restart, no resumption"
    resumed = audit(change_replicas(make_fair_run(), "single", restored_step=400))[rule]
    silent = audit(change_replicas(make_fair_run(), "single", restored_step=None))[rule]

    assert resumed.sentence == (
        "single: trial 0 was resumed from step 400, and has no time; "
        "single: trial 1 was resumed from step 400, and has no time."
    )
    assert silent.status is Status.UNKNOWN
    assert silent.sentence == "Not said from which step on: trial 0 of single, trial 1 of single."


def test_one_replica_that_took_up_a_checkpoint_is_enough_and_servers_need_not_say() -> None:
    records = make_fair_run()
    own = next(record for record in records if record.configuration == "parameter-server-2w-1ps")
    from_checkpoint = [replace(own.replicas[0], restored_step=7)]
    servers = [replace(replica, restored_step=None) for replica in own.replicas[1:]]
    rule = "no restart, no resumption"

    for chief, status in ((from_checkpoint, Status.VIOLATED), (own.replicas[:1], Status.HOLDS)):
        changed = change(records, own.configuration, own.trial, replicas=[*chief, *servers])
        assert audit(changed)[rule].status is status


def test_a_restart_is_told_although_nothing_was_resumed() -> None:
    restarted = change(make_fair_run(), "all-reduce-2w", 0, restarts=1)

    assert find_violations(restarted)["no restart, no resumption"].sentence == (
        "all-reduce-2w: 1 restarted in trial 0, which has no time."
    )


def test_other_data_with_the_same_name_in_one_arm_are_told() -> None:
    records = [
        replace(record, dataset_sha256="e" * 64) if record.configuration == "all-reduce-2w" else record
        for record in make_fair_run()
    ]

    violation = find_violations(records)["same data"]

    assert violation.configurations == ("all-reduce-2w",)


def test_replicas_that_drifted_apart_are_told() -> None:
    rule = "same final weights in all replicas of a synchronous training"
    records = make_fair_run()
    own = next(record for record in records if record.configuration == "all-reduce-2w")
    apart = [own.replicas[0], replace(own.replicas[1], weights_sha256="e" * 64)]

    assert find_violations(change(records, "all-reduce-2w", 0, replicas=apart))[rule].sentence == (
        "all-reduce-2w: 2 different ones in trial 0."
    )
    assert audit(change_replicas(records, "all-reduce-2w", weights_sha256=None))[rule].status is Status.UNKNOWN
    assert audit([make_record()])[rule].sentence == "None was trained."


def test_a_synchronous_training_that_ends_with_the_weights_of_the_single_node_is_told_and_no_breach() -> None:
    rule = "same final weights in all replicas of a synchronous training"
    other = make_record("all-reduce-4w", 1, 25.0, weights_sha256="a" * 64)
    other = replace(other, replicas=[replace(replica, weights_sha256="a" * 64) for replica in other.replicas])

    finding = audit([*make_fair_run(), make_record("all-reduce-4w", 0, 24.0), other])[rule]

    assert finding.status is Status.HOLDS
    assert finding.sentence == (
        "Received: one digest in each of 4 trials. With the very weights of the single node in every round, the same "
        "computation shared: all-reduce-2w."
    )


def test_a_cached_result_is_told_even_with_a_start_of_its_own() -> None:
    records = make_fair_run()
    original, repeated = records[0], records[3]
    times: dict[str, Any] = {
        "started_at": repeated.started_at,
        "ended_at": repeated.started_at + original.total_seconds,
    }
    cached = replace(original, trial=1, seed=1, weights_sha256=repeated.weights_sha256, **times)
    rule = "every trial measured anew"

    violation = find_violations([*records[:3], cached, *records[4:]])[rule]
    copied = find_violations(change(records, "single", 1, started_at=original.started_at))[rule]

    assert violation.sentence == (
        "single: trial 1 has the same clocks as trial 0 of single: a cached or copied result."
    )
    assert copied.sentence == "single: trial 1 has the same start as trial 0 of single: a cached or copied result."


def test_a_copy_with_other_clocks_is_told_by_its_weights() -> None:
    records = make_fair_run()
    copied = change(records, "single", 1, weights_sha256=records[0].weights_sha256)
    rule = "every trial measured anew"

    assert find_violations(copied)[rule].sentence == (
        "single: trial 1 has the same trained weights as trial 0 of single: a cached or copied result."
    )
    assert rule not in find_violations([replace(record, seed=0) for record in copied])
    assert rule not in find_violations([move_to_another_run(own) if own.trial else own for own in copied])


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"train_seconds": 48.0}, "1,830 images/s, where images and training make it 2,288; "),
        ({"images_seen": 100}, "in trial 0 100 images do not make 858 steps of 128"),
        ({"steps": 429}, "the learning curve ends after 858 steps in 60.0 s, the training after 429 in 60.0 s"),
        ({"per_replica_batch_size": 64}, "in trial 0 1 worker with 64 images each do not make a global batch of 128."),
        ({"images_per_second": 5_000.0}, "in trial 0 5,000 images/s, where images and training make it 1,830."),
        ({"curve": make_record(train_seconds=50.0).curve}, "the learning curve ends after 858 steps in 50.0 s"),
        ({"seconds_to_target": 20.0}, "the target was reached after 20.0 s, where the learning curve has 30.0 s"),
        ({"seconds_to_target": None}, "the target was reached after –, where the learning curve has 30.0 s"),
        ({"ended_at": 1_800_000_000.0}, "the whole job took 75.0 s, but "),
        ({"total_seconds": 60.0}, "the clocks of its parts differ from the 60.0 s of the whole job by 14.0 s"),
        ({"compile_seconds": 1.0}, "the clocks of its parts differ from the 75.0 s of the whole job by 6.0 s"),
    ],
)
def test_a_figure_that_was_changed_contradicts_the_others(changes: dict[str, Any], received: str) -> None:
    rule = "counts and clocks add up"

    finding = find_violations(change(make_fair_run(), "single", 0, **changes))[rule]

    assert finding.configurations == ("single",)
    assert finding.sentence.startswith("single: in trial 0 ")
    assert received in finding.sentence


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        (
            {"num_workers": 4, "per_replica_batch_size": 32},
            "2 workers and 1 server ran, where it says 4 workers and 1 server",
        ),
        ({"num_ps": 2}, "2 workers and 1 server ran, where it says 2 workers and 2 servers"),
        ({"cpus_per_replica": 5.5}, "its replicas asked for 18 cores of 16, and it does not say contended"),
    ],
)
def test_what_a_trial_says_of_itself_must_fit_its_replicas(changes: dict[str, Any], contradiction: str) -> None:
    record = make_record("parameter-server-2w-1ps", **changes)

    assert list_contradictions(record) == [contradiction]
    assert (contradiction in list_contradictions(replace(record, contended=True))) == ("cpus" not in str(changes))


def test_pods_may_run_on_more_hosts_than_the_one_that_is_named() -> None:
    assert list_contradictions(make_record("all-reduce-4w", cpus_per_replica=8.0, backend="kubernetes")) == []
    assert list_contradictions(make_record("all-reduce-4w", cpus_per_replica=8.0, host={})) == []


def test_the_clocks_of_a_trial_that_was_restarted_need_not_add_up() -> None:
    records = change(make_fair_run(), "single", 0, total_seconds=200.0, restarts=1)
    resumed = change_replicas(change(make_fair_run(), "single", 0, total_seconds=200.0), "single", restored_step=429)

    assert list(find_violations(records)) == list(find_violations(resumed)) == ["no restart, no resumption"]


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


@pytest.mark.parametrize("make", [make_run, make_fair_run])
def test_the_same_records_give_the_same_findings(make: Callable[[], list[TrialRecord]]) -> None:
    assert audit(make()) == audit(make()[::-1])


def test_of_many_values_the_first_are_listed_and_the_others_counted() -> None:
    records = [make_record(trial=trial) for trial in range(MAX_LISTED + 3)]

    listed = ", ".join(str(seed) for seed in range(MAX_LISTED))
    assert audit(records)["another seed in each round"].sentence == f"Received: {listed} and 3 more."


def test_the_audit_speaks_chinese() -> None:
    broken = change(make_fair_run(), "all-reduce-2w", 0, restarts=1, dataset_sha256="e" * 64)
    with speak("zh"):
        sentences = [finding.sentence for records in (make_fair_run(), broken) for finding in audit(records).values()]

    values = (
        "all-reduce|parameter-server|single|mnist|resnet|python|tensorflow|tfjob_speedup|git_sha|worker-|local|run-1"
    )
    values += "|Linux"
    assert [text for text in sentences if re.search(r"[a-z]{4,}", re.sub(rf"{values}|[0-9a-f]{{7,}}", "", text))] == []
    assert all(text.endswith("。") for text in sentences)
