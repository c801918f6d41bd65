"""Waiting until others have left the cores that a job will use, and who they are."""

from collections.abc import Callable, Collection, Mapping
from typing import Protocol

from tfjob.backend import QuietWait
from tfjob.local.machine.load import OTHER_WORK, Load

# A core is taken where others have so much of its time.
TAKEN_SHARE = 0.1
# One short look where the machine is quiet, the same for every job; longer ones, and who it is, where it is not.
_FIRST_LOOK_SECONDS, _LOOK_SECONDS = 0.3, 1.0
# A look of less than this sees too few ticks of the system's clock.
_SHORTEST_LOOK_SECONDS = 0.5
# How many of those who take the cores are named.
_NAMED_TAKERS = 3


class Look(Protocol):
    """Looks what takes some CPUs: `load.look`, with how it waits and whom it works for."""

    def __call__(self, cpus: Collection[int], seconds: float, *, is_named: bool) -> Load | None:
        """Returns what took the CPUs; None where that cannot be known."""


def wait_until_quiet(
    cpus: Collection[int],
    patience_seconds: float,
    *,
    look: Look,
    clock: Callable[[], float],
    tell: Callable[[str], object],
    warn: Callable[[str], object],
) -> QuietWait | None:
    """Returns when others have left some CPUs, or after a while; None where nobody can know.

    Args:
        cpus: The CPUs.
        patience_seconds: How long to wait at most.
        look: Looks what takes them.
        clock: Monotonic seconds.
        tell: Told that it waits, and of the end of that.
        warn: Told that others have not left.
    """
    load = look(cpus, _FIRST_LOOK_SECONDS, is_named=False)
    if load is None:
        return None
    began, is_told = clock(), False
    takers: dict[str, float] = {}
    while (taken := _list_taken(load)) and (left := began + patience_seconds - clock()) >= _SHORTEST_LOOK_SECONDS:
        load = look(cpus, min(_LOOK_SECONDS, left), is_named=True) or Load({})
        if still := _list_taken(load):
            takers = {
                name: max(load.takers.get(name, 0.0), takers.get(name, 0.0)) for name in {**takers, **load.takers}
            }
            if not is_told:
                is_told = True
                tell(f"waits up to {patience_seconds:g} s for a quiet machine: {_describe(still, load.takers)}")
    waited_seconds = clock() - began
    if taken:
        warn(
            f"after {waited_seconds:.0f} s of waiting the job began on a busy machine: {_describe(taken, load.takers)}"
        )
    elif is_told:
        tell(f"the machine is quiet after {waited_seconds:.1f} s")
    taken_by = [f"{name}, {100 * share:.0f} % of a core" for name, share in _list_most(takers)]
    return QuietWait(round(waited_seconds, 3), taken_by)


def _list_taken(load: Load) -> list[int]:
    return sorted(cpu for cpu, share in load.busy.items() if share >= TAKEN_SHARE)


def _list_most(takers: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(takers.items(), key=lambda taker: -taker[1])[:_NAMED_TAKERS]


def _describe(taken: Collection[int], takers: Mapping[str, float]) -> str:
    named = ", ".join(f"{name} ({100 * share:.0f} %)" for name, share in _list_most(takers)) or OTHER_WORK
    return f"CPU {', '.join(map(str, taken))} {'is' if len(taken) == 1 else 'are'} taken by {named}"
