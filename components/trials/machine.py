"""Whether this machine has what a run on it needs, before anything starts."""

from collections.abc import Callable

from components.planning import RunPlan
from components.trials.exposure import describe_exposure
from components.trials.trial import count_replicas
from tfjob.environment import is_in_pod
from tfjob.launch import print_line
from tfjob.local import find_gpus
from tfjob.settings import describe_settings_here


def check_machine(plan: RunPlan, report: Callable[[str], None] = print_line) -> None:
    """Checks that this machine has what a plan asks for, and tells what does not hold on it. A cluster needs no look.

    Args:
        plan: What is to be trained.
        report: Gets a line about settings that have no effect here, and one about what will be open to the network.

    Raises:
        SpecError: It has too few GPUs, or no network for the replicas alone, which they must have.
    """
    if is_in_pod():
        return
    for configuration in plan.configurations:
        replicas = count_replicas(plan, configuration).items()
        asked = {f"{kind}-{index}": replica.gpus for kind, replica in replicas for index in range(replica.count)}
        find_gpus(asked, may_share=plan.parameters.share_gpus)
    for told in (describe_settings_here(plan.parameters.job_settings), describe_exposure(plan)):
        if told:
            report(f"Warning: {told}")
