import os
import re
from pathlib import Path
from typing import Any

import pytest

from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run
from components.planning.programs import OwnLoop
from components.planning.room import FREE_CPUS_VARIABLE, find_room
from model.errors import ConfigError
from tests.components.plan_factory import PARAMETERS, make_plan
from tfjob.errors import SpecError
from tfjob.launch import find_free_cpus
from tfjob.local import find_gpus
from tfjob.spec import ReplicaSpec


def plan_with(free_cpus: float | None, **changes: Any) -> RunPlan:
    several = {} if changes.get("a_a") else {"strategies": ["all_reduce"]}
    return plan_run("run-1", Parameters(**PARAMETERS | several | changes), lambda _: free_cpus)


def name_single_nodes(plan: RunPlan) -> list[str]:
    return [configuration.name for configuration in plan.single_nodes]


@pytest.mark.parametrize(
    ("free_cpus", "changes", "bigger"),
    [
        (2.0, {}, [2]),
        (1.9, {}, []),
        (None, {}, []),
        (4.0, {"workers": [2, 4, 8]}, [2, 4]),
        (0.9, {"cpus_per_replica": 0.3, "workers": [3], "global_batch_size": 96}, [3]),
        (4.0, {"workers": [1]}, []),
        (4.0, {"gpus_per_replica": 1, "workers": [2, 4, 8]}, [2, 4]),
        (0.0, {"gpus_per_replica": 1}, []),
        (64.0, {"bigger_nodes": False}, []),
        (1.0, {"bigger_nodes": True}, [2]),
        (64.0, {"a_a": True}, []),
    ],
)
def test_a_bigger_node_is_compared_where_one_has_the_cpus_or_somebody_says_so(
    free_cpus: float | None, changes: dict[str, Any], bigger: list[int]
) -> None:
    plan = plan_with(free_cpus, **changes)
    kind = "gpus" if plan.parameters.gpus_per_replica else "cpus"
    assert name_single_nodes(plan) == ["single", *(f"single-{factor}x-{kind}" for factor in bigger)]
    assert [OwnLoop(plan.parameters).count_replicas(c)["Worker"].cpus for c in plan.single_nodes[1:]] == pytest.approx(
        [factor * plan.parameters.cpus_per_replica for factor in bigger]
    )


def test_nobody_looks_for_room_where_it_decides_nothing() -> None:
    def refuse(_: Parameters) -> float:
        raise AssertionError

    for changes in ({"bigger_nodes": True}, {"bigger_nodes": False}, {"a_a": True}):
        assert plan_run("run-1", Parameters(**PARAMETERS | changes), refuse).free_cpus is None


def test_the_plan_that_is_read_knows_what_room_there_was(tmp_path: Path) -> None:
    for free_cpus in (2.0, None):
        plan_with(free_cpus).write(tmp_path / "run.json")
        assert RunPlan.read(tmp_path / "run.json").free_cpus == free_cpus


@pytest.mark.parametrize(
    ("free_cpus", "changes", "told"),
    [
        (2.0, {}, ""),
        (1.0, {}, "Not compared with one node that has the CPUs of 2 workers: a node has 1 to give at most"),
        (4.0, {"workers": [8, 2, 6]}, "the CPUs of 6, 8 workers: a node has 4 to give at most"),
        (None, {}, "how many a node has to give is not known"),
        (1.0, {"gpus_per_replica": 1}, "the CPUs and GPUs of 2 workers: a node has those of 1 to give at most."),
        (1.0, {"gpus_per_replica": 1, "share_gpus": True}, "what workers share (share_gpus) one process has only once"),
        (None, {"gpus_per_replica": 1}, "how many a node has to give is not known"),
        (2.0, {"gpus_per_replica": 1, "share_gpus": True}, ""),
        (None, {"bigger_nodes": False}, ""),
        (None, {"a_a": True}, ""),
        (None, {"workers": [1]}, ""),
    ],
)
def test_the_plan_says_why_a_bigger_node_is_not_compared(
    free_cpus: float | None, changes: dict[str, Any], told: str
) -> None:
    plan = plan_with(free_cpus, **({} if changes.get("a_a") else {"scaling": "weak"}), **changes)
    text = "".join(plan.program.list_remarks(plan.configurations, plan.free_cpus))
    assert told in text if told else text == ""


