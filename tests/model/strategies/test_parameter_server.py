import json
import re
import subprocess
import sys

import pytest

from model.data.dataset import PreparedDataset
from model.errors import ConfigError
from model.strategies.parameter_server import cut_calls, serve
from model.training.role import Role
from tests.model.replicas import ROOT

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 3), (0, 63), (5, 434)])
@pytest.mark.parametrize("most", [1, 7, 64])
def test_calls_hold_every_step_once_and_in_order(start: int, stop: int, most: int) -> None:
    calls = list(cut_calls(start, stop, most))
    assert [step for call in calls for step in call] == list(range(start, stop))
    assert all(1 <= len(call) <= most for call in calls)


def test_the_fewer_steps_are_left_the_fewer_make_a_call() -> None:
    sizes = [len(call) for call in cut_calls(0, 429, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[:4] == [64, 64, 64, 59]
    assert sizes[-4:] == [1, 1, 1, 1]


def test_a_worker_that_was_given_a_gpu_and_sees_none_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-1")
    role = Role("parameter_server", "worker", 0, num_workers=1, num_ps=1, has_chief=True)
    with pytest.raises(ConfigError, match=r"CUDA_VISIBLE_DEVICES=GPU-1\), and TensorFlow sees none"):
        serve(role, lambda: True)


def test_the_data_are_read_by_the_processor_of_the_worker_that_computes(noise: PreparedDataset) -> None:
    command = [sys.executable, "-m", "tests.model.reading", str(noise.directory)]
    log = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=900).stderr
    places = re.findall(r"\((?:ImmutableConst|GatherV2)\): (\S+)", log)
    assert set(places) == {f"/job:worker/replica:0/task:{index}/device:CPU:0" for index in (0, 1)}


@pytest.mark.parametrize(
    ("what", "told"),
    [
        ("works", {"value": 42, "raised": "", "count": 1}),
        ("is lost", {"value": None, "raised": "UnavailableError", "count": 1}),
        ("answer is lost", {"value": None, "raised": "AbortedError", "count": 1}),
    ],
)
def test_a_call_of_a_lost_worker_ends_the_training_and_is_not_made_twice(what: str, told: dict[str, object]) -> None:
    command = [sys.executable, "-m", "tests.model.calling", what]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=300)
    assert finished.returncode == 0, finished.stderr[-3000:]
    assert json.loads(finished.stdout.splitlines()[-1]) == told
