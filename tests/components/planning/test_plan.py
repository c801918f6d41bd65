import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from comparison.records import RecordError
from components.planning.parameters import Parameters
from components.planning.plan import RUN_ID_VARIABLE, RunPlan, name_run
from components.planning.programs import OwnLoop
from model.errors import ConfigError
from tests.components.plan_factory import make_plan


def test_the_baseline_comes_first_then_each_strategy_with_each_number_of_workers() -> None:
    plan = make_plan(workers=[2, 4])
    assert [c.name for c in plan.single_nodes] == ["single"]
    assert [configuration.name for configuration in plan.distributed] == [
        "all-reduce-2w",
        "all-reduce-4w",
        "parameter-server-2w-1ps",
        "parameter-server-4w-1ps",
    ]


def test_all_configurations_share_the_settings_that_are_not_about_distribution() -> None:
    plan = make_plan()
    assert {(c.training.epochs, c.training.global_batch_size, c.training.seed) for c in plan.configurations} == {
        (2, 128, 7)
    }


def test_integers_that_kfp_turned_into_floats_are_integers_again() -> None:
    plan = make_plan(workers=[2.0, 4.0])
    assert [type(count) for count in plan.parameters.workers] == [int, int]
    assert plan.distributed[1].name == "all-reduce-4w"


def test_a_replica_gets_the_resources_that_the_parameters_name() -> None:
    plan = make_plan(cpus_per_replica=0.5, memory_per_replica="512Mi", gpus_per_replica=1, workers=[4])
    replica = OwnLoop(plan.parameters).count_replicas(plan.distributed[0])["Worker"]
    assert (replica.count, replica.cpus, replica.memory, replica.gpus) == (4, 0.5, "512Mi", 1)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    plan = make_plan(scaling="weak", workers=[2, 4])
    plan.write(tmp_path / "run.json")
    assert RunPlan.read(tmp_path / "run.json") == plan
    assert plan.parameters.trials == 2


