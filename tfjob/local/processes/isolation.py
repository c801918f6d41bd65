"""Whether the replicas of a job on this machine run in a network of their own, and what is open where they do not."""

from typing import Literal, get_args

from tfjob.errors import SpecError
from tfjob.local.processes.process import Keeper

Isolation = Literal["auto", "always", "never"]
ISOLATIONS: tuple[Isolation, ...] = get_args(Isolation)


def choose_isolation(asked: Isolation, *, needs_network: bool) -> Isolation:
    """Returns what is done for a program: where it may need the network, only `always` takes that from it.

    Args:
        asked: What was asked for.
        needs_network: Whether its replicas may reach out, for data say, as those of our own loop never do.
    """
    return "never" if asked == "auto" and needs_network else asked


def start_keeper(isolation: Isolation) -> Keeper:
    """Returns the keeper of a job, which holds the job's network if it is to have one of its own.

    Raises:
        SpecError: It must have one, and cannot.
    """
    guard = Keeper(is_isolating=isolation != "never")
    if isolation == "always" and guard.obstacle:
        with guard:  # which ends it
            raise SpecError(_describe_refusal(guard.obstacle))
    return guard


def find_obstacle(isolation: Isolation) -> str:
    """Returns why replicas will not run in a network of their own, found out by making one; empty where they will.

    Raises:
        SpecError: They must, and cannot.
    """
    if isolation == "never":
        return "a network of their own is not asked for"
    with start_keeper(isolation) as guard:
        return guard.obstacle and f"this machine does not let them have a network of their own ({guard.obstacle})"


def _describe_refusal(obstacle: str) -> str:
    return (
        "isolate_replicas is always, but this machine does not let a process have a network of its own "
        f"({obstacle}). Allow that, as docs/security.md says, or take auto."
    )
