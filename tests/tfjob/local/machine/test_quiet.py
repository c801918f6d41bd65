from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import pytest

from tests.tfjob.fake_cluster import FakeClock
from tfjob.backend import QuietWait
from tfjob.local.machine import Load, wait_until_quiet

QUIET, BUSY = Load({0: 0.02, 1: 0.0}), Load({0: 0.98, 1: 0.03}, {"stress-ng": 0.98})


@dataclass
class Neighbour:
    """What others do, one look after another; the last goes on."""

    loads: list[Load | None]
    clock: FakeClock = field(default_factory=FakeClock)
    looks: list[tuple[float, bool]] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)

    def __call__(self, cpus: Collection[int], seconds: float, *, is_named: bool) -> Load | None:
        assert list(cpus) == [0, 1]
        self.looks.append((seconds, is_named))
        self.clock.sleep(seconds)
        load = self.loads.pop(0) if self.loads[1:] else self.loads[0]
        return load if is_named or load is None else Load(load.busy)

    def wait(self, patience_seconds: float = 10.0) -> QuietWait | None:
        """Waits beside this neighbour."""
        return wait_until_quiet(
            [0, 1],
            patience_seconds,
            look=self,
            clock=self.clock,
            tell=self.told.append,
            warn=self.warned.append,
        )


def test_a_quiet_machine_costs_one_short_look_and_not_a_word() -> None:
    neighbour = Neighbour([QUIET])
    assert neighbour.wait() == QuietWait(0.0, [])
    assert neighbour.looks == [(0.3, False)]
    assert (neighbour.told, neighbour.warned) == ([], [])


def test_a_busy_machine_is_waited_for_and_who_takes_it_is_told() -> None:
    neighbour = Neighbour([BUSY, BUSY, BUSY, BUSY, QUIET])
    assert neighbour.wait() == QuietWait(4.0, ["stress-ng, 98 % of a core"])
    assert neighbour.told == [
        "waits up to 10 s for a quiet machine: CPU 0 is taken by stress-ng (98 %)",
        "the machine is quiet after 4.0 s",
    ]
    assert neighbour.warned == []


@pytest.mark.parametrize("patience_seconds", [10.0, 60.0])
def test_waiting_ends_in_time_with_a_warning(patience_seconds: float) -> None:
    neighbour = Neighbour([BUSY])
    assert neighbour.wait(patience_seconds) == QuietWait(patience_seconds, ["stress-ng, 98 % of a core"])
    assert sum(seconds for seconds, _ in neighbour.looks) == pytest.approx(patience_seconds + 0.3)
    waited = f"after {patience_seconds:.0f} s of waiting"
    taken = "CPU 0 is taken by stress-ng (98 %)"
    assert neighbour.warned == [f"{waited} the job began on a busy machine: {taken}"]


def test_no_look_is_too_short_to_see_anything() -> None:
    neighbour = Neighbour([BUSY])
    neighbour.wait(2.3)
    assert [seconds for seconds, _ in neighbour.looks] == [0.3, 1.0, 1.0]


def test_what_passes_in_a_moment_is_waited_for_without_a_word() -> None:
    neighbour = Neighbour([BUSY, QUIET])
    assert neighbour.wait() == QuietWait(1.0, [])
    assert neighbour.told == []


def test_all_who_took_the_cores_meanwhile_are_named_with_their_most_and_three_at_most() -> None:
    def busy(takers: Mapping[str, float]) -> Load:
        return Load({0: 1.0, 1: 1.0}, takers)

    names = ({"cc1": 0.5, "ld": 0.2}, {"cc1": 0.9}, {"ar": 0.3, "make": 0.1})
    neighbour = Neighbour([BUSY, *map(busy, names), QUIET])
    waited = neighbour.wait()
    assert waited is not None
    assert waited.taken_by == ["cc1, 90 % of a core", "ar, 30 % of a core", "ld, 20 % of a core"]
    assert neighbour.told[0].endswith("CPU 0, 1 are taken by cc1 (50 %), ld (20 %)")


@pytest.mark.parametrize(("share", "is_taken"), [(0.09, False), (0.1, True)])
def test_a_core_is_taken_where_others_have_a_tenth_of_it(share: float, is_taken: bool) -> None:
    neighbour = Neighbour([Load({0: 0.0, 1: share})])
    neighbour.wait()
    assert bool(neighbour.warned) is is_taken


def test_where_nobody_can_look_nobody_waits() -> None:
    assert Neighbour([None]).wait() is None
