from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from model.data.arrays import check_arrays
from model.data.dataset import PreparedDataset, write_dataset
from model.prepare import prepare
from tests.model.replicas import Job, make_cluster


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # Files of slow tests alone import TensorFlow at their top: to deselect their tests would be too late.
    is_fast_run = "not slow" in config.option.markexpr and collection_path.suffix == ".py"
    return (is_fast_run and "\npytestmark = pytest.mark.slow\n" in collection_path.read_text()) or None


@pytest.fixture(scope="session")
def noise(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    generator = np.random.default_rng(0)
    images, labels = generator.integers(0, 256, (96, 8, 8, 1), np.uint8), np.arange(96) % 3
    raw = {"x_train": images, "y_train": labels, "x_test": images[:12], "y_test": labels[:12]}
    directory = tmp_path_factory.mktemp("noise") / "data"
    return write_dataset(check_arrays(raw), directory, name="noise", source="test", validation_fraction=1 / 3)


@pytest.fixture(scope="session")
def mnist(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return prepare("mnist", tmp_path_factory.mktemp("mnist") / "data", max_train_images=2200)


@pytest.fixture(scope="session")
def singles(mnist: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    jobs = [Job(mnist.directory, tmp_path_factory.mktemp("single"), is_fresh=is_fresh) for is_fresh in (True, False)]
    with ExitStack() as stack:
        replicas = [stack.enter_context(job.start())[0] for job in jobs]
        for replica in replicas:
            assert replica.wait() == 0, replica.log.read_text()
    return jobs


@pytest.fixture(scope="session")
def all_reduces(mnist: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> list[Job]:
    return [
        Job(mnist.directory, tmp_path_factory.mktemp("all-reduce"), cluster=make_cluster(worker=2), is_fresh=own).run()
        for own in (True, False)
    ]


@pytest.fixture(scope="session")
def parameter_server(mnist: PreparedDataset, tmp_path_factory: pytest.TempPathFactory) -> Job:
    cluster = make_cluster(chief=1, worker=2, ps=2)
    return Job(mnist.directory, tmp_path_factory.mktemp("parameter-server"), cluster=cluster, is_fresh=True).run()
