"""Who reaches the replicas of a run on this machine: only they themselves, or whoever reaches the machine."""

from typing import cast

from components.planning import RunPlan
from tfjob.local import Isolation, choose_isolation, find_obstacle


def find_isolation(plan: RunPlan, *, needs_network: bool = False) -> Isolation:
    """Returns whether the replicas of a run's jobs get a network of their own on this machine.

    Args:
        plan: The run's plan.
        needs_network: Whether they may reach out, as a person's own program may. Those of our own loop never do: a step
            before them has fetched the data.
    """
    return choose_isolation(cast("Isolation", plan.parameters.isolate_replicas), needs_network=needs_network)


def describe_exposure(plan: RunPlan, *, needs_network: bool = False) -> str:
    """Returns what will be open to the network, and for how long; nothing where that is nothing.

    Args:
        plan: What is to be trained on this machine.
        needs_network: See `find_isolation`.

    Raises:
        SpecError: The replicas must have a network of their own, and cannot.
    """
    asked, done = plan.parameters.isolate_replicas, find_isolation(plan, needs_network=needs_network)
    obstacle = find_obstacle(done)
    if done != asked:
        obstacle = "a program of your own keeps its way to the network, unless --isolate-replicas always takes it"
    trainings = plan.parameters.trials * sum(c.training.strategy != "single" for c in plan.configurations)
    if not (obstacle and trainings):
        return ""
    minutes = plan.parameters.deadline_minutes
    return (
        f"the replicas' ports are open to the network: {obstacle}. While a distributed training goes on ({trainings} "
        f"of them, at most {minutes} min each), whoever reaches this machine can read and write what you can. "
        "docs/security.md says what helps"
    )
