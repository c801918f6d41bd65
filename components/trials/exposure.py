"""Who reaches the replicas of a run on this machine: only they themselves, or whoever reaches the machine."""

import socket
from collections.abc import Callable, Iterable
from typing import cast

from components.planning import RunPlan
from tfjob.local import Isolation, choose_isolation, find_obstacle

# As Linux and macOS call it.
_LOOPBACK = {"lo", "lo0"}


def find_isolation(plan: RunPlan) -> Isolation:
    """Returns whether the replicas of a run's jobs get a network of their own on this machine.

    Args:
        plan: The run's plan. A person's own program may reach out; our own loop never does, since a step before it has
            fetched the data.
    """
    isolation = cast("Isolation", plan.parameters.isolate_replicas)
    return choose_isolation(isolation, needs_network=plan.program.needs_network)


def describe_exposure(plan: RunPlan) -> str:
    """Returns what will be open to the network, and for how long; nothing where that is nothing.

    Args:
        plan: What is to be trained on this machine.

    Raises:
        SpecError: The replicas must have a network of their own, and cannot.
    """
    asked, done = plan.parameters.isolate_replicas, find_isolation(plan)
    obstacle = find_obstacle(done)
    if done != asked:
        obstacle = "a program of your own keeps its way to the network, unless --isolate-replicas always takes it"
    listening = [own for own in plan.configurations if plan.program.may_listen(own)]
    trainings = plan.parameters.trials * len(listening)
    if not (obstacle and trainings and has_network()):
        return ""
    if plan.program.needs_network:
        what = (
            f"whatever ports your program opens are open to the network: {obstacle}. TensorFlow opens one in each "
            "replica that is given a TF_CONFIG. While a training goes on"
        )
    else:
        what = f"the replicas' ports are open to the network: {obstacle}. While a distributed training goes on"
    return (
        f"{what} ({trainings} of them, at most {plan.parameters.deadline_minutes} min each), whoever reaches this "
        "machine can read and write what you can. docs/security.md says what helps"
    )


def has_network(list_interfaces: Callable[[], Iterable[tuple[int, str]]] = socket.if_nameindex) -> bool:
    """Returns whether this machine, or the container, can be reached by others: whether it has more than loopback.

    Args:
        list_interfaces: Lists the network's interfaces, each with a number and a name.
    """
    return not {name for _, name in list_interfaces()} <= _LOOPBACK
