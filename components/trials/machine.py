"""Whether this machine has what a run on it needs, before anything starts."""

from collections.abc import Callable

from components.planning import RunPlan, describe_idle
from components.trials.exposure import describe_exposure
from tfjob.launch import print_line
from tfjob.launcher import is_in_pod


def check_machine(plan: RunPlan, report: Callable[[str], None] = print_line) -> None:
    """Checks that this machine has what a plan asks for, and tells what does not hold on it.

    A cluster needs no look: there it is only told what has no effect.

    Args:
        plan: What is to be trained.
        report: Gets a line about settings that have no effect here, and one about what will be open to the network.

    Raises:
        SpecError: It has too few GPUs, or no network for the replicas alone, which they must have.
    """
    if idle := describe_idle(plan.parameters, is_in_cluster=is_in_pod()):
        report(f"Warning: {idle}")
    if is_in_pod():
        return
    plan.program.check_machine(plan.configurations, report)
    if told := describe_exposure(plan):
        report(f"Warning: {told}")
