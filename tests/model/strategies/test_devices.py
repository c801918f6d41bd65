import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def told() -> Any:
    command = [sys.executable, "-m", "tests.model.two_devices"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("num_devices", ["2", "6"])
def test_devices_that_are_dealt_the_groups_compute_what_one_computes(told: Any, num_devices: str) -> None:
    np.testing.assert_allclose(told["dealt"][num_devices], told["dealt"]["0"], rtol=1e-5, atol=1e-6)


def test_devices_that_share_a_batch_compute_what_as_many_workers_compute(told: Any) -> None:
    np.testing.assert_allclose(told["whole"], np.mean(told["halves"], axis=0), rtol=1e-5, atol=1e-6)


def test_a_process_with_several_devices_counts_once_in_a_sum(told: Any) -> None:
    assert told["sum"] == [1.0, 2.0]
