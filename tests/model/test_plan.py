import dataclasses
import itertools
import json
import math
from collections import Counter
from typing import Any

import pytest

from model.errors import ConfigError
from model.plan import Configuration, order_of_round, plan_configurations
from model.training.config import TrainingConfig
from model.training.schedule import learning_rate_at

BOTH = ["all_reduce", "parameter_server"]
SCALINGS = ["strong", "weak"]


def plan(workers: list[int], strategies: list[str] = BOTH, num_ps: int = 1, **base: Any) -> list[Configuration]:
    return plan_configurations(TrainingConfig(**base), strategies=strategies, workers=workers, num_ps=num_ps)


def plan_both(workers: list[int], **base: Any) -> list[Configuration]:
    return plan_configurations(
        TrainingConfig(**base), strategies=BOTH, workers=workers, num_ps=1, scaling="both", max_cpus_factor=math.inf
    )


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
    sizes = {c.training.batch_norm_group_size for c in plan([2, 3], global_batch_size=96, same_batch_norm=True)}
    assert sizes == {16}


@pytest.mark.parametrize(
    ("scaling", "gpus", "max_cpus_factor", "expected"),
    [("strong", 1, 2.0, 64), ("strong", 2, 0.0, 32), ("weak", 2, 0.0, 64), ("weak", 1, 2.0, 64), ("weak", 0, 2.0, 128)],
)
def test_no_gpu_is_left_without_a_group(scaling: str, gpus: int, max_cpus_factor: float, expected: int) -> None:
    base = TrainingConfig(global_batch_size=128, scaling=scaling, same_batch_norm=True)
    configurations = plan_configurations(
        base, strategies=BOTH, workers=[2], num_ps=1, max_cpus_factor=max_cpus_factor, gpus=gpus
    )
    assert {c.training.group_size for c in configurations} == {expected}
    groups = [c.training.groups_per_replica for c in configurations]
    assert not any(own % max(1, gpus * c.cpus_factor) for own, c in zip(groups, configurations, strict=True) if gpus)


def test_without_the_same_groups_each_configuration_normalises_its_whole_share() -> None:
    trainings = [c.training for c in plan([2, 4], ["all_reduce"])]
    assert {t.batch_norm_group_size for t in trainings} == {0}
    assert [t.group_size for t in trainings] == [t.per_replica_batch_size for t in trainings] == [128, 64, 32]
    assert {t.groups_per_replica for t in trainings} == {1}


def test_a_configuration_of_an_older_run_has_the_groups_that_all_had_then() -> None:
    entry = plan([2], same_batch_norm=True)[1].to_json()
    del entry["training"]["same_batch_norm"]
    assert Configuration.from_json(entry).training.same_batch_norm


def test_a_given_group_size_is_kept_where_it_fits_and_refused_where_not() -> None:
    assert {c.training.group_size for c in plan([2, 4], same_batch_norm=True, batch_norm_group_size=8)} == {8}
    with pytest.raises(ConfigError, match="Received: 64 and 32"):
        plan([2, 4], same_batch_norm=True, batch_norm_group_size=64)


def test_weak_scaling_grows_the_global_batch_and_the_learning_rate() -> None:
    trainings = [c.training for c in plan([2, 4], ["all_reduce"], scaling="weak", learning_rate=0.1)]
    assert [t.global_batch_size for t in trainings] == [128, 256, 512]
    assert [t.learning_rate for t in trainings] == pytest.approx([0.1, 0.2, 0.4])
    assert {t.per_replica_batch_size for t in trainings} == {t.group_size for t in trainings} == {128}


def test_with_weak_scaling_the_learning_rate_rises_to_its_multiple_over_the_same_images() -> None:
    # Goyal et al. 2017: linear scaling, reached by a gradual warm-up whose length is a number of images, not of steps.
    warm_ups = {}
    for configuration in plan([1, 2, 4], ["all_reduce"], scaling="weak", learning_rate=0.1, warmup_fraction=0.25):
        training = configuration.training
        total = 128 * 400 // training.global_batch_size
        warmup = math.ceil(total * training.warmup_fraction)
        rates = [
            learning_rate_at(step, peak=training.learning_rate, warmup_steps=warmup, total_steps=total)
            for step in range(total)
        ]
        assert max(rates) == rates[warmup - 1] == pytest.approx(0.1 * training.num_workers)
        assert all(later > earlier for earlier, later in itertools.pairwise(rates[:warmup]))
        warm_ups[training.num_workers] = warmup * training.global_batch_size
    assert warm_ups == {1: 12800, 2: 12800, 4: 12800}


