from typing import Any

import pytest

from tests.faults.scatter import Scatter, describe_scatter, measure


def test_as_many_trainings_have_one_seed_as_there_are_seeds() -> None:
    trained = []

    def train(seed: int, name: str) -> dict[str, Any]:
        trained.append((seed, name))
        return {"weights": f"of seed {seed}", "accuracy": 0.9 + seed / 100}

    scatter = measure(train, 3, at_once=1)
    assert trained == [(0, "seed-0"), (1, "seed-1"), (2, "seed-2"), (0, "repeated-1"), (0, "repeated-2")]
    assert scatter == Scatter(["of seed 0"] * 3, [0.9, 0.91, 0.92])
    assert scatter.can_be_repeated


def test_trainings_that_cannot_be_repeated_are_told_from_those_that_can() -> None:
    scatter = Scatter(["a", "a", "b"], [0.90, 0.91, 0.95])
    assert not scatter.can_be_repeated
    assert describe_scatter(scatter) == (
        "3 undisturbed trainings with one seed ended with 2 set(s) of weights. With 3 seeds the validation accuracy "
        "was 0.900 to 0.950: mean 0.920, standard deviation 0.026."
    )


@pytest.mark.parametrize("num_seeds", [2, 3])
def test_seeds_that_differ_say_nothing_of_one_that_is_repeated(num_seeds: int) -> None:
    assert Scatter(["a", "a"], [0.1 * seed for seed in range(num_seeds)]).can_be_repeated
