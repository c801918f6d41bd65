import argparse
import math
from typing import Any

import pytest

from model.errors import ConfigError
from model.training.config import TrainingConfig, add_arguments, from_arguments, setting_names
from model.training.role import Role

ALL_REDUCE = {"strategy": "all_reduce", "num_workers": 2}
PARAMETER_SERVER = {"strategy": "parameter_server", "num_workers": 2, "num_ps": 2}
OTHER_VALUES: dict[str, Any] = {
    "model": "plain20",
    "model_arguments": '{"width": 4, "stem_stride": 2}',
    "epochs": 7,
    "global_batch_size": 96,
    "same_batch_norm": True,
    "batch_norm_group_size": 16,
    "learning_rate": 0.1 + 0.2,
    "momentum": 0.0,
    "weight_decay": 1e-7,
    "loss": "huber",
    "label_smoothing": 0.25,
    "warmup_fraction": 1 / 3,
    "max_shift": 0,
    "target_accuracy": 0.0,
    "checkpoint_steps": 11,
    "precision": "bfloat16",
    "deterministic": False,
    "jit_compile": True,
    "steps_per_call": 16,
    "scaling": "weak",
    "seed": 2**32 - 1,
}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"strategy": "gossip"}, "strategy must be one of single, all_reduce, parameter_server. Received: gossip."),
        ({"scaling": "both"}, "scaling must be strong or weak. Received: both."),
        ({"num_workers": 0}, "num_workers must be at least 1. Received: 0."),
        ({"num_workers": 2}, "num_workers must be 1 for the strategy single. Received: 2."),
        ({"num_ps": 1}, "num_ps must be 0 for the strategy single. Received: 1."),
        ({**ALL_REDUCE, "num_ps": 1}, "num_ps must be 0 for the strategy all_reduce. Received: 1."),
        ({**PARAMETER_SERVER, "num_ps": 0}, "num_ps must be at least 1 for the strategy parameter_server. Received: 0"),
        ({"epochs": 0}, "epochs must be at least 1. Received: 0."),
        ({"global_batch_size": 0}, "global_batch_size must be at least 1. Received: 0."),
        ({"batch_norm_group_size": -1}, "batch_norm_group_size must be at least 0. Received: -1."),
        ({"batch_norm_group_size": 16}, "batch_norm_group_size must be 0 without same_batch_norm: a worker then"),
        ({"max_shift": -1}, "max_shift must be at least 0. Received: -1."),
        ({"checkpoint_steps": -1}, "checkpoint_steps must be at least 0. Received: -1."),
        ({"steps_per_call": -1}, "steps_per_call must be at least 0. Received: -1."),
        ({"seed": -1}, "seed must be at least 0 and below 2**32. Received: -1."),
        ({"seed": 2**32}, "seed must be at least 0 and below 2**32. Received: 4294967296."),
        ({"weight_decay": -1e-9}, "weight_decay must be a finite number, at least 0. Received: -1e-09."),
        ({"weight_decay": math.inf}, "weight_decay must be a finite number, at least 0. Received: inf."),
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0. Received: 0."),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0. Received: inf."),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0. Received: nan."),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1. Received: 1.0."),
        ({"momentum": math.nan}, "momentum must be at least 0 and below 1. Received: nan."),
        ({"label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1. Received: 1.0."),
        ({"warmup_fraction": -0.1}, "warmup_fraction must be at least 0 and below 1. Received: -0.1."),
        ({"target_accuracy": 98}, "target_accuracy must be between 0 and 1. Received: 98."),
        ({"model": "resnet9"}, "Unknown model. Expected one of resnet8, "),
        ({"model": "no_such_package.module:build"}, "There is no module 'no_such_package.module'"),
        ({"precision": "int8"}, "precision must be float32, bfloat16 or float16. Received: int8."),
        ({"model_arguments": "{"}, "model_arguments must be JSON ("),
        ({"model_arguments": "[1]"}, "model_arguments must be a JSON object. Received: [1]."),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_was_expected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        TrainingConfig(**settings)
    assert str(raised.value).startswith(message)


def test_a_batch_that_the_workers_do_not_divide_is_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigError, match=r"divisible by the number of workers\. Received: 100 and 3\."):
        TrainingConfig(strategy="all_reduce", num_workers=3, global_batch_size=100)


def test_a_group_that_does_not_divide_a_workers_share_is_refused_with_both_numbers() -> None:
    with pytest.raises(ConfigError, match=r"Received: 48 and 64 \(128 images over 2 workers\)"):
        TrainingConfig(
            strategy="all_reduce",
            num_workers=2,
            global_batch_size=128,
            same_batch_norm=True,
            batch_norm_group_size=48,
        )


def test_the_batch_is_shared_by_the_workers_and_normalised_in_groups() -> None:
    groups: dict[str, Any] = {"same_batch_norm": True, "batch_norm_group_size": 16}
    config = TrainingConfig(strategy="all_reduce", num_workers=4, global_batch_size=128, **groups)
    assert (config.per_replica_batch_size, config.group_size) == (32, 16)
    assert (config.groups_per_replica, config.groups_per_step) == (2, 8)


def test_without_a_group_size_a_worker_normalises_its_whole_share() -> None:
    config = TrainingConfig(strategy="all_reduce", num_workers=4, global_batch_size=128)
    assert (config.group_size, config.groups_per_replica, config.groups_per_step) == (32, 1, 4)


@pytest.mark.parametrize("settings", [{}, OTHER_VALUES], ids=["defaults", "other values"])
@pytest.mark.parametrize("place", [{}, ALL_REDUCE, PARAMETER_SERVER], ids=["single", "all-reduce", "ps"])
def test_what_goes_to_the_command_line_comes_back(settings: dict[str, Any], place: dict[str, Any]) -> None:
    config = TrainingConfig(**{**settings, **place})
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    role = Role(config.strategy, "worker", 0, config.num_workers, config.num_ps)
    assert from_arguments(parser.parse_args(config.to_arguments()), role) == config


def test_each_setting_that_no_role_decides_has_an_option_and_its_help() -> None:
    assert set(OTHER_VALUES) == set(setting_names())
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    text = parser.format_help()
    for name in setting_names():
        assert "--" + name.replace("_", "-") in text


def test_options_that_are_not_given_are_the_defaults() -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    assert from_arguments(parser.parse_args([]), Role("single", "worker", 0, 1, 0)) == TrainingConfig()
