import itertools
from collections import Counter
from statistics import mean
from typing import Any

import pytest

from comparison.power import mirror_rounds
from comparison.power.design import BASELINE
from components.planning.order import DISTRIBUTED, SINGLE_NODE, Place, count_iterations, list_places
from components.planning.plan import RunPlan
from tests.components.plan_factory import make_plan

PLANS: list[dict[str, Any]] = [
    {},
    {"strategies": ["all_reduce"]},
    {"bigger_nodes": True},
    {"bigger_nodes": True, "workers": [2, 4], "seed": 3},
    {"bigger_nodes": True, "workers": [1, 2, 4, 8], "scaling": "both", "seed": 11},
]
EVERY_PLAN = pytest.mark.parametrize("changes", PLANS)
EVERY_NUMBER = pytest.mark.parametrize("trials", range(1, 9))


def mean_places(places: list[Place]) -> dict[str, float]:
    names = {place.configuration.name for place in places}
    return {name: mean(place.number for place in places if place.configuration.name == name) for name in names}


def of_rounds(places: list[Place], *numbers: int) -> list[Place]:
    return [place for place in places if place.round_number in numbers]


@pytest.mark.parametrize(
    ("trials", "order"),
    [
        (1, "S P A S"),
        (2, "S P A A P S"),
        (3, "S P A A P S S A P S"),
        (4, "S P A A P S S A P P A S"),
    ],
)
def test_a_run_begins_and_ends_with_the_baseline_and_every_second_round_is_a_mirror(trials: int, order: str) -> None:
    letters = {"single": "S", "all-reduce-2w": "A", "parameter-server-2w-1ps": "P"}
    places = list_places(make_plan(trials=trials, seed=0))
    assert " ".join(letters[place.configuration.name] for place in places) == order


@pytest.mark.parametrize(
    "changes",
    [
        {"strategies": ["all_reduce"]},
        {},
        {"workers": [2, 4]},
        {"workers": [2, 4], "bigger_nodes": True},
    ],
)
@pytest.mark.parametrize("trials", range(1, 7))
def test_the_simulations_of_errors_train_in_the_order_of_a_run(changes: dict[str, Any], trials: int) -> None:
    places = list_places(make_plan(trials=trials, seed=0, **changes))
    rounds = [[own.configuration.name for own in of_rounds(places, number)] for number in range(1, trials + 1)]
    names = list(dict.fromkeys(rounds[0]))

    for first in range(0, trials, 2):
        pair = rounds[first : first + 2]
        # Who is whose neighbour is drawn anew for each pair.
        order = [names.index(name) for name in dict.fromkeys(pair[0])]
        assert order[0] == BASELINE
        assert [[names.index(name) for name in own] for own in pair] == mirror_rounds(order, len(pair))
    assert names[BASELINE] == "single"
    assert [*map(len, rounds)] == [*map(len, mirror_rounds(range(len(names)), trials))]


def test_bigger_nodes_stand_between_the_baseline_and_the_distributed_trainings() -> None:
    places = list_places(make_plan(trials=3, seed=0, bigger_nodes=True, strategies=["all_reduce"]))
    assert [place.configuration.name for place in places] == [
        *("single", "single-2x-cpus", "all-reduce-2w"),
        *("all-reduce-2w", "single-2x-cpus", "single"),
        *("single", "single-2x-cpus", "all-reduce-2w", "single"),
    ]


@EVERY_PLAN
@EVERY_NUMBER
def test_in_a_pair_of_rounds_every_configuration_has_the_same_mean_place(changes: dict[str, Any], trials: int) -> None:
    places = list_places(make_plan(trials=trials, **changes))
    for first in range(1, trials, 2):
        pair = of_rounds(places, first, first + 1)
        assert set(mean_places(pair).values()) == {mean(place.number for place in pair)}


@EVERY_PLAN
@EVERY_NUMBER
def test_in_a_last_round_without_a_partner_the_baseline_stands_in_the_middle(
    changes: dict[str, Any], trials: int
) -> None:
    places = list_places(make_plan(trials=trials, **changes))
    last = of_rounds(places, trials)
    baseline = [place for place in last if place.configuration.name == "single"]
    if trials % 2:
        assert mean(place.number for place in baseline) == mean(place.number for place in last)
        assert [place.trial for place in baseline] == [trials, trials + 1]
    else:
        assert len(baseline) == 1


@EVERY_PLAN
@EVERY_NUMBER
def test_a_round_has_each_configuration_once_and_one_seed(changes: dict[str, Any], trials: int) -> None:
    plan = make_plan(trials=trials, **changes)
    places = list_places(plan)
    assert len({place.name for place in places}) == len(places)
    assert [place.number for place in places] == [*range(1, len(places) + 1)]
    for number in range(1, trials + 1):
        own = of_rounds(places, number)
        once_more = {"single": 1} if number == trials and trials % 2 else {}
        assert Counter(place.configuration.name for place in own) == Counter(
            [c.name for c in plan.configurations]
        ) + Counter(once_more)
        seeds = {place.configuration.for_round(place.round_number).seed for place in own}
        assert seeds == {plan.parameters.seed + number - 1}


@EVERY_PLAN
@EVERY_NUMBER
def test_a_step_never_waits_for_what_comes_after_it(changes: dict[str, Any], trials: int) -> None:
    # In the local runner iterations run one after another, in KFP's graph side by side: single nodes first in each.
    places = list_places(make_plan(trials=trials, **changes))
    order = [(place.iteration, [SINGLE_NODE, DISTRIBUTED].index(place.step)) for place in places]
    assert order == sorted(order)
    assert {place.iteration for place in places} == {*range(1, count_iterations(trials) + 1)}


def test_the_single_node_under_its_second_name_has_the_places_of_a_distributed_training() -> None:
    for trials in range(1, 9):
        both = [
            [(p.round_number, p.iteration, p.step, p.trial) for p in list_places(make_plan(trials=trials, **changes))]
            for changes in ({"a_a": True}, {"strategies": ["all_reduce"]})
        ]
        assert both[0] == both[1]


@EVERY_PLAN
@EVERY_NUMBER
def test_single_nodes_and_distributed_trainings_have_a_step_each(changes: dict[str, Any], trials: int) -> None:
    for place in list_places(make_plan(trials=trials, **changes)):
        assert (place.step == SINGLE_NODE) == (place.configuration.training.strategy == "single")


def test_what_is_distributed_has_other_neighbours_in_every_pair() -> None:
    places = list_places(make_plan(trials=12, workers=[2, 4, 8], seed=1))
    rounds = [of_rounds(places, number) for number in range(1, 12, 2)]
    followers = Counter(
        (one.configuration.name, other.configuration.name)
        for own in rounds
        for one, other in itertools.pairwise(own[1:])
    )
    assert set(followers.values()) == {1}


def test_the_plan_that_is_read_has_the_order_of_the_one_that_was_written(tmp_path: Any) -> None:
    plan = make_plan(trials=5, bigger_nodes=True, workers=[2, 4])
    plan.write(tmp_path / "run.json")
    assert list_places(RunPlan.read(tmp_path / "run.json")) == list_places(plan)
