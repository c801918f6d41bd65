import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.data.arrays import check_arrays
from model.data.dataset import PreparedDataset, write_dataset
from tests.model.replicas import MODEL, Job, make_cluster

pytestmark = pytest.mark.slow

# TensorFlow folds what is smaller than 10 MiB into the graph, as a copy.
COUNT = 3600


@pytest.fixture(scope="module")
def floats(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    generator = np.random.default_rng(0)
    images, labels = generator.random((2 * COUNT, 28, 28), np.float32) * 255, np.arange(2 * COUNT) % 3
    raw: dict[str, Any] = {"x_train": images, "y_train": labels, "x_test": images[:COUNT], "y_test": labels[:COUNT]}
    directory = tmp_path_factory.mktemp("floats") / "data"
    prepared = write_dataset(check_arrays(raw), directory, name="floats", source="test", validation_fraction=1 / 2)
    assert prepared.split("validation").images.nbytes > 10 * 2**20
    return prepared


@pytest.mark.parametrize("sizes", [{}, {"worker": 2}, {"chief": 1, "worker": 1, "ps": 1}])
def test_large_splits_of_float_images_are_trained_validated_and_tested(
    floats: PreparedDataset, tmp_path: Path, sizes: dict[str, int]
) -> None:
    options = (*MODEL, "--global-batch-size=600", "--epochs=1", "--max-shift=0")
    job = Job(floats.directory, tmp_path, options, make_cluster(**sizes) if sizes else None).run()
    evaluation = multiprocessing.get_context("forkserver").Process(target=evaluate, args=(floats.directory, tmp_path))
    evaluation.start()  # in a process of its own: what is tested is that it survives
    evaluation.join()
    assert (job.training["steps"], evaluation.exitcode) == (COUNT // 600, 0)


def evaluate(data_dir: Path, output_dir: Path) -> None:
    from model.evaluate import Evaluator  # noqa: PLC0415 - imports TensorFlow

    job = Job(data_dir, output_dir)
    evaluation = Evaluator(PreparedDataset.open(data_dir)).evaluate(output_dir / "model.keras", job.training)
    assert evaluation["n_examples"] == COUNT
