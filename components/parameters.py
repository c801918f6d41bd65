"""The parameters of a comparison: their one home, from which form, command line and plan follow."""

from dataclasses import dataclass, field, fields
from typing import Any

from components.image import DEFAULT_IMAGE
from model.training import TrainingConfig, setting_names

_TRAINING = {setting.name: setting for setting in fields(TrainingConfig)}


def _parameter(default: Any, description: str) -> Any:
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata={"help": description})
    return field(default=default, metadata={"help": description})


def _of_training(name: str, more: str = "") -> Any:
    """Returns a parameter that is a setting of each training: default and description are told there."""
    description = _TRAINING[name].metadata["help"]
    return _parameter(_TRAINING[name].default, f"{description[0].upper()}{description[1:]}{more}.")


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a person sets of a comparison. Nothing is checked here: `plan_run` does.

    KFP ships the source of a step's function and nothing else, so the signature of `plan_comparison` repeats the names.
    """

    image: str = _parameter(DEFAULT_IMAGE, "Image of every step and replica.")
    dataset: str = _parameter(
        "mnist", "mnist, fashion_mnist, or the path or URL of an .npz with x_train, y_train, x_test and y_test."
    )
    max_train_images: int = _parameter(0, "Take no more than so many training images; 0 takes all.")
    model: str = _of_training("model", ". Registered: resnet8, 14, 20, 32, 44, 56 and 110, and plain8 to plain110")
    model_arguments: str = _of_training("model_arguments")
    epochs: int = _of_training("epochs")
    global_batch_size: int = _of_training("global_batch_size", "; every number of workers must divide it")
    learning_rate: float = _of_training("learning_rate")
    target_accuracy: float = _of_training("target_accuracy")
    scaling: str = _parameter("strong", "strong (one global batch for all), weak (one batch size a worker), or both.")
    strategies: list[str] = _parameter(["all_reduce", "parameter_server"], "all_reduce, parameter_server, or both.")
    workers: list[int] = _parameter([2], "Numbers of workers to compare.")
    num_ps: int = _parameter(1, "Parameter servers of each parameter-server training.")
    bigger_nodes: bool = _parameter(False, "Also compare with one node that has the CPUs of all workers.")
    trials: int = _parameter(3, "Repeats of each configuration.")
    seed: int = _parameter(0, "Seed of the first trial.")
    cpus_per_replica: float = _parameter(1.0, "CPUs of each replica.")
    memory_per_replica: str = _parameter("2Gi", "Memory of each replica.")
    gpus_per_replica: int = _parameter(0, "GPUs of each replica.")
    deadline_minutes: int = _parameter(60, "Longest time of one training.")
    pending_minutes: int = _parameter(
        10, "Longest wait of a replica for its node, image and volumes; waiting in a queue does not count."
    )
    job_settings: str = _parameter(
        "{}", "Further settings of every TFJob, as JSON: queue_name, node_selector, tolerations, …"
    )
    keep_failed_jobs: bool = _parameter(False, "Leave a TFJob that failed in the cluster, for inspection.")
    study_depth: bool = _parameter(
        False, "Also train residual and plain networks of 20 and 56 layers, on a page of their own: why ResNet."
    )

    def to_training(self) -> TrainingConfig:
        """Returns the settings of the single node's training, from which those of the others follow.

        Raises:
            ConfigError: One is out of its range.
        """
        shared = {name: value for name, value in vars(self).items() if name in setting_names()}
        return TrainingConfig(**shared | {"scaling": "strong"})  # that of a single node; here it may be `both`