def test_a_file_that_is_no_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"schema_version": 2}')
    with pytest.raises(RecordError, match=r"must have schema_version 1\. Received: 2"):
        RunPlan.read(tmp_path / "run.json")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dataset": "cifar"}, "Unknown data set 'cifar'. Known: mnist, fashion_mnist"),
        ({"max_train_images": -5}, "max_train_images must be at least 0. Received: -5"),
        ({"model": "resnet9"}, "resnet9"),
        ({"model_arguments": "width=4"}, r"model_arguments must be JSON .*\. Received: width=4"),
        ({"model_arguments": "[4]"}, r"model_arguments must be a JSON object. Received: \[4\]"),
        ({"cpu_price": -1.0}, "cpu_price must be at least 0. Received: -1.0"),
        ({"epochs": 0}, "epochs must be at least 1. Received: 0"),
        ({"global_batch_size": 0}, "global_batch_size must be at least 1. Received: 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a finite number above 0. Received: 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a finite number above 0. Received: nan"),
        ({"target_accuracy": 98.0}, "target_accuracy must be between 0 and 1. Received: 98.0"),
        ({"job_settings": "[]"}, "job_settings must be a JSON object"),
        ({"pending_minutes": 0}, "pending_minutes must be at least 1. Received: 0"),
        ({"scaling": "double"}, "scaling must be strong, weak or both. Received: double"),
        ({"strategies": ["ring"]}, r"strategies must be some of all_reduce, parameter_server. Received: \['ring'\]"),
        ({"strategies": ["single"]}, r"strategies must be some of .* Received: \['single'\]"),
        ({"strategies": []}, r"strategies must be some of .* Received: \[\]"),
        ({"strategies": ["all_reduce"] * 2}, "strategies must differ from each other. Received"),
        ({"workers": []}, r"workers must be numbers of workers, at least 1 each. Received: \[\]"),
        ({"workers": [0]}, r"at least 1 each. Received: \[0\]"),
        ({"workers": [2, -1]}, r"at least 1 each. Received: \[2, -1\]"),
        ({"workers": [2.5]}, r"workers must be a list of whole numbers. Received: \[2.5\]"),
        ({"workers": [2, 2.0]}, r"workers must differ from each other. Received: \[2, 2\]"),
        ({"workers": [3]}, "global_batch_size must be divisible by the number of workers. Received: 128 and 3"),
        ({"num_ps": 0}, "num_ps must be at least 1 for the strategy parameter_server. Received: 0"),
        ({"num_ps": 1_000_000}, "num_ps must be at most 1,024. Received: 1000000"),
        ({"workers": [2, 2_000], "scaling": "weak"}, "workers must be at most 1,024. Received: 2000"),
        ({"trials": 0}, "trials must be at least 1. Received: 0"),
        ({"trials": 99_999_999}, "trials must be at most 1,000. Received: 99999999"),
        ({"seed": -1}, r"seed must be at least 0 and below 2\*\*32. Received: -1"),
        ({"cpus_per_replica": 0.0}, "cpus_per_replica must be at least 0.001. Received: 0.0"),
        (
            {"memory_per_replica": "2 GB"},
            "memory_per_replica must be a Kubernetes quantity such as 2Gi. Received: '2 GB'",
        ),
        (
            {"memory_per_replica": "0Gi"},
            "memory_per_replica must be a Kubernetes quantity such as 2Gi. Received: '0Gi'",
        ),
        (
            {"isolate_replicas": "yes"},
            "isolate_replicas must be one of auto, always, never. Received: 'yes'",
        ),
        ({"gpu_price": float("inf")}, "gpu_price must be at most 1,000,000,000. Received: inf"),
        ({"cpu_price": float("nan")}, "cpu_price must be at least 0. Received: nan"),
        ({"gpus_per_replica": -1}, "gpus_per_replica must be at least 0. Received: -1"),
        ({"deadline_minutes": 0}, "deadline_minutes must be at least 1. Received: 0"),
        ({"cpus_per_replica": float("nan")}, "cpus_per_replica must be at least 0.001. Received: nan"),
        ({"cpus_per_replica": float("inf")}, "cpus_per_replica must be at most 1,024. Received: inf"),
        ({"dataset": "ftp://host/x.npz"}, "ftp://host/x.npz must be a file, http, https, gs or s3 URL without a user"),
        ({"dataset": "s3://key@bucket/x.npz"}, "s3://bucket/x.npz must be a file, .* or s3 URL without a user"),
        ({"loss": "mse"}, r"loss must be empty or one of sparse_categorical_crossentropy, .*\. Received: 'mse'"),
        ({"image": ""}, "image must be the name by which the cluster pulls .* such as registry.* Received: ''"),
        ({"image": "my image:1"}, "image must be the name by which .* Received: 'my image:1'"),
    ],
)
def test_a_parameter_that_cannot_be_is_refused_with_what_came(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_plan(**changes)


UNLIKE: dict[Any, list[Any]] = {
    bool: [1, 0.0, "yes", None, []],
    bool | None: [1, 0.0, "yes", []],
    int: [True, 2.5, "2.5", "two", "", None, [2], float("nan")],
    float: [True, "much", "", None, [1.0]],
    str: [1, True, None, ["mnist"], {}],
    list[int]: [2, "2", None, ["two"], [[2, 4]], [None], [True], [2.5], {"2": 4}],
    list[str]: ["all_reduce", None, [None], [["all_reduce"]], [1]],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(parameter.name, value) for parameter in fields(Parameters) for value in UNLIKE[parameter.type]],
)
def test_a_value_of_another_type_is_refused_by_its_fields_own_name(name: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^{name} must be .*\. Received: {re.escape(repr(value))}\.$"):
        make_plan(**{name: value})


@pytest.mark.parametrize("name", [p.name for p in fields(Parameters) if p.type in (int, float, list[int])])
def test_a_number_out_of_its_range_is_refused_by_its_fields_own_name(name: str) -> None:
    changes: dict[str, Any] = {name: [-1] if name == "workers" else -1}
    with pytest.raises(ValueError, match=f"^{name} must be "):
        make_plan(**changes)


def test_what_is_plainly_meant_is_taken() -> None:
    typed: dict[str, Any] = {
        "workers": ["2", 4.0],
        "trials": "3",
        "seed": 7.0,
        "learning_rate": "0.1",
        "bigger_nodes": "True",
        "same_batch_norm": "true",
    }
    assert (
        make_plan(**typed).parameters
        == make_plan(
            workers=[2, 4], trials=3, seed=7, learning_rate=0.1, bigger_nodes=True, same_batch_norm=True
        ).parameters
    )


def test_the_same_groups_for_batch_norm_are_there_for_whoever_asks_for_them() -> None:
    trainings = {
        on: [c.training for c in make_plan(workers=[2, 4], same_batch_norm=on).configurations] for on in (True, False)
    }
    assert {training.group_size for training in trainings[True]} == {32}
    assert all(training.group_size == training.per_replica_batch_size for training in trainings[False])
    assert make_plan().parameters.same_batch_norm is False


def test_both_stands_for_all_strategies() -> None:
    assert make_plan(strategies=["both"]).configurations == make_plan().configurations
    assert make_plan(strategies=["both"]).parameters.strategies == ["all_reduce", "parameter_server"]


def test_the_run_is_named_by_the_environment_or_else_by_its_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID_VARIABLE, "20260102-030405")
    assert name_run("job-1") == "20260102-030405"
    monkeypatch.setenv(RUN_ID_VARIABLE, "")
    assert name_run("job-1") == "job-1"
    monkeypatch.delenv(RUN_ID_VARIABLE)
    assert name_run("job-1") == "job-1"


def test_bigger_nodes_have_the_cpus_of_all_workers() -> None:
    plan = make_plan(workers=[1, 2, 4], bigger_nodes=True, cpus_per_replica=1.5)

    assert [c.name for c in plan.single_nodes] == ["single", "single-2x-cpus", "single-4x-cpus"]
    assert [OwnLoop(plan.parameters).count_replicas(c)["Worker"].cpus for c in plan.single_nodes] == [1.5, 3.0, 6.0]
    assert {c.training.strategy for c in plan.distributed} == {"all_reduce", "parameter_server"}


@pytest.mark.parametrize(
    ("settings", "memory"),
    [({}, "2Gi"), ({"gpus_per_replica": 1}, "8Gi"), ({"gpus_per_replica": 1, "memory_per_replica": "3Gi"}, "3Gi")],
)
def test_a_replica_has_the_memory_that_what_it_computes_on_needs(settings: dict[str, Any], memory: str) -> None:
    plan = make_plan(**settings)
    assert OwnLoop(plan.parameters).count_replicas(plan.configurations[0])["Worker"].memory == memory
