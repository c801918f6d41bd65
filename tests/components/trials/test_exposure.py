import pytest

from components.trials.exposure import describe_exposure, find_isolation, has_network
from components.trials.machine import check_machine
from tests.components.plan_factory import make_plan
from tfjob.local import find_obstacle

COMMAND = "python train.py"
needs_namespaces = pytest.mark.skipif(bool(find_obstacle("auto")), reason="this machine allows no network namespace")


@needs_namespaces
def test_what_only_replicas_reach_needs_no_warning() -> None:
    assert describe_exposure(make_plan()) == ""
    assert describe_exposure(make_plan(isolate_replicas="always", model_arguments="{}", command=COMMAND)) == ""


def test_a_run_says_once_what_is_open_and_for_how_long() -> None:
    told: list[str] = []
    plan = make_plan(isolate_replicas="never", deadline_minutes=5, workers=[2, 4], strategies=["all_reduce"], trials=3)
    check_machine(plan, told.append)
    (line,) = (line for line in told if "open to the network" in line)
    assert line == (
        "Warning: the replicas' ports are open to the network: a network of their own is not asked for. While a "
        "distributed training goes on (6 of them, at most 5 min each), whoever reaches this machine can read and "
        "write what you can. docs/security.md says what helps"
    )


def test_a_program_that_may_need_the_network_runs_open_and_with_the_warning() -> None:
    plan = make_plan(model_arguments="{}", command=COMMAND)
    assert find_isolation(plan) == "never"
    told = describe_exposure(plan)
    assert told.startswith("whatever ports your program opens are open to the network: a program of your own keeps its")
    assert "While a training goes on (4 of them, at most 60 min each)" in told  # the single node is a program, too


def test_where_there_is_no_network_nobody_is_warned_of_one() -> None:
    assert has_network(lambda: [(1, "lo"), (2, "eth0")])
    assert not has_network(lambda: [(1, "lo")])
    assert not has_network(lambda: [(1, "lo0")])


def test_a_single_node_of_our_own_loop_listens_nowhere() -> None:
    assert describe_exposure(make_plan(a_a=True, isolate_replicas="never")) == ""
