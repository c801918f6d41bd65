from pathlib import Path

import pytest

from tests.tfjob.local.local_run import LocalRun


@pytest.fixture
def run_local(tmp_path: Path) -> LocalRun:
    return LocalRun(tmp_path / "logs")
