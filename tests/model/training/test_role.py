import json
from typing import Any

import pytest

from model.errors import ConfigError
from model.training.role import Role, parse_tf_config


def make_tf_config(task_type: str = "worker", index: Any = 0, **sizes: int) -> str:
    cluster = {member: [f"{member}-{i}:2222" for i in range(size)] for member, size in sizes.items()}
    return json.dumps({"cluster": cluster, "task": {"type": task_type, "index": index}, "environment": "cloud"})


@pytest.mark.parametrize("text", [None, ""])
def test_a_process_without_tf_config_is_the_single_one(text: str | None) -> None:
    role = parse_tf_config(text)
    assert role == Role("single", "worker", 0, num_workers=1, num_ps=0)
    assert role.is_chief
    assert role.rank == 0
    assert role.name == "worker-0"


def test_workers_alone_make_an_all_reduce_whose_chief_is_the_first() -> None:
    roles = [parse_tf_config(make_tf_config(index=index, worker=3)) for index in range(3)]
    assert {(role.strategy, role.num_workers, role.num_ps) for role in roles} == {("all_reduce", 3, 0)}
    assert [role.is_chief for role in roles] == [True, False, False]
    assert [role.rank for role in roles] == [0, 1, 2]
    assert roles[2].name == "worker-2"


def test_a_chief_is_the_first_worker_of_an_all_reduce() -> None:
    tasks = [("chief", 0), ("worker", 0), ("worker", 1)]
    roles = [parse_tf_config(make_tf_config(*task, chief=1, worker=2)) for task in tasks]
    assert {(role.strategy, role.num_workers) for role in roles} == {("all_reduce", 3)}
    assert [role.is_chief for role in roles] == [True, False, False]
    assert [role.rank for role in roles] == [0, 1, 2]


def test_the_chief_of_a_parameter_server_job_computes_no_gradients() -> None:
    tasks = [("chief", 0), ("worker", 0), ("worker", 1), ("ps", 0)]
    roles = [parse_tf_config(make_tf_config(*task, chief=1, worker=2, ps=1)) for task in tasks]
    assert {(role.strategy, role.num_workers, role.num_ps) for role in roles} == {("parameter_server", 2, 1)}
    assert [role.is_chief for role in roles] == [True, False, False, False]
    assert [role.rank for role in roles[1:3]] == [0, 1]
    assert [role.name for role in roles] == ["chief-0", "worker-0", "worker-1", "ps-0"]


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "null",
        "[]",
        "2",
        "{}",
        '{"cluster": {"worker": ["a:1"]}}',
        '{"task": {"type": "worker", "index": 0}}',
        '{"cluster": ["a:1"], "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": "a:1"}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": {"0": "a:1"}}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": null}, "task": {"type": "worker", "index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"type": "worker"}}',
        '{"cluster": {"worker": ["a:1"]}, "task": {"index": 0}}',
        '{"cluster": {"worker": ["a:1"]}, "task": "worker-0"}',
        make_tf_config(index="first", worker=1),
        make_tf_config(index=0.5, worker=1),
        make_tf_config(index=float("inf"), worker=1),
        make_tf_config(index=None, worker=1),
    ],
)
def test_a_malformed_tf_config_is_refused_and_shown(text: str) -> None:
    with pytest.raises(ValueError, match="TF_CONFIG is malformed") as raised:
        parse_tf_config(text)
    assert str(raised.value).endswith(f"Received: {text}")
    assert 'Expected {"cluster"' in str(raised.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (make_tf_config(index=2, worker=2), "task worker-2 is not in its cluster"),
        (make_tf_config(index=-1, worker=2), "task worker--1 is not in its cluster"),
        (make_tf_config("ps", worker=2), "task ps-0 is not in its cluster"),
        (make_tf_config("evaluator", worker=2), "task evaluator-0 is not in its cluster"),
        (make_tf_config(worker=2, evaluator=1), r"unknown replica types \['evaluator'\]"),
        (make_tf_config(chief=2, worker=1), "one chief at most"),
        (make_tf_config(worker=2, ps=1), "needs one chief and at least one worker"),
        (make_tf_config("chief", chief=1, ps=1), "needs one chief and at least one worker"),
    ],
)
def test_a_cluster_that_cannot_be_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_tf_config(text)


def test_an_all_reduce_of_one_worker_needs_no_tf_config() -> None:
    role = parse_tf_config(None, "all_reduce")

    assert (role.strategy, role.num_workers, role.is_chief) == ("all_reduce", 1, True)


def test_parameter_servers_need_a_tf_config() -> None:
    with pytest.raises(ConfigError, match="needs a TF_CONFIG"):
        parse_tf_config(None, "parameter_server")


def test_a_tf_config_of_another_strategy_is_refused() -> None:
    text = make_tf_config(worker=2)

    with pytest.raises(ConfigError, match="must be that of the strategy single, not all_reduce"):
        parse_tf_config(text, "single")
