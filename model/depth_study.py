"""Why residual: the same training of residual and plain networks of two depths, and their gradients at the start.

It is no study of time: the networks are trained side by side, each on one thread.
"""

import argparse
import json
import math
import os
import string
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from model.data import PARTS, PreparedDataset, pick_stratified
from model.errors import ConfigError, TrainingDiverged, tell
from model.files import SCHEMA_VERSION, write_json
from model.host import describe_host, describe_versions
from model.streams import replace_unencodable
from model.training import Clock, Task, TrainingConfig, parse_tf_config

if TYPE_CHECKING:
    from model.strategies import FlatModel

RESIDUAL = "resnet"
FAMILIES = (RESIDUAL, "plain")
# One step's loss is noisy: the final one is the mean over this share of the steps.
FINAL_SHARE = 0.1
MAX_PROCESSES = 2  # each holds a TensorFlow of its own


@dataclass(frozen=True)
class StudyConfig:
    """The settings of a study.

    The loss is the plain cross-entropy of images that are not shifted: what is looked at is how well each network can
    be optimised, so nothing keeps the loss away from 0 but the network and a small weight decay.

    Attributes:
        depths: Weighted layers, of a registered depth each.
        width: Channels of the networks' first stage.
        stem_stride: Step of their first convolution in pixels.
        num_train_images: Training images to take, of each class its share; all where there are fewer.
        num_validation_images: Likewise of the validation split. The test split is not touched.
        epochs: Passes over these training images.
        global_batch_size: Images in a step, and in the batch that the gradients are measured on.
        learning_rate: Highest learning rate.
        weight_decay: L2 penalty on kernels while training; the measured losses and gradients are without it.
        seed: Seed of the initial weights, of the choice of images and of their order.
    """

    depths: tuple[int, ...] = (20, 56)
    width: int = 8
    stem_stride: int = 2
    num_train_images: int = 10_000
    num_validation_images: int = 5_000
    epochs: int = 3
    global_batch_size: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 1e-4
    seed: int = 0

    @property
    def models(self) -> list[str]:
        """The networks' names, for each depth the residual one and the plain one."""
        return [f"{family}{depth}" for depth in self.depths for family in FAMILIES]

    def training(self, model: str, *, has_batch_norm: bool = True) -> TrainingConfig:
        """Returns the settings of a network's training, which differ in nothing but the network."""
        arguments = {"width": self.width, "stem_stride": self.stem_stride, "has_batch_norm": has_batch_norm}
        return TrainingConfig(
            model=model,
            model_arguments=json.dumps(arguments),
            epochs=self.epochs,
            global_batch_size=self.global_batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            label_smoothing=0.0,
            max_shift=0,
            target_accuracy=0.0,
            seed=self.seed,
        )


DEFAULT = StudyConfig()


def main(
    arguments: Sequence[str] | None = None,
    default: StudyConfig = DEFAULT,
    *,
    prog: str = "python -m model.depth_study",
) -> int:
    """Runs the study and returns the exit code: 0, or 2 where a setting or the data cannot be.

    Args:
        arguments: The command line.
        default: The settings, of which the command line may replace some.
        prog: How the program was called.
    """
    replace_unencodable()
    options = build_parser(prog, default).parse_args(arguments)
    config = replace(default, depths=tuple(options.depths), epochs=options.epochs, seed=options.seed)
    try:
        study = measure_study(options.data_dir, config)
    except ValueError as error:
        return tell(error)
    write_study(study, options.output_file)
    print(f"studied in {study['total_seconds']:.0f} s: {options.output_file}")
    return 0


