"""The parameters of a comparison: their one home, from which form, command line and plan follow."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Self

from components.image import DEFAULT_IMAGE, OWN_NAME
from components.planning.values import read_value
from model.errors import ConfigError
from model.training import TrainingConfig, setting_names
from tfjob.local import ISOLATIONS
from tfjob.spec import MIN_CPUS, is_quantity

_TRAINING = {setting.name: setting for setting in fields(TrainingConfig)}
# Beyond these a slip of the finger is likelier than a wish. A forecast looks as far as so many workers, too.
MAX_TRIALS = 1_000
MAX_REPLICAS = 1_024
_MAX_PER_REPLICA = 1_024
_MEMORY, _GPU_MEMORY = "2Gi", "8Gi"
# Parameters that have no effect on processes of one machine, and those that have none on pods.
OF_A_CLUSTER = ("image", "memory_per_replica", "pending_minutes", "keep_failed_jobs", "placement")
OF_ONE_MACHINE = ("share_gpus", "isolate_replicas")
_MINUTES_OF_A_YEAR = 525_600
_MAX_PRICE = 1_000_000_000


def _parameter(default: Any, description: str, *, least: float = -math.inf, most: float = math.inf) -> Any:
    """Returns a parameter; `least` and `most` are its range, as far as no other part of the plan checks that."""
    metadata = {"help": description, "least": least, "most": most}
    if isinstance(default, list):
        return field(default_factory=default.copy, metadata=metadata)
    return field(default=default, metadata=metadata)


def _of_training(name: str, more: str = "") -> Any:
    """Returns a parameter that is a setting of each training: default, description and range are told there."""
    description = _TRAINING[name].metadata["help"]
    return _parameter(_TRAINING[name].default, f"{description[0].upper()}{description[1:]}{more}.")


def _rare(parameter: Any, name: str = "", *, is_object: bool = False) -> Any:
    """Returns a parameter that is no field of the form, but a part of its text `settings`.

    Args:
        parameter: The parameter.
        name: What it is called there, if not as everywhere else.
        is_object: Whether it is an object, which may stand there as such; everywhere else it is JSON in a text.
    """
    rare = {"setting": name, "is_object": is_object}
    return _describe_further(parameter, rare)


def _describe_further(parameter: Any, more: Mapping[str, Any]) -> Any:
    """Returns a parameter with more metadata."""
    metadata = {**parameter.metadata, **more}
    return field(default=parameter.default, default_factory=parameter.default_factory, metadata=metadata)


def _of_own_program(parameter: Any) -> Any:
    """Returns a rare parameter that is about a person's own program alone."""
    return _describe_further(_rare(parameter), {"is_of_own_program": True})


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """What a person sets of a comparison. `read` makes sure of the types, `plan_run` of all else.

    The dashboard's form has a field for each but for the rare ones, which are in its field `settings`.
    """

    image: str = _parameter(
        DEFAULT_IMAGE,
        "Image of every step and replica: this project's, by the name by which the cluster pulls it, such as "
        f"registry.example.org/team/{OWN_NAME}.",
    )
    tfjob: str = _describe_further(
        _parameter(
            "", "A TFJob of your own, as JSON or YAML, in place of `model` and `dataset`: docs/any-training.md."
        ),
        {"is_file": True},
    )
    dataset: str = _parameter(
        "mnist",
        "mnist, fashion_mnist, or path or URL of an .npz or a folder with x_train, y_train, x_test, y_test.",
    )
    max_train_images: int = _rare(_parameter(0, "Take no more than so many training images; 0 takes all.", least=0))
    model: str = _of_training("model", ". Registered: resnet8, 14, 20, 32, 44, 56 and 110, and plain8 to plain110")
    model_arguments: str = _rare(_of_training("model_arguments"), is_object=True)
    epochs: int = _of_training("epochs")
    global_batch_size: int = _of_training("global_batch_size", "; every number of workers must divide it")
    learning_rate: float = _of_training("learning_rate")
    loss: str = _rare(_of_training("loss"))
    target_accuracy: float = _of_training("target_accuracy")
    scaling: str = _parameter("strong", "strong (one global batch for all), weak (one batch size a worker), or both.")
    strategies: list[str] = _parameter(["all_reduce", "parameter_server"], "all_reduce, parameter_server, or both.")
    workers: list[int] = _parameter([2], "Numbers of workers to compare.", most=MAX_REPLICAS)
    num_ps: int = _rare(_parameter(1, "Parameter servers of each parameter-server training.", most=MAX_REPLICAS))
    same_batch_norm: bool = _rare(_of_training("same_batch_norm"))
    precision: str = _rare(_of_training("precision"))
    deterministic: bool | None = _rare(_of_training("deterministic"))
    jit_compile: bool | None = _rare(_of_training("jit_compile"))
    bigger_nodes: bool | None = _rare(
        _parameter(
            None,
            "Also compare with one node that has the CPUs and GPUs of all workers; by default where so many are free.",
        )
    )
    a_a: bool = _rare(
        _parameter(
            False, "Compare the single node with itself under two names, and nothing else: what it finds is chance."
        )
    )
    trials: int = _parameter(3, "Repeats of each configuration.", least=1, most=MAX_TRIALS)
    seed: int = _rare(_parameter(0, "Seed of the first trial."))
    cpus_per_replica: float = _parameter(1.0, "CPUs of each replica.", least=MIN_CPUS, most=_MAX_PER_REPLICA)
    memory_per_replica: str = _parameter("", "Memory of each; 2Gi, with GPUs 8Gi.")
    gpus_per_replica: int = _parameter(0, "GPUs of each replica.", least=0, most=_MAX_PER_REPLICA)
    share_gpus: bool = _rare(
        _parameter(
            False, "On one machine, let replicas share GPUs where there are too few; the report calls them contended."
        )
    )
    cpu_price: float = _rare(
        _parameter(
            0.0,
            "What a CPU costs an hour, in any currency: the answer has what a training costs.",
            least=0,
            most=_MAX_PRICE,
        )
    )
    gpu_price: float = _rare(_parameter(0.0, "What a GPU costs an hour.", least=0, most=_MAX_PRICE))
    deadline_minutes: int = _rare(_parameter(60, "Longest time of one training.", least=1, most=_MINUTES_OF_A_YEAR))
    pending_minutes: int = _rare(
        _parameter(
            10,
            "Longest wait of a replica for its node, image and volumes; waiting in a queue does not count.",
            least=1,
            most=_MINUTES_OF_A_YEAR,
        )
    )
    job_settings: str = _rare(
        _parameter("{}", "Further settings of every TFJob, as JSON: queue_name, node_selector, tolerations, …"),
        "job",
        is_object=True,
    )
    isolate_replicas: str = _rare(
        _parameter(
            "auto",
            "auto, always or never: on this machine, replicas run in a network that only they are in. auto: where the "
            "system allows it, and else with a warning.",
        )
    )
    keep_failed_jobs: bool = _rare(_parameter(False, "Leave a TFJob that failed in the cluster, for inspection."))
    command: str = _of_own_program(
        _parameter("", "Train by this command of your own, in place of the one in `tfjob`, or in this image.")
    )
    progress: str = _of_own_program(
        _parameter(
            "auto",
            "How your own program tells its progress: auto, none, keras, estimator, orbit, tf_cnn_benchmarks, "
            "name=value or tensorboard.",
        )
    )
    progress_regex: list[str] = _of_own_program(_parameter([], "What your own program prints, as NAME=REGEX."))
    metric: str = _of_own_program(
        _parameter("", "The metric of your own program that is compared; empty: whatever it tells.")
    )
    metric_direction: str = _of_own_program(_parameter("", "max or min: which values of that metric are better."))
    batch_size_per_replica: int = _of_own_program(
        _parameter(0, "Examples in a step of one worker of your own program; 0: it says so itself.", least=0)
    )
    measure_steps: int = _of_own_program(
        _parameter(0, "End each training of your own program after so many measured steps; 0: it ends itself.", least=0)
    )
    chief_trains: bool = _of_own_program(
        _parameter(False, "The Chief or Master of `tfjob` trains, too: it is one of the workers.")
    )
    placement: str = _of_own_program(
        _parameter("any", "Where the pods of your own program run: any, together (one node) or spread (a node each).")
    )
    # Rare, and yet a field of the form: KFP's local runner knows no branch that asks for what a step has read.
    study_depth: bool = _parameter(False, "Also compare residual with plain networks.")

    @property
    def memory(self) -> str:
        """Memory of each replica. A process with a GPU holds CUDA's libraries, too."""
        return self.memory_per_replica or (_GPU_MEMORY if self.gpus_per_replica else _MEMORY)

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Self:
        """Returns the parameters that a program gives by name; what is not among `values` has its default.

        Raises:
            ConfigError: One is not of its type, or there is no such one.
        """
        kinds = {parameter.name: parameter.type for parameter in fields(cls)}
        if unknown := sorted(values.keys() - kinds.keys()):
            raise ConfigError(f"The parameters must be some of {', '.join(kinds)}. Received: {', '.join(unknown)}.")
        return cls(**{name: read_value(name, kinds[name], value) for name, value in values.items()})

    def check_ranges(self) -> None:
        """Makes sure that each can be, as far as no other part of the plan checks that.

        Raises:
            ConfigError: One cannot.
        """
        for parameter in fields(self):
            name, value, ends = parameter.name, getattr(self, parameter.name), parameter.metadata
            for number in value if isinstance(value, list) else [value]:
                if ends["least"] > -math.inf and not number >= ends["least"]:  # so that nan is refused, too
                    raise ConfigError(f"{name} must be at least {ends['least']}. Received: {number}.")
                if ends["most"] < math.inf and not number <= ends["most"]:
                    raise ConfigError(f"{name} must be at most {ends['most']:,}. Received: {number}.")
        if not is_quantity(self.memory):
            raise ConfigError(
                f"memory_per_replica must be a Kubernetes quantity such as 2Gi. Received: {self.memory_per_replica!r}."
            )
        if self.isolate_replicas not in ISOLATIONS:
            raise ConfigError(
                f"isolate_replicas must be one of {', '.join(ISOLATIONS)}. Received: {self.isolate_replicas!r}."
            )
        if self.image.split() != [self.image]:
            raise ConfigError(
                "image must be the name by which the cluster pulls this project's image, such as "
                f"registry.example.org/team/{OWN_NAME}. Received: {self.image!r}."
            )

    def to_training(self) -> TrainingConfig:
        """Returns the settings of the single node's training, from which those of the others follow.

        Raises:
            ConfigError: One is out of its range.
        """
        shared = {name: value for name, value in vars(self).items() if name in setting_names()}
        return TrainingConfig(**shared | {"scaling": "strong"})  # that of a single node; here it may be `both`


