"""The settings of one training: their one home, with defaults, checks and what follows from them."""

import argparse
import dataclasses
import json
import math
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from model.errors import ConfigError
from model.networks import check_model_arguments, check_model_name
from model.objectives import LOSSES, check_loss_name
from model.training.role import STRATEGIES, Role, Strategy

Precision = Literal["float32", "bfloat16", "float16"]


def _setting(default: Any, description: str) -> Any:
    return field(default=default, metadata={"help": description})


@dataclass(frozen=True)
class TrainingConfig:
    """The settings that, with the data, decide a training's outcome; the same on every replica.

    Raises:
        ConfigError: A value is out of its range, or the workers do not divide the batch.
    """

    strategy: Strategy = _setting("single", "how the training is distributed: single, all_reduce or parameter_server")
    num_workers: int = _setting(1, "replicas that compute gradients")
    num_ps: int = _setting(0, "replicas that hold the weights; parameter_server only")
    model: str = _setting("resnet8", "a registered model, or the import path of a builder: my_package.my_module:build")
    model_arguments: str = _setting("{}", "further arguments of the model's builder as JSON, e.g. '{\"width\": 32}'")
    epochs: int = _setting(2, "passes over the training split")
    global_batch_size: int = _setting(128, "images in a step, over all workers")
    same_batch_norm: bool = _setting(
        False, "BatchNorm normalises over the same groups of images in every configuration, not over a worker's share"
    )
    batch_norm_group_size: int = _setting(
        0, "images of such a group, with same_batch_norm; 0: a worker's whole share of the batch"
    )
    learning_rate: float = _setting(0.2, "highest learning rate, for the global batch size")
    momentum: float = _setting(0.9, "Nesterov momentum")
    weight_decay: float = _setting(5e-4, "L2 penalty on kernels")
    loss: str = _setting("", f"what is made small, chosen from the labels when left out: {', '.join(LOSSES)}")
    label_smoothing: float = _setting(0.1, "probability mass spread over all classes; of class numbers alone")
    warmup_fraction: float = _setting(0.15, "share of the steps in which the learning rate rises")
    max_shift: int = _setting(2, "largest random shift of a training image in pixels; of no effect on other data")
    target_accuracy: float = _setting(0.98, "validation accuracy whose time is recorded; 0: none")
    checkpoint_steps: int = _setting(0, "steps between checkpoints beside the one at each epoch's end; 0: none")
    precision: Precision = _setting(
        "float32", "what layers compute in: float32, bfloat16 or float16; weights stay float32"
    )
    deterministic: bool | None = _setting(
        None, "the same weights for the same seed, to the bit, by slower operations on GPUs; by default on CPUs alone"
    )
    jit_compile: bool | None = _setting(None, "compile the gradient computation with XLA; by default on GPUs alone")
    steps_per_call: int = _setting(
        0, "steps made in one call; 0: one on CPUs, on GPUs as many as take a quarter of a second"
    )
    scaling: str = _setting("strong", "strong: one global batch for all; weak: one batch size a worker")
    seed: int = _setting(0, "seed of initial weights, data order and shifts")

    def __post_init__(self) -> None:
        _expect(self.strategy in STRATEGIES, "strategy", f"one of {', '.join(STRATEGIES)}", self.strategy)
        _expect(self.scaling in ("strong", "weak"), "scaling", "strong or weak", self.scaling)
        _expect(self.precision in get_args(Precision), "precision", "float32, bfloat16 or float16", self.precision)
        for name in ("num_workers", "epochs", "global_batch_size"):
            _expect(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("batch_norm_group_size", "max_shift", "checkpoint_steps", "steps_per_call"):
            _expect(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        _expect(0 <= self.seed < 2**32, "seed", "at least 0 and below 2**32", self.seed)
        _expect(0 <= self.weight_decay < math.inf, "weight_decay", "a finite number, at least 0", self.weight_decay)
        _expect(0 < self.learning_rate < math.inf, "learning_rate", "a finite number above 0", self.learning_rate)
        for name in ("momentum", "label_smoothing", "warmup_fraction"):
            _expect(0 <= getattr(self, name) < 1, name, "at least 0 and below 1", getattr(self, name))
        _expect(0 <= self.target_accuracy <= 1, "target_accuracy", "between 0 and 1", self.target_accuracy)
        if self.strategy == "single":
            _expect(self.num_workers == 1, "num_workers", "1 for the strategy single", self.num_workers)
        if self.strategy == "parameter_server":
            _expect(self.num_ps >= 1, "num_ps", "at least 1 for the strategy parameter_server", self.num_ps)
        else:
            _expect(self.num_ps == 0, "num_ps", f"0 for the strategy {self.strategy}", self.num_ps)
        if self.global_batch_size % self.num_workers:
            raise ConfigError(
                "global_batch_size must be divisible by the number of workers. "
                f"Received: {self.global_batch_size} and {self.num_workers}."
            )
        if self.batch_norm_group_size and not self.same_batch_norm:
            raise ConfigError(
                "batch_norm_group_size must be 0 without same_batch_norm: a worker then normalises its whole share of "
                f"the batch. Received: {self.batch_norm_group_size}."
            )
        if self.per_replica_batch_size % self.group_size:
            raise ConfigError(
                "batch_norm_group_size must divide each worker's share of the batch. "
                f"Received: {self.group_size} and {self.per_replica_batch_size} "
                f"({self.global_batch_size} images over {self.num_workers} workers)."
            )
        check_loss_name(self.loss)
        check_model_name(self.model)
        check_model_arguments(self.model, self.builder_arguments)

    @property
    def per_replica_batch_size(self) -> int:
        """Images of a step that one worker computes."""
        return self.global_batch_size // self.num_workers

    @property
    def group_size(self) -> int:
        """Images that are normalised together."""
        return self.batch_norm_group_size or self.per_replica_batch_size

    @property
    def groups_per_replica(self) -> int:
        """Groups that one worker computes in a step, one after another."""
        return self.per_replica_batch_size // self.group_size

    @property
    def groups_per_step(self) -> int:
        """Groups in a global batch."""
        return self.groups_per_replica * self.num_workers

    @property
    def builder_arguments(self) -> dict[str, Any]:
        """The parsed `model_arguments`.

        Raises:
            ConfigError: They are no JSON object.
        """
        try:
            arguments = json.loads(self.model_arguments)
        except ValueError as error:
            raise ConfigError(f"model_arguments must be JSON ({error}). Received: {self.model_arguments}") from None
        _expect(isinstance(arguments, dict), "model_arguments", "a JSON object", self.model_arguments)
        return arguments  # type: ignore[no-any-return]

    def to_arguments(self) -> list[str]:
        """Returns the command-line arguments of the training program; the numbers of replicas are in TF_CONFIG."""
        arguments = ["--strategy", self.strategy]
        for setting in _settings():
            value, option = getattr(self, setting.name), _option(setting.name)
            if value is None:  # where the machine decides
                continue
            if isinstance(value, bool):
                arguments.append(option if value else _option(f"no_{setting.name}"))
            else:
                arguments += [option, str(value)]
        return arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds one option for each setting of `TrainingConfig` but the numbers of replicas, which are in TF_CONFIG."""
    parser.add_argument(
        "--strategy",
        choices=STRATEGIES,
        help="what TF_CONFIG must say; without one: single or all_reduce",
    )
    for setting in _settings():
        description = f"{setting.metadata['help']} (default: {setting.default})".replace("%", "%%")
        if setting.type in (bool, bool | None):
            parser.add_argument(
                _option(setting.name),
                action=argparse.BooleanOptionalAction,
                default=setting.default,
                help=setting.metadata["help"],
            )
        else:
            parser.add_argument(
                _option(setting.name), type=type(setting.default), default=setting.default, help=description
            )


def from_arguments(arguments: argparse.Namespace, role: Role) -> TrainingConfig:
    """Returns the settings that the options of `add_arguments` and the replica's role give.

    Raises:
        ConfigError: A value is out of its range.
    """
    settings = {setting.name: getattr(arguments, setting.name) for setting in _settings()}
    return TrainingConfig(strategy=role.strategy, num_workers=role.num_workers, num_ps=role.num_ps, **settings)


def setting_names() -> list[str]:
    """Returns the names of the settings that do not follow from a replica's role."""
    return [setting.name for setting in _settings()]


def _settings() -> list[dataclasses.Field[Any]]:
    return [s for s in dataclasses.fields(TrainingConfig) if s.name not in ("strategy", "num_workers", "num_ps")]


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _expect(is_met: bool, name: str, expected: str, received: object) -> None:
    if not is_met:
        raise ConfigError(f"{name} must be {expected}. Received: {received}.")
