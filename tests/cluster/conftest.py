from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.own_run import OwnRun
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
    namespace.wait_until_gone("tfjobs", "", 300)


@pytest.fixture
def own_run(namespace: Namespace, tmp_path: Path) -> Iterator[OwnRun]:
    yield OwnRun(namespace, tmp_path)
    assert [job["metadata"]["name"] for job in namespace.get("tfjobs")["items"]] == []
    namespace.wait_until_gone("pods", "training.kubeflow.org/job-name=trial-1", 300)
