import dataclasses
import json
from typing import Any

import pytest

from model.config import TrainingConfig
from model.errors import ConfigError
from model.plan import Configuration, plan_configurations

BOTH = ["all_reduce", "parameter_server"]


def plan(workers: list[int], strategies: list[str] = BOTH, num_ps: int = 1, **base: Any) -> list[Configuration]:
    return plan_configurations(TrainingConfig(**base), strategies=strategies, workers=workers, num_ps=num_ps)


def test_the_baseline_comes_first_and_each_name_says_what_runs() -> None:
    names = [configuration.name for configuration in plan([2, 4], ["parameter_server", "all_reduce"], num_ps=2)]
    assert names == [
        "single",
        "all-reduce-2w",
        "all-reduce-4w",
        "parameter-server-2w-2ps",
        "parameter-server-4w-2ps",
    ]


def test_only_the_chosen_strategies_are_planned() -> None:
    assert [configuration.name for configuration in plan([3], ["all_reduce"], global_batch_size=96)] == [
        "single",
        "all-reduce-3w",
    ]


def test_configurations_of_strong_scaling_differ_in_nothing_but_the_distribution() -> None:
    alike = [
        dataclasses.replace(c.training, strategy="single", num_workers=1, num_ps=0) for c in plan([2, 4], num_ps=3)
    ]
    assert len(set(alike)) == 1
    assert alike[0].global_batch_size == TrainingConfig().global_batch_size


def test_the_group_size_is_the_largest_that_divides_every_share() -> None:
    sizes = {c.training.batch_norm_group_size for c in plan([2, 3], global_batch_size=96)}
    assert sizes == {16}


def test_a_given_group_size_is_kept_where_it_fits_and_refused_where_not() -> None:
    assert {c.training.group_size for c in plan([2, 4], batch_norm_group_size=8)} == {8}
    with pytest.raises(ConfigError, match="Received: 64 and 32"):
        plan([2, 4], batch_norm_group_size=64)


def test_weak_scaling_grows_the_global_batch_and_the_learning_rate() -> None:
    trainings = [c.training for c in plan([2, 4], ["all_reduce"], scaling="weak", learning_rate=0.1)]
    assert [t.global_batch_size for t in trainings] == [128, 256, 512]
    assert [t.learning_rate for t in trainings] == pytest.approx([0.1, 0.2, 0.4])
    assert {t.per_replica_batch_size for t in trainings} == {t.group_size for t in trainings} == {128}


def test_a_trial_has_one_seed_in_all_configurations_and_each_trial_its_own() -> None:
    seeds = [{c.for_trial(trial).seed for c in plan([2, 4], seed=10)} for trial in range(3)]
    assert seeds == [{10}, {11}, {12}]


def test_a_trial_differs_from_its_configuration_in_the_seed_only() -> None:
    configuration = plan([2])[1]
    trial = configuration.for_trial(3)
    assert dataclasses.replace(trial, seed=0) == configuration.training


@pytest.mark.parametrize("scaling", ["strong", "weak"])
def test_a_configuration_comes_back_from_json(scaling: str) -> None:
    for configuration in plan([2, 4], num_ps=2, scaling=scaling):
        entry = json.loads(json.dumps(configuration.to_json()))
        assert Configuration.from_json(entry) == configuration
        assert entry["num_workers"] == configuration.training.num_workers


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strategies": []}, r"strategies must be some of all_reduce, parameter_server\. Received: \[\]"),
        ({"strategies": ["single"]}, r"strategies must be some of .* Received: \['single'\]"),
        ({"strategies": ["all_reduce", "gossip"]}, "strategies must be some of"),
        ({"strategies": ["all_reduce"] * 2}, "strategies must differ from each other"),
        ({"workers": []}, r"workers must be numbers of workers, at least 1 each\. Received: \[\]"),
        ({"workers": [2, 0]}, r"at least 1 each\. Received: \[2, 0\]"),
        ({"workers": [-1]}, r"at least 1 each\. Received: \[-1\]"),
        ({"workers": [2, 2]}, r"workers must differ from each other\. Received: \[2, 2\]"),
        ({"workers": [3]}, "Received: 128 and 3"),
        ({"num_ps": 0}, "num_ps must be at least 1"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        plan(**{"workers": [2], **arguments})
