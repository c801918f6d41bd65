import re

import pytest

from comparison.report.recorded import translate_recorded
from comparison.texts import speak
from components.trials.disturbance import describe_attempts, find_disturbance
from tests.tfjob.fake_cluster import FakeClock
from tfjob.backend import JobResult, ReplicaResult
from tfjob.local.machine import Load, wait_until_quiet


def disturb(cpus: list[int]) -> str:
    replica = ReplicaResult("worker-0", "worker", 0, 0, 0, cpus, 1.0, 2.0)
    result = JobResult("mnist", "local", 0.0, 0.0, 0.0, 12.0, False, [], [replica], 0.0, 12.0)
    counted = {"type": "worker", "index": 0, "others_cpu_seconds": 9.0, "steal_seconds": 0.5}
    return find_disturbance({"train_seconds": 10.0, "replicas": [counted]}, result, 1.0)


def wait(load: Load) -> str:
    warned: list[str] = []
    look = type("Look", (), {"__call__": lambda *_, **__: load})()
    wait_until_quiet([*load.busy], 0.0, look=look, clock=FakeClock(), tell=print, warn=warned.append)
    return warned[0]


@pytest.mark.parametrize(
    "warning",
    [
        wait(Load({0: 1.0}, {"chrome": 0.9})),
        wait(Load({0: 1.0, 1: 1.0}, {"chrome": 0.9, "cc1 (gcc)": 0.5})),
        *describe_attempts([{"reason": disturb([0]), "train_seconds": 9.0}], disturb([0, 1])),
        *describe_attempts([], disturb([])),
    ],
)
def test_what_the_launcher_records_of_a_busy_machine_is_translated_with_all_its_figures(warning: str) -> None:
    assert translate_recorded(warning) == warning
    with speak("zh"):
        told = translate_recorded(warning)
    left = re.findall(r"[A-Za-z]{3,}", told)
    assert {*left} <= {"CPU", "chrome", "gcc", "worker"}
    assert sorted(re.findall(r"\d+", told)) == sorted(re.findall(r"\d+", warning))


def test_a_warning_of_somebody_else_is_left_as_it_is() -> None:
    with speak("zh"):
        assert translate_recorded("the disk is full: 3 % left") == "the disk is full: 3 % left"
