from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.site import Namespace
from tests.cluster.steps import Steps, Storage, make_storage


@pytest.fixture(scope="session")
def storage(namespace: Namespace) -> Storage:
    return make_storage(namespace)


@pytest.fixture
def steps(namespace: Namespace, storage: Storage, tmp_path: Path) -> Iterator[Steps]:
    yield Steps(namespace, tmp_path)
    namespace.kubectl(
        "delete", "pods", "--selector", "test=step", "--field-selector", "metadata.name!=storage", "--wait"
    )
    namespace.kubectl("delete", "tfjobs", "--all")
    namespace.wait_until_gone("tfjobs", "", 60)
