from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.tfjob.scripted_jobs import make_job
from tfjob.spec import TFJobSpec


@pytest.fixture
def make_spec(tmp_path: Path) -> Callable[..., TFJobSpec]:
    return partial(make_job, shared=tmp_path)