def test_strong_and_weak_scaling_together_share_what_is_the_same_training() -> None:
    configurations = plan_both([1, 2, 4], same_batch_norm=True)
    assert [configuration.name for configuration in configurations] == [
        "single",
        "single-2x-cpus",
        "single-4x-cpus",
        "all-reduce-1w",
        "all-reduce-2w",
        "all-reduce-4w",
        "parameter-server-1w-1ps",
        "parameter-server-2w-1ps",
        "parameter-server-4w-1ps",
        "all-reduce-2w-weak",
        "all-reduce-4w-weak",
        "parameter-server-2w-1ps-weak",
        "parameter-server-4w-1ps-weak",
    ]
    by_scaling = {kind: [c.training for c in configurations if c.training.scaling == kind] for kind in SCALINGS}
    assert {training.global_batch_size for training in by_scaling["strong"]} == {128}
    assert [training.global_batch_size for training in by_scaling["weak"]] == [256, 512, 256, 512]
    assert {training.per_replica_batch_size for training in by_scaling["weak"]} == {128}
    assert {c.training.batch_norm_group_size for c in configurations} == {32}


@pytest.mark.parametrize("kind", SCALINGS)
def test_each_half_of_both_scalings_is_what_that_scaling_alone_plans(kind: str) -> None:
    half = [c for c in plan_both([2, 4], same_batch_norm=True, batch_norm_group_size=16) if c.training.scaling == kind]
    alone = plan_configurations(
        TrainingConfig(same_batch_norm=True, batch_norm_group_size=16, scaling=kind),
        strategies=BOTH,
        workers=[2, 4],
        num_ps=1,
    )
    assert [c for c in half if c.training.num_workers > 1] == [c for c in alone if c.training.num_workers > 1]


def test_a_sweep_that_strong_scaling_cannot_share_is_refused_with_all_that_do_not_fit() -> None:
    assert len(plan([1, 2, 4, 8])) == 1 + 2 * 4
    assert len(plan([1, 2, 3, 6, 8], scaling="weak")) == 1 + 2 * 5
    with pytest.raises(ConfigError, match=r"divisible by the number of workers\. Received: 128 and 3, 6\."):
        plan([1, 2, 3, 6, 8])
    with pytest.raises(ConfigError, match=r"Received: 128 and 3\."):
        plan_both([3])


@pytest.mark.parametrize("workers", [[2], [2, 4], [1, 2, 4], [2, 4, 8, 16, 32]])
def test_every_configuration_is_at_every_place_of_a_round_equally_often(workers: list[int]) -> None:
    distributed = plan(workers, num_ps=2)[1:]
    for own in (distributed, distributed[:-1]):  # an even and an odd number of them
        size = len(own)
        orders = [[c.name for c in order_of_round(own, 7, trial)] for trial in range(1, 2 * size + 1)]
        places = Counter((place, name) for order in orders for place, name in enumerate(order))
        followers = Counter(pair for order in orders for pair in itertools.pairwise(order))
        assert set(places.values()) == {2}
        assert len(places) == size**2
        assert set(followers.values()) <= {2}
        assert len(followers) == size * (size - 1)


def test_the_order_of_a_round_follows_from_the_seed_and_the_trial() -> None:
    configurations = plan([2, 4, 8])
    orders = {
        seed: [tuple(c.name for c in order_of_round(configurations, seed, trial)) for trial in range(1, 8)]
        for seed in range(20)
    }
    assert orders[3] == [tuple(c.name for c in order_of_round(configurations, 3, trial)) for trial in range(1, 8)]
    assert len(set(map(tuple, orders.values()))) == 20
    assert all(len(set(order)) == len(set(order[0])) for order in orders.values())
    assert order_of_round([], 0, 5) == []


def test_a_trial_has_one_seed_in_all_configurations_and_each_trial_its_own() -> None:
    seeds = [{c.for_round(trial).seed for c in plan([2, 4], seed=10)} for trial in (1, 2, 3)]
    assert seeds == [{10}, {11}, {12}]


def test_a_trial_differs_from_its_configuration_in_the_seed_only() -> None:
    configuration = plan([2])[1]
    trial = configuration.for_round(3)
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


def test_a_scaling_that_is_none_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"scaling must be strong, weak or both\. Received: linear\."):
        plan_configurations(TrainingConfig(), strategies=BOTH, workers=[2], num_ps=1, scaling="linear")
