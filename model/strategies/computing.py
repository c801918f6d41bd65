"""How a replica computes: on CPUs or GPUs, in which precision, and what its operations may do to be fast."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import environ
from typing import Self

from model.errors import ConfigError
from model.frameworks import keras, tf
from model.training import Precision, Strategy, TrainingConfig

# By what a program is given GPUs, the first that is there; what it holds where none are given, or an image allows all.
_GIVEN_BY = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
_NONE_GIVEN = frozenset({"", "-1", "none", "void", "all", "NoDevFiles"})
# By what the launcher tells that another replica computes on the same GPU.
SHARED_VARIABLE = "TFJOB_SPEEDUP_SHARED_GPUS"
# What a loss in half precision is multiplied by, so that small gradients are no zeros: float16 has no number between 0
# and 6e-8. Source: Micikevicius et al. 2018, arXiv:1710.03740, section 3.2 (a constant factor).
_LOSS_SCALE = {"float32": 1.0, "bfloat16": 1.0, "float16": 1024.0}


@dataclass(frozen=True)
class Computing:
    """What was settled of that for one training; `training.json` has it.

    Attributes:
        precision: In which layers compute. Weights, statistics and their updates are float32.
        deterministic: Whether operations give the same bits each time.
        jit_compile: Whether XLA compiles the gradient computation.
        gpus: On how many GPUs, all that it was given; 0 for CPUs.
        communication: By what workers exchange values: `nccl`; `auto`, the runtime's own choice; `grpc`; None for a
            single process.
    """

    precision: Precision
    deterministic: bool
    jit_compile: bool
    gpus: int = 0
    communication: str | None = None

    @classmethod
    def settle(cls, config: TrainingConfig, strategy: Strategy, num_gpus: int, *, are_shared: bool = False) -> Self:
        """Returns what the settings say, and where they leave it open what is right for these devices.

        On GPUs a person has XLA by default (Keras' own `fit` does) and no determinism, which takes a multiple of the
        time there. On CPUs XLA is slower and determinism costs nothing. A parameter-server training is never
        deterministic: its updates come in no fixed order.

        Raises:
            ConfigError: Its GPUs cannot share its batch evenly.
        """
        share = config.per_replica_batch_size
        if num_gpus > 1 and not config.same_batch_norm and share % num_gpus:
            raise ConfigError(
                "A replica's share of the batch must be divisible by its GPUs. "
                f"Received: {share} images and {num_gpus} GPUs."
            )
        has_gpus = num_gpus > 0
        is_deterministic = not has_gpus if config.deterministic is None else config.deterministic
        return cls(
            config.precision,
            is_deterministic and strategy != "parameter_server",
            has_gpus if config.jit_compile is None else config.jit_compile,
            num_gpus,
            _choose_communication(strategy, has_gpus=has_gpus, are_shared=are_shared),
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """TensorFlow's names of the devices that share a batch; none where TensorFlow's choice will do."""
        return tuple(f"/device:GPU:{index}" for index in range(self.gpus)) if self.gpus > 1 else ()

    @property
    def loss_scale(self) -> float:
        """What the loss is multiplied by before its gradient is computed, which is divided by it."""
        return _LOSS_SCALE[self.precision]

    def apply(self) -> None:
        """Sets what TensorFlow and Keras keep for the whole process; to be called before anything is computed."""
        if self.deterministic:
            tf.config.experimental.enable_op_determinism()
        if self.precision != "float32":
            keras.config.set_dtype_policy(f"mixed_{self.precision}")


def _choose_communication(strategy: Strategy, *, has_gpus: bool, are_shared: bool) -> str | None:
    """Returns by what workers exchange values: NCCL is for GPUs, and refuses two of them that are one."""
    if strategy == "all_reduce":
        return "nccl" if has_gpus and not are_shared else "auto"
    return "grpc" if strategy == "parameter_server" else None


PLAIN = Computing("float32", deterministic=True, jit_compile=False)


def settle_computing(config: TrainingConfig, strategy: Strategy) -> Computing:
    """Returns how this replica computes, with the process set up for it.

    Raises:
        ConfigError: As `count_gpus`.
    """
    computing = Computing.settle(config, strategy, count_gpus(), are_shared=environ.get(SHARED_VARIABLE) == "1")
    computing.apply()
    return computing


def count_gpus() -> int:
    """Returns how many GPUs TensorFlow sees in this process.

    Raises:
        ConfigError: It was given GPUs and TensorFlow sees none: it would train on CPUs, and be taken for a GPU.
    """
    gpus = tf.config.list_physical_devices("GPU")
    check_gpus([gpu.name for gpu in gpus])
    return len(gpus)


def check_gpus(seen: Sequence[str], environment: Mapping[str, str] = environ) -> None:
    """Makes sure that a replica which was given GPUs sees one.

    Args:
        seen: The names of what TensorFlow sees.
        environment: This process's.

    Raises:
        ConfigError: It sees none.
    """
    given = next((name for name in _GIVEN_BY if name in environment), None)
    if given and environment[given] not in _NONE_GIVEN and not seen:
        raise ConfigError(
            f"This replica was given GPUs ({given}={environment[given]}), and TensorFlow sees none, so that it would "
            "train on CPUs. Expected: the NVIDIA driver on the node and CUDA's libraries in the image (docs/image.md). "
            "Or set gpus_per_replica to 0."
        )
