from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from examples.table_with_embeddings import write_ratings
from examples.text_classifier import write_texts
from model.data.dataset import PreparedDataset
from model.evaluate import Evaluator
from model.prepare import prepare
from tests.model.replicas import Job, make_cluster

pytestmark = pytest.mark.slow

GROUPS = ("--same-batch-norm", "--batch-norm-group-size=32", "--global-batch-size=64")
TEXTS = ("--model=examples.text_classifier:build", *GROUPS, "--epochs=3")
BUILD_RATINGS = ("--model=examples.table_with_embeddings:build", "--learning-rate=0.05", "--weight-decay=0")
RATINGS = (*BUILD_RATINGS, *GROUPS, "--epochs=6")
EXAMPLES: dict[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "texts.npz": (write_texts, TEXTS),
    "ratings.npz": (write_ratings, RATINGS),
    "ratings": (write_ratings, RATINGS),
}


def run(folder: Path, name: str, **cluster: int) -> tuple[PreparedDataset, Job]:
    write, settings = EXAMPLES[name]
    folder.mkdir(exist_ok=True)
    write(folder / name, num_train=2_000, num_test=500)
    prepared = prepare(str(folder / name), folder / "prepared")
    job = Job(prepared.directory, folder / "out", settings, make_cluster(**cluster) if cluster else None)
    return prepared, job.run()


@pytest.fixture(scope="module")
def train_alone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[PreparedDataset, Job]]:
    return cache(lambda name: run(tmp_path_factory.mktemp("alone"), name))


def test_a_text_classifier_learns_and_is_judged_by_its_accuracy(
    train_alone: Callable[[str], tuple[PreparedDataset, Job]],
) -> None:
    prepared, job = train_alone("texts.npz")
    assert job.losses == sorted(job.losses, reverse=True)
    assert job.training["metric_name"] == "accuracy"
    assert job.training["loss_name"] == "sparse_categorical_crossentropy"
    assert job.training["example_shape"] == [40]
    evaluation = Evaluator(prepared).evaluate(job.output_dir / "model.keras", job.training)
    assert evaluation["n_correct"] / evaluation["n_examples"] == evaluation["metric"]["value"] > 0.8
    assert "misclassified" not in evaluation
    assert "note: max_shift has no effect, as the data are no images" in (job.output_dir / "worker-0.log").read_text()


@pytest.mark.parametrize("name", ["ratings.npz", "ratings"])
def test_a_table_of_several_inputs_learns_numbers_and_is_judged_by_its_error(
    train_alone: Callable[[str], tuple[PreparedDataset, Job]], name: str
) -> None:
    prepared, job = train_alone(name)
    training = job.training
    assert (training["loss_name"], training["metric_name"]) == ("mean_squared_error", "root_mean_squared_error")
    assert training["metric_higher_is_better"] is False
    assert training["target_accuracy"] is None
    assert all("validation_accuracy" not in point for point in training["curve"])
    errors = [point["validation_metric"] for point in training["curve"]]
    assert errors[-1] < 0.5 * errors[0]
    evaluation = Evaluator(prepared).evaluate(job.output_dir / "model.keras", training)
    metric = evaluation["metric"]
    assert (metric["name"], metric["num_examples"]) == ("root_mean_squared_error", None)
    assert metric["value"] == pytest.approx(errors[-1], rel=0.3)
    assert not {"n_correct", "n_examples", "confusion_matrix", "wrong_images", "misclassified"} & evaluation.keys()


@pytest.mark.parametrize("name", ["texts.npz", "ratings.npz"])
def test_two_workers_end_with_the_bits_of_one(
    train_alone: Callable[[str], tuple[PreparedDataset, Job]], tmp_path: Path, name: str
) -> None:
    _, one = train_alone(name)
    _, two = run(tmp_path, name, worker=2)
    assert two.training["dataset_sha256"] == one.training["dataset_sha256"]
    assert two.training["weights_sha256"] == one.training["weights_sha256"]
    for key in ("train_loss", "validation_metric"):
        curves = [[point[key] for point in job.training["curve"]] for job in (one, two)]
        assert curves[0] == pytest.approx(curves[1], rel=1e-4)


@pytest.mark.parametrize("name", ["texts.npz", "ratings.npz"])
def test_workers_with_a_parameter_server_learn_it_too(tmp_path: Path, name: str) -> None:
    _, job = run(tmp_path, name, chief=1, worker=2, ps=2)
    assert job.losses[-1] < 0.9 * job.losses[0]
    assert {record["weights_sha256"] for record in job.training["replicas"] if record["type"] == "chief"} == {
        job.training["weights_sha256"]
    }
