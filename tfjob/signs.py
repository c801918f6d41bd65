"""The replicas' signs of life, which the launcher watches: who is frozen is found long before the deadline.

A replica gives two signs. That its process lives: on one machine the launcher sees for itself, and in a pod the
process beside the training tells. And where in its training it is, which only our own program tells, by a file in the
folder that `SIGNS_VARIABLE` names; docs/schemas.md defines both. Only changes count, on the launcher's own clock: the
clocks of other machines, and a file's times, are none of it.
"""

from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SIGNS_VARIABLE = "TFJOB_SPEEDUP_SIGNS"
LIFE_SUFFIX, PLACE_SUFFIX = ".life", ".place"
LOOK_SECONDS = 5.0
# A replica without a sign of life for so long is suspected; where no replica gives one, it may be the volume.
SILENT_SECONDS, ALL_SILENT_SECONDS = 30.0, 60.0
# Replicas that live, of which none moves, or computes, for so long have lost each other.
STALL_SECONDS = 45.0
# TensorFlow finds out sooner that it lost a peer: whoever has been silent for two looks then may be that peer.
_QUIET_SECONDS = 2 * LOOK_SECONDS
# Who takes more of a core than this computes, though the machine be crowded; waiting takes far less than a hundredth.
_IDLE_SHARE = 0.03
# Who was ready so long and got no core is held up by the machine, and may get less than that: about nine tenths on two
# cores with 29 programs to run. The threads of one that waits for its peers wake up now and then, a fiftieth then.
_HELD_UP_SHARE = 0.25
# A launcher that looks so late was itself held up, and knows nothing of the time between.
_LATE_SECONDS = 4 * LOOK_SECONDS
# A slow volume, not a peer, may hold up who writes to it, a download who builds a model; the end has its own patience.
_UNHURRIED_PLACES = frozenset({"building", "saving", "ending"})


@dataclass(frozen=True)
class Life:
    """What is seen of a replica's process.

    Args:
        count: Another value with each sign.
        is_stopped: Whether it is stopped, as by SIGSTOP.
        cpu_seconds: The CPU time that it has used.
        waited_seconds: How long its threads were ready and waited for a core, together; 0 where nobody counts that.
    """

    count: object
    is_stopped: bool
    cpu_seconds: float
    waited_seconds: float = 0.0

    def has_computed_since(self, before: "Life", seconds: float) -> bool:
        """Returns whether it has computed, or would have if the machine had let it, in the seconds since a look."""
        ran, waited = self.cpu_seconds - before.cpu_seconds, self.waited_seconds - before.waited_seconds
        return ran > _IDLE_SHARE * seconds or waited > _HELD_UP_SHARE * seconds


@dataclass(frozen=True)
class Suspicion:
    """What is wrong with a job whose replicas have not ended.

    Args:
        replicas: Those that are frozen or out of reach; none where all live and none moves.
        reason: What was seen, in words.
    """

    replicas: tuple[str, ...]
    reason: str


@dataclass
class _Seen:
    life: Life
    renewed_at: float
    moved_at: float
    place: str = ""

    def describe(self, now: float) -> str:
        if now - self.renewed_at >= SILENT_SECONDS:
            return self.describe_silence(now)
        place = self.place or "no word of where it is"
        return f"{place}, for {now - self.moved_at:.0f} s"

    def describe_silence(self, now: float) -> str:
        stopped = ", its process is stopped" if self.life.is_stopped else ""
        return f"no sign of life for {now - self.renewed_at:.0f} s{stopped}"


