"""What a replica's GPU is, and what it did while the training's own clock ran, as NVIDIA's management library tells it.

It is asked once a second by a thread of its own, which makes the GPU do nothing.
"""

import contextlib
import statistics
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from os import environ
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from model.training.disturbance import Span

LOOK_SECONDS = 1.0
_DEVICE = Path("/dev/nvidiactl")
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NONE = "-1"
# Why a GPU runs slower than it could, beside that it has nothing to do. Source: NVML's nvmlClocksEventReasons.
THROTTLE_REASONS = {
    0x4: "power cap",
    0x8: "hardware slowdown",
    0x20: "temperature (software)",
    0x40: "temperature (hardware)",
    0x80: "power brake",
}


class Reading(NamedTuple):
    """What a GPU does at a moment; None is what it does not tell.

    Args:
        memory_bytes: Memory in use, by whomever.
        utilisation: Percent of the last moments in which something ran on it.
        clock_mhz: Clock of its multiprocessors.
        watts: Power.
        throttled: Bits of the reasons for which it is slowed down.
        others: Other processes that compute on it.
    """

    memory_bytes: int | None
    utilisation: float | None
    clock_mhz: float | None
    watts: float | None
    throttled: int
    others: int | None


class Gpu(Protocol):
    """A GPU that can be asked."""

    def describe(self) -> dict[str, Any]:
        """Returns `name`, `uuid`, `driver` and `memory_total_bytes`."""

    def read(self) -> Reading:
        """Returns what it does now."""


class NvidiaGpu:
    """A GPU as nvidia-ml-py tells of it.

    Args:
        library: The module `pynvml`, initialised.
        handle: What it knows the GPU by.
    """

    def __init__(self, library: Any, handle: Any) -> None:
        self._library, self._handle = library, handle

    def describe(self) -> dict[str, Any]:
        """Returns `name`, `uuid`, `driver` and `memory_total_bytes`, each None where it is not told."""
        library, handle = self._library, self._handle
        return {
            "name": self._ask(library.nvmlDeviceGetName, handle),
            "uuid": self._ask(library.nvmlDeviceGetUUID, handle),
            "driver": self._ask(library.nvmlSystemGetDriverVersion),
            "memory_total_bytes": getattr(self._ask(library.nvmlDeviceGetMemoryInfo, handle), "total", None),
        }

    def read(self) -> Reading:
        """Returns what it does now."""
        library, handle = self._library, self._handle
        processes = self._ask(library.nvmlDeviceGetComputeRunningProcesses, handle)
        milliwatts = self._ask(library.nvmlDeviceGetPowerUsage, handle)
        return Reading(
            memory_bytes=getattr(self._ask(library.nvmlDeviceGetMemoryInfo, handle), "used", None),
            utilisation=getattr(self._ask(library.nvmlDeviceGetUtilizationRates, handle), "gpu", None),
            clock_mhz=self._ask(library.nvmlDeviceGetClockInfo, handle, library.NVML_CLOCK_SM),
            watts=None if milliwatts is None else milliwatts / 1000,
            throttled=self._ask(library.nvmlDeviceGetCurrentClocksThrottleReasons, handle) or 0,
            # This process is among them, by a number that a container does not know.
            others=None if processes is None else max(0, len(processes) - 1),
        )

    def _ask(self, function: Any, *arguments: Any) -> Any:
        try:
            answer = function(*arguments)
        except self._library.NVMLError:  # this card, driver or container does not tell
            return None
        return answer.decode() if isinstance(answer, bytes) else answer


def find_gpu(environment: Mapping[str, str] = environ, library: Any = None, device: Path = _DEVICE) -> NvidiaGpu | None:
    """Returns the GPU that this process computes on, its first; None where it has none, or nobody can be asked.

    Args:
        environment: This process's.
        library: The module `pynvml`, imported where it is not given.
        device: What the driver makes; without it nobody need be asked.
    """
    visible = environment.get(_VISIBLE, "0").partition(",")[0].strip()
    if visible in ("", _NONE) or not device.exists():
        return None
    nvml = library or _import_library()
    try:
        nvml.nvmlInit()
        by_number = visible.isdecimal()
        find = nvml.nvmlDeviceGetHandleByIndex if by_number else nvml.nvmlDeviceGetHandleByUUID
        return NvidiaGpu(nvml, find(int(visible) if by_number else visible))
    except nvml.NVMLError:  # no driver
        return None


def _import_library() -> Any:
    import pynvml  # noqa: PLC0415 - which few processes need

    return pynvml


class GpuWatch:
    """Follows a GPU while the training's clock runs.

    Args:
        gpu: The GPU; None follows nothing.
        interval: Seconds between two looks.
    """

    def __init__(self, gpu: Gpu | None, interval: float = LOOK_SECONDS) -> None:
        self._gpu, self._interval = gpu, interval
        self._looks: list[tuple[float, Reading]] = []  # each with its Unix time

    @contextlib.contextmanager
    def measure(self) -> Iterator[None]:
        """Follows it in the context."""
        if self._gpu is None:
            yield
            return
        gpu, is_over = self._gpu, threading.Event()

        def follow() -> None:
            self._looks.append((time.time(), gpu.read()))
            while not is_over.wait(self._interval):
                self._looks.append((time.time(), gpu.read()))

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()

    def to_json(self, spans: Sequence[Span] | None = None) -> dict[str, Any] | None:
        """Returns the record's `gpu`, as docs/schemas.md defines it; None where there is nothing to tell.

        Args:
            spans: When the training's clock ran, where more than that was followed.
        """
        chosen = [own for when, own in self._looks if spans is None or any(s.began <= when <= s.ended for s in spans)]
        if self._gpu is None or not chosen:
            return None
        columns = {name: [v for v in values if v is not None] for name, values in _columns(chosen).items()}
        throttled = {bit for reading in chosen for bit in THROTTLE_REASONS if reading.throttled & bit}
        return {
            **self._gpu.describe(),
            "memory_used_bytes": max(columns["memory_bytes"], default=None),
            "utilisation_percent": _mean(columns["utilisation"]),
            "clock_mhz": _mean(columns["clock_mhz"]),
            "watts": _mean(columns["watts"]),
            "throttled": [reason for bit, reason in THROTTLE_REASONS.items() if bit in throttled],
            "throttled_share": statistics.fmean(bool(own.throttled & sum(THROTTLE_REASONS)) for own in chosen),
            "other_processes": max(columns["others"], default=None),
        }


def _columns(readings: list[Reading]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(Reading._fields, zip(*readings, strict=True), strict=True))


def _mean(values: list[float]) -> float | None:
    return statistics.fmean(values) if values else None
