from collections.abc import Iterator
from pathlib import Path

import pytest

from model.sources import NAMED_DATASETS, find_cache, load_named
from tests.cluster.site import Namespace
from tests.cluster.steps import CACHE, Steps, Storage


@pytest.fixture(scope="session")
def storage(namespace: Namespace) -> Storage:
    """The claim, with MNIST in it: a cluster under test may have no way to the internet."""
    load_named(NAMED_DATASETS["mnist"], find_cache())
    storage = Storage(namespace)
    storage.put(find_cache(), f"{CACHE}/tfjob-speedup")
    return storage


@pytest.fixture
def steps(namespace: Namespace, storage: Storage, tmp_path: Path) -> Iterator[Steps]:
    yield Steps(namespace, tmp_path)
    namespace.kubectl(
        "delete", "pods", "--selector", "test=step", "--field-selector", "metadata.name!=storage", "--wait"
    )
    namespace.kubectl("delete", "tfjobs", "--all")
    namespace.wait_until_gone("tfjobs", "", 60)
