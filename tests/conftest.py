import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

# The image that the tests on a cluster run (`make test-cluster`); without it the conformance tests run here.
pytest_plugins = ["tests.conformance.job_run"]
collect_ignore = [] if "TFJOB_TEST_IMAGE" in os.environ else ["cluster"]
if "TFJOB_TEST_IMAGE" in os.environ:
    pytest_plugins += ["tests.cluster.site"]

# Minutes of load, for `make test-load`.
if "TFJOB_SPEEDUP_TEST_LOAD" not in os.environ:
    collect_ignore += ["load"]

# Tests run beside each other: a quiet machine is not to be had, and none of their figures is one to report.
os.environ["TFJOB_SPEEDUP_ACCEPT_NOISE"] = "1"

# What is to be typed next is told as to who called make, whoever starts the tests.
os.environ["MAKELEVEL"] = "1"

# A property holds or does not; how long an example takes says something about the machine alone. The same tree is
# given the same examples, new ones by `make fuzz`.
settings.register_profile("any machine", deadline=None, derandomize="FUZZ_EXAMPLES" not in os.environ)
settings.load_profile("any machine")

# Files whose tests run one after another in one process: they share trainings, or start runs, which tell of each other.
TOGETHER = {
    # On a cluster these fill the node's two cores, and the small programs of all others run beside them.
    "tests/cluster/test_own_training.py": "trainings on a cluster",
    "tests/cluster/test_steps.py": "trainings on a cluster",
    "tests/model/test_train_runs.py": "trainings",
    "tests/model/test_evaluate.py": "trainings",
    "tests/pipeline/test_whole_run.py": "runs",
    "tests/pipeline/test_whole_run_of_a_program.py": "runs",
    "tests/pipeline/test_full_disk.py": "runs",
    "tests/pipeline/test_secrets.py": "runs",
    "tests/pipeline/test_command.py": "runs",
}
# Files whose tests share nothing that takes long, and take minutes themselves: `make fuzz`, `make test-browser`.
APART = {
    "tests/comparison/page/test_pages_in_a_browser.py",
    "tests/fuzz/test_bad_arrays.py",
    "tests/fuzz/test_bad_bytes.py",
}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keeps a file's tests together, and those of TOGETHER, wherever several processes test side by side."""
    from xdist.scheduler import LoadFileScheduling  # noqa: PLC0415 - where there is no xdist, nothing is scheduled

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            return TOGETHER.get(file, nodeid if file in APART else file)

    assert all((config.rootpath / file).exists() for file in (*TOGETHER, *APART))
    config.option.loadscopereorder = False  # see below
    return Scheduling(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Side by side, what takes long begins first: in the end no process is left alone with it.
    if hasattr(config, "workerinput"):
        items.sort(key=_sort_as_begun)


def _sort_as_begun(item: pytest.Item) -> tuple[bool, bool]:
    return item.nodeid.partition("::")[0] not in TOGETHER, item.get_closest_marker("slow") is None


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "digits.npz"
    images, labels = np.arange(120 * 4, dtype=np.uint16).astype(np.uint8).reshape(120, 2, 2), np.arange(120) % 3
    np.savez(path, x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    return path


@pytest.fixture
def interruptible() -> Iterator[None]:
    # A process that was started in the background ignores Ctrl-C.
    original = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in original.items():
        signal.signal(number, handler)