def test_a_bigger_node_has_the_gpus_and_the_memory_of_all_workers_where_these_have_gpus() -> None:
    plan = plan_with(3.0, gpus_per_replica=2, workers=[2, 3], global_batch_size=120)
    specs = [OwnLoop(plan.parameters).count_replicas(c)["Worker"] for c in plan.single_nodes]
    assert [(spec.count, spec.cpus, spec.gpus, spec.memory) for spec in specs] == [
        (1, 1.0, 2, "8Gi"),
        (1, 2.0, 4, "16Gi"),
        (1, 3.0, 6, "24Gi"),
    ]
    single, bigger = (OwnLoop(make_plan(bigger_nodes=True).parameters).count_replicas(c) for c in plan.single_nodes[:2])
    assert single["Worker"].memory == bigger["Worker"].memory == "2Gi"


def test_parameter_servers_get_no_gpu() -> None:
    plan = make_plan(gpus_per_replica=1, strategies=["parameter_server"])
    replicas = plan.program.count_replicas(plan.configurations[-1])  # type: ignore[attr-defined] # the own loop's
    assert {kind: spec.gpus for kind, spec in replicas.items()} == {"Worker": 1, "Chief": 1, "PS": 0}


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"gpus_per_replica": 3}, "divisible by its GPUs. Received for single: 128 images and 3 GPUs."),
        (
            {"gpus_per_replica": 1, "workers": [3], "scaling": "weak"},
            "its GPUs; or set bigger_nodes to false. Received for single-3x-gpus: 128 images and 3 GPUs.",
        ),
        ({"gpus_per_replica": 3, "a_a": True}, "Received for single: 128 images and 3 GPUs."),
    ],
)
def test_a_batch_that_gpus_cannot_share_is_refused(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        plan_with(3.0, **changes)


def test_a_bigger_node_that_this_machine_cannot_have_is_refused_by_its_own_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(find_gpus, "__defaults__", (lambda: ["GPU-1"],))
    plan = plan_with(1.0, gpus_per_replica=1, share_gpus=True, bigger_nodes=True)
    with pytest.raises(SpecError, match="bigger_nodes must be left out, or false: one node with the GPUs of 2 workers"):
        plan.program.check_machine(plan.configurations, print)


@pytest.mark.parametrize(
    ("gpus", "asked", "replicas"), [(4, 1, 2), (1, 1, 1), (4, 2, 2), (3, 2, 1), (0, 1, 0), (1, 2, 0)]
)
def test_on_this_machine_a_larger_replica_has_as_many_times_the_gpus(gpus: int, asked: int, replicas: int) -> None:
    cores = len(os.sched_getaffinity(0))
    replica = ReplicaSpec(cpus=0.5 * cores, gpus=asked)
    room = find_free_cpus(replica, {}, lambda: [f"GPU-{number}" for number in range(gpus)])
    assert room == pytest.approx(replicas * 0.5 * cores)


def test_on_this_machine_there_is_room_on_the_cores_that_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FREE_CPUS_VARIABLE, raising=False)
    assert find_room(Parameters()) in [*map(float, range(1, len(os.sched_getaffinity(0)) + 1))]


def test_a_run_that_was_planned_before_keeps_the_room_that_it_found_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FREE_CPUS_VARIABLE, "1024")
    assert find_room(Parameters()) == 1024


def test_an_affinity_makes_it_unknown_which_nodes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FREE_CPUS_VARIABLE, raising=False)
    assert find_room(Parameters(job_settings='{"affinity": {"nodeAffinity": {}}}')) is None


def test_the_single_node_against_itself_is_nothing_else() -> None:
    plan = plan_with(2.0, a_a=True)
    assert [c.name for c in plan.configurations] == ["single", "single-again"]
    single, again = plan.configurations
    assert single.training == again.training
    assert single.cpus_factor == again.cpus_factor == 1
    assert plan.parameters.a_a
