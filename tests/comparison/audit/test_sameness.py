from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Status
from comparison.audit.rules import audit_fairness
from comparison.records import TrialRecord
from tests.comparison.audit.fair_run import audit, calibrate, change, find_violations, make_fair_run, shorten
from tests.comparison.record_factory import make_record

OTHER_CURVE = [replace(point, train_loss=0.5) for point in make_record("all-reduce-2w", 1, 37.0).curve]


@pytest.mark.parametrize(
    ("rule", "changes", "received"),
    [
        ("same data", {"dataset_sha256": "e" * 64}, "mnist, SHA-256 eeeeeeeeeeee, where single has mnist, SHA-256 ddd"),
        ("same model", {"num_parameters": 5}, "resnet8, 5 parameters, where single has resnet8, 77,754 parameters"),
        ("same learning rate", {"learning_rate": 0.4}, "0.4, where single has 0.2"),
        ("same number of epochs", {"epochs": 3}, "3, where single has 2"),
        ("same target accuracy", {"target_accuracy": 0.975}, "0.975, where single has 0.98"),
        ("same way of computing", {"precision": "bfloat16"}, "bfloat16, on CPUs, where single has float32, on CPUs"),
        (
            "same way of computing",
            {"gpus": 1, "jit_compile": True, "deterministic": True},
            "float32, on a GPU, with XLA, deterministic, where single has float32, on CPUs",
        ),
        (
            "same way of BatchNorm",
            {"batch_norm_group_size": 32},
            "over groups of 32 images, where single has over groups of 64",
        ),
        (
            "same software",
            {"versions": {"tensorflow": "2.20.0"}},
            "tensorflow 2.20.0, tfjob_speedup –, where single has git_sha abc1234",
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
        ("same seed in a round", {"seed": 7}, "7 in round 1 of run-1, where single has 1"),
        (
            "same initial weights in a round",
            {"initial_weights_sha256": "e" * 64},
            "SHA-256 eeeeeeeeeeee in round 1 of run-1, where single has SHA-256 111111111111",
        ),
        ("no trial contended", {"contended": True}, "asked for more cores than there are"),
        ("no restart, no resumption", {"restarts": 2}, "2 restarted in trial 1"),
        (
            "same final weights in all replicas of a synchronous training",
            {"weights_sha256": "a", "curve": OTHER_CURVE},
            "in trial 1",
        ),
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

    assert violations.keys() - {"counts and clocks add up", "no faster than its cores"} == {rule}


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


def give_cpus(record: TrialRecord, number: int) -> TrialRecord:
    cores = [list(range(number * place, number * (place + 1))) for place in range(len(record.replicas))]
    replicas = [replace(replica, cpus=own) for replica, own in zip(record.replicas, cores, strict=True)]
    return replace(record, cpus_per_replica=float(number), replicas=replicas)


def test_a_bigger_single_node_is_a_row_of_its_own() -> None:
    records = [make_record("single"), make_record("single-2cpu"), give_cpus(make_record("all-reduce-2w"), 2)]
    rule = "same CPUs a replica"

    assert audit(records)[rule].sentence == "Received: 1 a replica."
    bigger = replace(records[1], configuration="big")
    assert audit([records[0], bigger])[rule].sentence == ("big: a single node with 2 CPUs that is not named for them.")
    huge = give_cpus(make_record("all-reduce-2w"), 4)
    assert audit([*records[:2], huge])[rule].sentence == ("all-reduce-2w: 4 CPUs a replica, single nodes have 1, 2.")
    assert audit(records[2:])[rule].status is Status.UNKNOWN
