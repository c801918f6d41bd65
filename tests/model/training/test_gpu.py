import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model.training.disturbance import Span
from model.training.gpu import GpuWatch, NvidiaGpu, Reading, find_gpu


class NVMLError(Exception):
    pass


class Library:
    """NVIDIA's library as far as it is asked, of one card."""

    NVMLError = NVMLError
    NVML_CLOCK_SM = 1

    def __init__(self, *, silent: tuple[str, ...] = (), has_driver: bool = True) -> None:
        self.silent, self.has_driver, self.found_by = silent, has_driver, ""

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlDeviceGetName": b"NVIDIA H200",
            "nvmlDeviceGetUUID": "GPU-1",
            "nvmlSystemGetDriverVersion": "580.1",
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(total=150, used=30),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=80),
            "nvmlDeviceGetClockInfo": 1980,
            "nvmlDeviceGetPowerUsage": 250_500,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x4 | 0x40 | 0x1,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=1), SimpleNamespace(pid=2)],
        }

        def answer(*arguments: Any) -> Any:
            if name in self.silent:
                raise NVMLError(name)
            return answers[name]

        return answer

    def nvmlInit(self) -> None:  # noqa: N802 - as the library names it
        if not self.has_driver:
            raise NVMLError("Driver Not Loaded")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> str:  # noqa: N802 - as the library names it
        self.found_by = f"index {index}"
        return "handle"

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:  # noqa: N802 - as the library names it
        self.found_by = uuid
        return "handle"


@pytest.mark.parametrize(
    ("environment", "found_by"),
    [
        ({}, "index 0"),
        ({"CUDA_VISIBLE_DEVICES": "3"}, "index 3"),
        ({"CUDA_VISIBLE_DEVICES": "GPU-7, GPU-8"}, "GPU-7"),
    ],
)
def test_the_gpu_is_the_first_that_the_process_sees(environment: dict[str, str], found_by: str, tmp_path: Path) -> None:
    library = Library()
    assert find_gpu(environment, library, tmp_path) is not None
    assert library.found_by == found_by


@pytest.mark.parametrize("visible", ["-1", ""])
def test_who_sees_none_has_none(visible: str, tmp_path: Path) -> None:
    assert find_gpu({"CUDA_VISIBLE_DEVICES": visible}, Library(), tmp_path) is None


def test_without_a_driver_there_is_none(tmp_path: Path) -> None:
    assert find_gpu({}, Library(has_driver=False), tmp_path) is None
    assert find_gpu({}, Library(), tmp_path / "nvidiactl") is None


def test_what_the_card_is_and_did_is_told_with_its_units() -> None:
    watch = GpuWatch(NvidiaGpu(Library(), "handle"), interval=0.001)
    with watch.measure():
        pass
    assert watch.to_json() == {
        "name": "NVIDIA H200",
        "uuid": "GPU-1",
        "driver": "580.1",
        "memory_total_bytes": 150,
        "memory_used_bytes": 30,
        "utilisation_percent": 80.0,
        "clock_mhz": 1980.0,
        "watts": 250.5,
        "throttled": ["power cap", "temperature (hardware)"],
        "throttled_share": 1.0,
        "other_processes": 1,
    }


def test_what_a_card_does_not_tell_is_null_and_stops_nothing() -> None:
    silent = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetComputeRunningProcesses")
    watch = GpuWatch(NvidiaGpu(Library(silent=silent), "handle"))
    with watch.measure():
        pass
    told = watch.to_json()
    assert told is not None
    assert [told[name] for name in ("watts", "utilisation_percent", "other_processes")] == [None, None, None]
    assert told["clock_mhz"] == 1980.0


class Card:
    def __init__(self, *readings: Reading) -> None:
        self.readings = [*readings]

    def describe(self) -> dict[str, Any]:
        return {"name": "card"}

    def read(self) -> Reading:
        return self.readings.pop(0)


def test_of_several_stretches_the_most_memory_and_the_mean_of_the_rest_count() -> None:
    card = Card(Reading(10, 20.0, 1000.0, None, 0, 0), Reading(30, 40.0, 2000.0, None, 0x8, 1))
    watch = GpuWatch(card, interval=3600)
    for _ in range(2):
        with watch.measure():
            pass
    told = watch.to_json()
    assert told is not None
    assert (told["memory_used_bytes"], told["utilisation_percent"], told["clock_mhz"]) == (30, 30.0, 1500.0)
    assert (told["throttled"], told["throttled_share"], told["other_processes"]) == (["hardware slowdown"], 0.5, 1)


def test_who_only_serves_tells_of_its_gpu_while_the_chief_trained() -> None:
    card = Card(Reading(10, 20.0, 1000.0, None, 0, 0), Reading(30, 40.0, 2000.0, None, 0x8, 1))
    watch, moments = GpuWatch(card, interval=3600), [time.time()]
    for _ in range(2):
        with watch.measure():
            pass
        moments.append(time.time())
    told = watch.to_json([Span(moments[1], moments[2])])
    assert told is not None
    assert (told["memory_used_bytes"], told["throttled_share"]) == (30, 1.0)
    assert watch.to_json([]) is None


def test_without_a_gpu_nothing_is_followed() -> None:
    watch = GpuWatch(None)
    with watch.measure():
        pass
    assert watch.to_json() is None