class SignWatch:
    """Judges what is seen of the replicas of a job, look by look.

    Args:
        folder: Where replicas tell their places; None where they tell none.
        replicas: Those of the job, by name. While one has never been there, the others may well wait for it: for its
            node, its image.
        sees_itself: Whether the launcher sees the processes for itself, and not by their word.
        silent_seconds: How long a replica may give no sign of life.
        stall_seconds: How long no replica may move.
    """

    def __init__(
        self,
        folder: Path | None,
        replicas: Collection[str],
        *,
        sees_itself: bool,
        silent_seconds: float = SILENT_SECONDS,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self._folder, self._sees_itself = folder, sees_itself
        self._silent_seconds, self._stall_seconds = silent_seconds, stall_seconds
        self._awaited = set(replicas)
        self._seen: dict[str, _Seen] = {}
        self._looked_at: float | None = None

    def look(self, lives: Mapping[str, Life], now: float) -> Suspicion | None:
        """Returns what is to be suspected after another look.

        Args:
            lives: What is seen of the replicas that run, by name. One that has not given a sign yet is not there.
            now: The launcher's clock.
        """
        if self._looked_at is not None and now - self._looked_at > _LATE_SECONDS:
            self._seen.clear()
        since = now if self._looked_at is None else self._looked_at
        self._looked_at = now
        self._seen = {name: seen for name, seen in self._seen.items() if name in lives}
        self._awaited.difference_update(lives)
        for name, life in lives.items():
            self._note(name, life, now, now - since)
        return self._find_silent(now) or self._find_stall(now)

    def forget(self, replica: str) -> None:
        """Begins anew with a replica that was started again."""
        self._seen.pop(replica, None)
        self._awaited.add(replica)

    def describe(self, replica: str, now: float) -> str:
        """Returns what was seen of a replica last, in words; nothing where it was never seen."""
        return self._seen[replica].describe(now) if replica in self._seen else ""

    def describe_quiet(self, but_for: str, now: float) -> str:
        """Returns which replicas are stopped or silent, and may be what another one lost, in words; or nothing.

        Args:
            but_for: The one that lost a peer.
            now: The launcher's clock.
        """
        quiet = {
            name: seen
            for name, seen in self._seen.items()
            if name != but_for and (seen.life.is_stopped or now - seen.renewed_at >= _QUIET_SECONDS)
        }
        return "; ".join(f"{name} gave {seen.describe_silence(now)}" for name, seen in quiet.items())

    def _note(self, name: str, life: Life, now: float, seconds: float) -> None:
        place = _read(self._folder, name + PLACE_SUFFIX)
        if name not in self._seen:
            self._seen[name] = _Seen(life, now, now, place)
            return
        seen = self._seen[name]
        if life.count != seen.life.count and not life.is_stopped:
            seen.renewed_at = now
        if place != seen.place or life.has_computed_since(seen.life, seconds):
            seen.moved_at = now
        seen.life, seen.place = life, place

    def _find_silent(self, now: float) -> Suspicion | None:
        silent = {name: seen for name, seen in self._seen.items() if now - seen.renewed_at >= self._silent_seconds}
        is_told = self._sees_itself or any(seen.life.is_stopped for seen in silent.values())
        if not is_told and len(silent) == len(self._seen):
            silent = {name: seen for name, seen in silent.items() if now - seen.renewed_at >= ALL_SILENT_SECONDS}
        if not silent:
            return None
        longest = max(now - seen.renewed_at for seen in silent.values())
        stopped = " (stopped, as by SIGSTOP)" if any(seen.life.is_stopped for seen in silent.values()) else ""
        return Suspicion(tuple(silent), f"no sign of life for {longest:.0f} s{stopped}")

    def _find_stall(self, now: float) -> Suspicion | None:
        places = [seen.place.partition(" ")[0] for seen in self._seen.values()]
        if self._awaited or not places or not all(places) or not _UNHURRIED_PLACES.isdisjoint(places):
            return None
        still = now - max(seen.moved_at for seen in self._seen.values())
        if still < self._stall_seconds:
            return None
        told = "; ".join(f"{name}: {seen.place}" for name, seen in self._seen.items())
        return Suspicion((), f"no replica has moved or computed for {still:.0f} s, though all live ({told})")


def read_lives(folder: Path, replicas: Collection[str]) -> dict[str, Life]:
    """Returns what the processes beside the replicas tell of them; nothing of one that has not told yet.

    Args:
        folder: Where they tell it.
        replicas: The replicas, by name.
    """
    lives = {}
    for name in replicas:
        with suppress(ValueError):
            count, state, cpu_seconds, *waited = _read(folder, name + LIFE_SUFFIX).split()
            lives[name] = Life(int(count), state == "stopped", float(cpu_seconds), sum(map(float, waited)))
    return lives


def _read(folder: Path | None, name: str) -> str:
    """Returns what a file holds; opened each time, because that is when NFS asks its server for what is new."""
    if folder is None:
        return ""
    with suppress(OSError, UnicodeDecodeError):
        return (folder / name).read_text(encoding="utf-8").strip()
    return ""
