"""The NVIDIA GPUs of a machine, and which of them a replica sees."""

import itertools
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from os import environ
from pathlib import Path

from tfjob.errors import SpecError
from tfjob.local.machine.cpus import ROOT

# By it CUDA chooses the GPUs that a program sees; a number that is none hides all.
VISIBLE_VARIABLE = "CUDA_VISIBLE_DEVICES"
# By it a replica of this project is told that GPUs are shared.
SHARED_VARIABLE = "TFJOB_SPEEDUP_SHARED_GPUS"
_NONE = "-1"
_UUID = re.compile(r"GPU-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MINOR = re.compile(r"Device Minor:\s*(\d+)")
_ANSWER_SECONDS = 20.0


def ask_driver() -> str:
    """Returns what the driver's program lists; nothing where there is none, or no answer."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ""
    try:
        asked = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=_ANSWER_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return asked.stdout


def list_gpus(
    root: Path = ROOT, environment: Mapping[str, str] = environ, ask: Callable[[], str] = ask_driver
) -> list[str]:
    """Returns the GPUs that this process may use, each by what CUDA knows it by.

    Args:
        root: The machine's root folder.
        environment: This process's, which may see only some of the machine's GPUs.
        ask: What the driver's program says, where the kernel tells nothing.
    """
    told = [file.read_text() for file in sorted(root.glob("proc/driver/nvidia/gpus/*/information"))]
    # A container may be shown all of its machine's GPUs and given some; none has a device before its first use.
    told = [text for text in told if _has_device(text, root)] or told
    gpus = [found[0] for found in _UUID.finditer("\n".join(told))]
    if not gpus or len(gpus) < len(told):
        gpus = [found[0] for found in _UUID.finditer(ask())]
    if VISIBLE_VARIABLE not in environment:
        return gpus
    visible = [entry.strip() for entry in environment[VISIBLE_VARIABLE].split(",")]
    return [entry for entry in visible if entry and entry != _NONE] if gpus else []


def _has_device(told: str, root: Path) -> bool:
    minor = _MINOR.search(told)
    return minor is not None and (root / f"dev/nvidia{minor[1]}").exists()


def assign_gpus(
    asked: Mapping[str, int], available: Sequence[str], *, may_share: bool = False
) -> dict[str, tuple[str, ...]]:
    """Returns the GPUs of each replica, of which no two share one where they need not.

    Args:
        asked: How many each replica asks for.
        available: The GPUs that there are.
        may_share: Whether replicas take turns on them where there are fewer than asked for; no replica gets one twice.

    Raises:
        SpecError: There are not as many.
    """
    total = sum(asked.values())
    needed = max(asked.values(), default=0) if may_share else total
    if needed > len(available):
        num_asking = sum(count > 0 for count in asked.values())
        replicas = "1 replica asks" if num_asking == 1 else f"{num_asking} replicas ask"
        fewer = (
            "lower gpus_per_replica (in a manifest, its limit) or the number of replicas, let them share (share_gpus)"
        )
        remedy = (
            f"{fewer}, or run on a larger cluster"
            if available
            else "leave gpus_per_replica out, or run where there are some"
        )
        raise SpecError(
            f"{replicas} for {total} GPU{'' if total == 1 else 's'}, and this machine has {len(available) or 'none'}: "
            f"{remedy}"
        )
    rest = itertools.cycle(available)
    return {replica: tuple(next(rest) for _ in range(count)) for replica, count in asked.items()}


def visible_gpus(gpus: Sequence[str], *, is_shared: bool = False) -> dict[str, str]:
    """Returns the environment in which a program sees these GPUs and no other.

    Args:
        gpus: The program's.
        is_shared: Whether replicas of the job share one, which their collectives must know.
    """
    return {VISIBLE_VARIABLE: ",".join(gpus) or _NONE, **({SHARED_VARIABLE: "1"} if is_shared else {})}


def are_shared(gpus: Mapping[str, Sequence[str]]) -> bool:
    """Returns whether a GPU is that of more than one replica."""
    given = [gpu for own in gpus.values() for gpu in own]
    return len(set(given)) < len(given)


def find_gpus(
    asked: Mapping[str, int],
    find: Callable[[], Sequence[str]] = list_gpus,
    *,
    may_share: bool = False,
    may_lack: bool = False,
) -> dict[str, tuple[str, ...]]:
    """Returns the GPUs of this machine that each replica gets, without a look at the machine where none is asked for.

    Args:
        asked: How many each replica asks for.
        find: Lists the GPUs that there are.
        may_share: See `assign_gpus`.
        may_lack: Whether all do without where the machine has none at all.

    Raises:
        SpecError: There are not as many.
    """
    available = find() if any(asked.values()) else []
    if may_lack and not available:
        asked = dict.fromkeys(asked, 0)
    return assign_gpus(asked, available, may_share=may_share)