def build_parser(prog: str, default: StudyConfig = DEFAULT) -> argparse.ArgumentParser:
    """Returns the program's command line."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    required: dict[str, Any] = {"type": Path, "required": True, "default": argparse.SUPPRESS}
    add("--data-dir", help="the prepared data set", **required)
    add("--output-file", help="the JSON file to write", **required)
    add("--depths", type=int, nargs="+", default=[*default.depths], help="weighted layers")
    add("--epochs", type=int, default=default.epochs, help="passes over the training images")
    add("--seed", type=int, default=default.seed, help="seed of initial weights, choice of images and their order")
    return parser


def measure_study(data_dir: Path, config: StudyConfig) -> dict[str, Any]:
    """Returns the study, as docs/schemas.md defines it.

    The networks share the processes of a small pool; a network's figures do not depend on which one it met.

    Args:
        data_dir: The prepared data set.
        config: The study's settings.

    Raises:
        ValueError: A setting cannot be, or the data are no prepared data set or too few.
        RuntimeError: A process of the study was killed.
    """
    began = time.monotonic()
    dataset = PreparedDataset.open(data_dir)
    for model in config.models:
        config.training(model)  # refuses what cannot be trained before any network is
    check_data(dataset, config)
    num_processes = min(MAX_PROCESSES, len(config.models), describe_host()["cores"])
    deepest_first = sorted(config.models, key=lambda model: -_read_depth(model))
    with tempfile.TemporaryDirectory() as folder:
        subset = take_subset(dataset, Path(folder), config)
        with ProcessPoolExecutor(num_processes, get_context("spawn"), _use_one_thread) as pool:
            print(f"training {', '.join(deepest_first)}, {num_processes} at a time …", flush=True)
            try:
                study = partial(study_network, config=config, dataset=subset)
                measured = dict(zip(deepest_first, pool.map(study, deepest_first), strict=True))
            except BrokenProcessPool as error:
                raise RuntimeError("A process of the study ended before its time: out of memory?") from error
        counts = {split: subset.split(split).count for split in ("train", "validation")}
    return {
        "schema_version": SCHEMA_VERSION,
        "dataset": dataset.name,
        "dataset_sha256": dataset.sha256,
        "num_classes": dataset.num_labels,
        "settings": {
            **asdict(config),
            "depths": [*config.depths],
            "num_train_images": counts["train"],
            "num_validation_images": counts["validation"],
        },
        "networks": [measured[model] for model in config.models],
        "num_processes": num_processes,
        "total_seconds": time.monotonic() - began,
        "versions": describe_versions(),
        "host": describe_host(),
    }


def check_data(dataset: PreparedDataset, config: StudyConfig = DEFAULT) -> None:
    """Makes sure that the study's networks can be trained on a data set.

    Raises:
        ConfigError: They cannot.
    """
    if not (dataset.is_images and dataset.label_kind == "classes"):
        raise ConfigError(
            "The study trains networks that tell images apart. Received: data that are no images of classes. Leave "
            "study_depth out."
        )
    count = min(config.num_train_images, dataset.split("train").count)
    if config.global_batch_size > count:
        raise ConfigError(
            f"The study needs at least {config.global_batch_size} training images, its batch. Received: {count}. Leave "
            "study_depth out."
        )


def write_study(study: dict[str, Any], path: Path) -> None:
    """Writes the study as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, study)


def take_subset(dataset: PreparedDataset, directory: Path, config: StudyConfig) -> PreparedDataset:
    """Returns some of the training and validation images, written to `directory`; there is no test split in it.

    Raises:
        ValueError: A number of images is below 1.
    """
    sizes = {"train": config.num_train_images, "validation": config.num_validation_images}
    splits: dict[str, Any] = {}
    for split, size in sizes.items():
        if size < 1:
            raise ValueError(f"num_{split}_images must be at least 1. Received: {size}.")
        whole, entry = dataset.split(split), dataset.manifest["splits"][split]
        indices = pick_stratified(whole.labels, size, config.seed)
        splits[split] = {**entry, "count": len(indices)}
        for part, array in zip(PARTS, (whole.images, whole.labels), strict=True):
            array[indices].tofile(directory / entry[part]["file"])
            splits[split][part] = {**entry[part], "shape": [len(indices), *array.shape[1:]]}
    return PreparedDataset(directory, {**dataset.manifest, "splits": splits})


