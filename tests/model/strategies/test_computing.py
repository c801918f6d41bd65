from dataclasses import replace
from typing import Any

import pytest

from model.errors import ConfigError
from model.strategies.computing import PLAIN, Computing, check_gpus
from model.training.config import TrainingConfig
from model.training.role import Strategy

FAST = Computing("float32", deterministic=False, jit_compile=True, gpus=1)


@pytest.mark.parametrize(
    ("strategy", "settings", "num_gpus", "expected"),
    [
        ("single", {}, 0, PLAIN),
        ("all_reduce", {}, 0, replace(PLAIN, communication="auto")),
        ("single", {}, 1, FAST),
        ("all_reduce", {}, 2, replace(FAST, gpus=2, communication="nccl")),
        ("single", {"deterministic": True}, 1, replace(FAST, deterministic=True)),
        ("single", {"jit_compile": False}, 1, replace(FAST, jit_compile=False)),
        ("single", {"jit_compile": True, "deterministic": False}, 0, replace(FAST, gpus=0)),
        ("parameter_server", {"deterministic": True}, 0, replace(PLAIN, deterministic=False, communication="grpc")),
        ("single", {"precision": "bfloat16"}, 0, replace(PLAIN, precision="bfloat16")),
    ],
)
def test_what_a_person_leaves_open_follows_from_the_devices(
    strategy: Strategy, settings: dict[str, Any], num_gpus: int, expected: Computing
) -> None:
    assert Computing.settle(TrainingConfig(**settings), strategy, num_gpus) == expected


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_the_single_node_and_a_worker_compute_alike(num_gpus: int) -> None:
    config = TrainingConfig(precision="bfloat16")
    single, worker = (Computing.settle(config, name, num_gpus) for name in ("single", "all_reduce"))
    assert single == replace(worker, communication=None)


def test_workers_that_share_a_gpu_do_without_nccl_which_refuses_that() -> None:
    assert Computing.settle(TrainingConfig(), "all_reduce", 1, are_shared=True) == replace(FAST, communication="auto")


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CUDA_VISIBLE_DEVICES": "-1"},
        {"CUDA_VISIBLE_DEVICES": "", "NVIDIA_VISIBLE_DEVICES": "void"},
        {"NVIDIA_VISIBLE_DEVICES": "all"},
        {"CUDA_VISIBLE_DEVICES": "-1", "NVIDIA_VISIBLE_DEVICES": "0"},  # of a container, whose replica gets none
    ],
)
def test_who_was_given_no_gpu_need_not_see_one(environment: dict[str, str]) -> None:
    check_gpus([], environment)


@pytest.mark.parametrize("name", ["CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES"])
def test_who_was_given_a_gpu_and_sees_none_does_not_train_on_cpus_instead(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"{name}=GPU-1\), and TensorFlow sees none.* gpus_per_replica to 0"):
        check_gpus([], {name: "GPU-1"})
    check_gpus(["/physical_device:GPU:0"], {name: "GPU-1"})


def test_only_float16_needs_its_loss_scaled() -> None:
    scales = {p: replace(PLAIN, precision=p).loss_scale for p in ("float32", "bfloat16", "float16")}
    assert scales == {"float32": 1.0, "bfloat16": 1.0, "float16": 1024.0}


def test_a_replica_computes_on_all_gpus_that_it_was_given() -> None:
    computing = Computing.settle(TrainingConfig(), "single", 2)
    assert (computing.gpus, computing.devices) == (2, ("/device:GPU:0", "/device:GPU:1"))


@pytest.mark.parametrize("num_gpus", [0, 1])
def test_the_only_device_is_left_to_tensorflow(num_gpus: int) -> None:
    assert Computing.settle(TrainingConfig(), "single", num_gpus).devices == ()


def test_a_batch_that_gpus_cannot_share_evenly_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"divisible by its GPUs\. Received: 128 images and 3 GPUs"):
        Computing.settle(TrainingConfig(), "single", 3)
    assert Computing.settle(TrainingConfig(same_batch_norm=True), "single", 3).gpus == 3
