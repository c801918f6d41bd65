"""Who reaches the replicas of a run on this machine: only they themselves, or whoever reaches the machine."""

from typing import cast

from components.planning import RunPlan
from tfjob.local import Isolation, choose_isolation, find_obstacle


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
    distributed = [own for own in plan.configurations if plan.program.is_distributed(own)]
    trainings = plan.parameters.trials * len(distributed)
    if not (obstacle and trainings):
        return ""
    minutes = plan.parameters.deadline_minutes
    return (
        f"the replicas' ports are open to the network: {obstacle}. While a distributed training goes on ({trainings} "
        f"of them, at most {minutes} min each), whoever reaches this machine can read and write what you can. "
        "docs/security.md says what helps"
    )