def study_network(model: str, config: StudyConfig, dataset: PreparedDataset) -> dict[str, Any]:
    """Returns one network's gradients at initialisation, with and without BatchNorm, and its training.

    Args:
        model: A registered name.
        config: The study's settings.
        dataset: What `take_subset` returned.
    """
    from model.strategies import build_flat  # noqa: PLC0415 - imports TensorFlow

    bare = Task(config.training(model, has_batch_norm=False), dataset)
    bare_gradients = measure_gradients(build_flat(bare), bare)
    task = Task(config.training(model), dataset)
    flat = build_flat(task)
    gradients = measure_gradients(flat, task)
    return {
        "model": model,
        "has_shortcuts": model.startswith(RESIDUAL),
        "depth": _read_depth(model),
        "num_parameters": flat.num_parameters,
        **train_network(flat, task),
        "initial": [{"has_batch_norm": True, **gradients}, {"has_batch_norm": False, **bare_gradients}],
    }


def measure_gradients(flat: "FlatModel", task: Task) -> dict[str, Any]:
    """Returns the loss and the L2 norm of its gradient by each kernel of the main path, on the training's first batch.

    The two 1×1 projections of a residual network are left out: so both families list the same layers, in the order
    that the images pass them. A figure that is not finite is None.
    """
    from model.strategies import make_group_function, split_contribution  # noqa: PLC0415

    train, indices = task.dataset.split("train"), task.plan.take(0).indices
    contribute = make_group_function(flat, replace(task.config, weight_decay=0.0), task.objective)
    values = (flat.initial_weights(), flat.initial_statistics())
    contribution = contribute(*values, train.images[indices], train.labels[indices], 0)
    gradient, _, loss = split_contribution(contribution, flat.num_parameters)
    norms = {
        path.removesuffix("_conv/kernel"): _keep_finite(norm)
        for path, norm in measure_norms(flat, gradient.numpy()).items()
        if path.endswith("_conv/kernel") and "_shortcut_" not in path
    }
    return {"loss": _keep_finite(float(loss)), "gradient_norms": norms}


def measure_norms(flat: "FlatModel", gradient: Any) -> dict[str, float]:
    """Returns the L2 norm of each parameter's part of a gradient of shape [P], by the parameter's path."""
    variables = flat.model.trainable_variables
    ends = np.cumsum([math.prod(variable.shape) for variable in variables])
    parts = np.split(gradient.astype(np.float64), ends[:-1])
    return {variable.path: float(np.linalg.norm(part)) for variable, part in zip(variables, parts, strict=True)}


def train_network(flat: "FlatModel", task: Task) -> dict[str, Any]:
    """Returns the loss of each step of a training and what the network gets right afterwards.

    A training whose loss is no longer finite ends there; the accuracy is that of the last weights all the same.
    """
    from model.strategies import SynchronousTrainer, reduce_nothing  # noqa: PLC0415

    trainer = SynchronousTrainer(task, flat, parse_tf_config(None), reduce_nothing)
    losses: list[float] = []
    diverged_at_step = None
    clock = Clock()
    with clock.measure("compile_seconds"):
        trainer.compile()
        trainer.warm_up()
    with clock.measure("train_seconds"):
        try:
            trainer.train(0, task.total_steps, lambda timing: losses.extend(timing.losses))
        except TrainingDiverged:
            diverged_at_step = len(losses)
    num_final = math.ceil(FINAL_SHARE * task.total_steps)
    final_train_loss = None if diverged_at_step is not None else math.fsum(losses[-num_final:]) / num_final
    outcome = f"diverged at step {diverged_at_step}" if final_train_loss is None else f"loss {final_train_loss:.3f}"
    print(f"{task.config.model}: {outcome} after {clock.seconds['train_seconds']:.0f} s of training", flush=True)
    return {
        "train_losses": losses,
        "final_train_loss": final_train_loss,
        "num_final_steps": num_final,
        "diverged_at_step": diverged_at_step,
        "validation_n_correct": int(trainer.sum_scores()),
        "validation_n_examples": task.dataset.split("validation").count,
        **clock.seconds,
    }


def _use_one_thread() -> None:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    import tensorflow as tf  # noqa: PLC0415

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.experimental.enable_op_determinism()


def _read_depth(model: str) -> int:
    return int(model.lstrip(string.ascii_letters))


def _keep_finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


if __name__ == "__main__":
    sys.exit(main())
