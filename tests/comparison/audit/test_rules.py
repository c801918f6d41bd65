import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from comparison.audit.findings import MAX_LISTED, Status
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.texts import speak
from tests.comparison.audit.fair_run import audit, change, change_replicas, find_violations, make_fair_run
from tests.comparison.record_factory import make_record, make_run


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

    assert len(audit(records)) == len(audit_fairness(group_trials(records))) == 30


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


def test_the_single_nodes_weights_are_odd_where_each_replica_normalises_over_its_own_share() -> None:
    rule = "same final weights in all replicas of a synchronous training"
    parted = [
        replace(own, same_batch_norm=False, batch_norm_group_size=own.per_replica_batch_size) for own in make_fair_run()
    ]

    findings = audit(parted)

    assert findings["same way of BatchNorm"].sentence == "Received: over each replica's own share."
    assert findings[rule].sentence == (
        "Received: one digest in each of 2 trials. With the very weights of the single node in every round, though not "
        "the same computation: all-reduce-2w."
    )


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
    values += "|Linux|float32"
    assert [text for text in sentences if re.search(r"[a-z]{4,}", re.sub(rf"{values}|[0-9a-f]{{7,}}", "", text))] == []
    assert all(text.endswith("。") for text in sentences)


def test_a_rate_beyond_the_cores_breaks_no_rule_where_trials_scatter_or_others_had_the_cores() -> None:
    rule = "no faster than its cores"
    times = {"single": (60.0, 65.0, 63.0), "all-reduce-2w": (24.0, 25.0, 24.5)}
    fast = [make_record(name, trial, seconds) for name, own in times.items() for trial, seconds in enumerate(own)]
    mixed = [make_record("single", 0, 45.0), *fast[1:]]
    taken = change_replicas(fast, "single", others_cpu_seconds=20.0)
    again = [
        replace(make_record("single", trial, seconds), configuration=name)
        for name, own in (("single", (60.0, 65.0)), ("single-again", (45.0, 46.0)))
        for trial, seconds in enumerate(own)
    ]

    assert audit(fast)[rule].configurations == ("single", "all-reduce-2w")
    assert {audit(records)[rule].status for records in (mixed, taken, again)} == {Status.HOLDS}
