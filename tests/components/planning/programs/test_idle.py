from typing import Any

import pytest

from components.planning.parameters import Parameters, describe_idle
from components.planning.programs.idle import describe_prices
from components.trials import check_machine
from model.errors import ConfigError
from pipeline.remote.check import list_doubts
from tests.components.plan_factory import make_plan

ALONE = "about several workers, and a_a compares the single node with itself alone"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"a_a": True, "workers": [4]}, rf"workers must be left out: it is {ALONE}\. Received: workers \[4\]\."),
        ({"a_a": True, "strategies": ["all_reduce"]}, rf"strategies must be left out: it is {ALONE}"),
        ({"a_a": True, "num_ps": 2, "scaling": "weak"}, rf"num_ps and scaling must be left out: each is {ALONE}"),
        ({"a_a": True, "bigger_nodes": True}, rf"bigger_nodes must be left out: it is {ALONE}"),
        (
            {"strategies": ["all_reduce"], "num_ps": 4},
            r"num_ps must be left out: it is of the strategy parameter_server, which .* Received: num_ps 4\.",
        ),
        (
            {"workers": [1], "bigger_nodes": True},
            "bigger_nodes must be left out: it has the CPUs of several workers, and workers has no number above 1",
        ),
        ({"share_gpus": True}, "share_gpus must be left out: it takes GPUs, of which a worker has none"),
        (
            {"command": "python train.py", "global_batch_size": 64},
            r"it reaches your `command` in place of \{global_batch_size\} or \{per_replica_batch_size\} alone, and",
        ),
        ({"command": "python train.py", "share_gpus": True}, "share_gpus must be left out: it takes GPUs"),
    ],
)
def test_what_another_parameter_leaves_no_meaning_is_refused(changes: dict[str, Any], message: str) -> None:
    own = {} if "command" in changes else {"model_arguments": "{}"}
    with pytest.raises(ConfigError, match=message):
        make_plan(**{"model_arguments": "{}", **own, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"a_a": True, "bigger_nodes": False},
        {"strategies": ["parameter_server"], "num_ps": 4},
        {"share_gpus": True, "gpus_per_replica": 1},
        {"model_arguments": "{}", "command": "python train.py {global_batch_size}", "global_batch_size": 64},
    ],
)
def test_what_has_its_meaning_is_taken(changes: dict[str, Any]) -> None:
    assert make_plan(**changes).configurations


def test_what_has_no_effect_where_the_run_goes_is_told_and_not_refused() -> None:
    given = Parameters(
        image="a/b:1", keep_failed_jobs=True, placement="spread", isolate_replicas="never", share_gpus=True
    )
    here = "on this machine these have no effect: image, keep_failed_jobs, placement"
    there = "in a cluster these have no effect: share_gpus, isolate_replicas"
    assert describe_idle(given, is_in_cluster=False) == here
    assert describe_idle(given, is_in_cluster=True) == there
    assert describe_idle(Parameters(), is_in_cluster=False) == describe_idle(Parameters(), is_in_cluster=True) == ""

    told: list[str] = []
    plan = make_plan(memory_per_replica="4Gi", pending_minutes=3, isolate_replicas="never")
    check_machine(plan, told.append)
    assert told[0] == "Warning: on this machine these have no effect: image, memory_per_replica, pending_minutes"
    assert "in a cluster these have no effect: isolate_replicas." in list_doubts(plan.parameters, is_image_given=True)


@pytest.mark.parametrize(
    ("prices", "cpus", "gpus", "told"),
    [
        ({}, None, 1, []),
        ({"cpu_price": 1.0}, 2.0, 0, []),
        ({"cpu_price": 1.0, "gpu_price": 4.0}, 2.0, 1, []),
        ({"cpu_price": 1.0}, 2.0, 1, ["No price is told for cpu_price alone: what the replicas' GPUs cost"]),
        ({"gpu_price": 4.0}, 2.0, 0, ["gpu_price has no effect: no worker has a GPU."]),
        ({"cpu_price": 1.0}, None, 0, ["No price is told: how many CPUs a worker holds is not known"]),
    ],
)
def test_prices_that_lead_to_none_are_told_as_the_run_is_planned(
    prices: dict[str, float], cpus: float | None, gpus: int, told: list[str]
) -> None:
    lines = describe_prices(Parameters(**prices), cpus, gpus)  # type: ignore[arg-type] # these are numbers
    assert [line[: len(begin)] for line, begin in zip(lines, told, strict=True)] == told


def test_a_plan_tells_of_a_price_without_effect() -> None:
    for changes in ({}, {"model_arguments": "{}", "command": "python train.py"}):
        plan = make_plan(gpu_price=4.0, **changes)
        assert "gpu_price has no effect: no worker has a GPU." in plan.program.list_remarks(plan.configurations, None)