def list_of_own_program() -> list[str]:
    """Returns the names of the parameters that are about a person's own program alone."""
    return [parameter.name for parameter in fields(Parameters) if "is_of_own_program" in parameter.metadata]


def refuse_others(parameters: Parameters, names: Sequence[str], reason: str) -> None:
    """Makes sure that nothing is set that would have no effect; a default is nobody's wish.

    Args:
        parameters: What a person asked for.
        names: The parameters that must be left out.
        reason: What each of them lacks here, as the end of a sentence.

    Raises:
        ConfigError: Some are set.
    """
    if given := list_given(parameters, names):
        received = ", ".join(f"{name} {getattr(parameters, name)!r}" for name in given)
        raise ConfigError(
            f"{' and '.join(given)} must be left out: {'each' if given[1:] else 'it'} {reason}. Received: {received}."
        )


def list_given(parameters: Parameters, names: Sequence[str]) -> list[str]:
    """Returns which of some parameters have another value than their default."""
    default = Parameters()
    return [name for name in names if getattr(parameters, name) != getattr(default, name)]


def describe_idle(parameters: Parameters, *, is_in_cluster: bool) -> str:
    """Returns which parameters have no effect where the run goes, in a sentence; empty where all have.

    They are told and not refused: the same parameters are tried on one machine and then go to a cluster.

    Args:
        parameters: What a person asked for.
        is_in_cluster: Where that is.
    """
    idle = ", ".join(list_given(parameters, OF_ONE_MACHINE if is_in_cluster else OF_A_CLUSTER))
    return idle and f"{'in a cluster' if is_in_cluster else 'on this machine'} these have no effect: {idle}"
