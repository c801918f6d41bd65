"""How far undisturbed trainings with parameter servers end apart: with one seed repeated, and from seed to seed.

Who was hit must end with the weights of a training that was not. That is a fair demand where a repetition meets it, and
the only one that tells a training with another seed, or with a part of its steps missing, from the whole one.
"""

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

BEGIN, END = "<!-- make test-faults --scatter: begin -->", "<!-- make test-faults --scatter: end -->"


class Scatter(NamedTuple):
    """What undisturbed trainings ended with.

    Args:
        repeated: Digests of the weights of those with one seed.
        accuracies: Validation accuracies of one training of each seed.
    """

    repeated: Sequence[str]
    accuracies: Sequence[float]

    @property
    def can_be_repeated(self) -> bool:
        """Whether one seed gives one result."""
        return len({*self.repeated}) == 1


def measure(train: Callable[[int, str], dict[str, Any]], num: int, at_once: int) -> Scatter:
    """Trains with one seed and with several, so many times each; the first training counts for both.

    Args:
        train: Trains with a seed, under a name, and returns what the training ended with.
        num: How many times.
        at_once: How many side by side.
    """
    jobs = [*((seed, f"seed-{seed}") for seed in range(num)), *((0, f"repeated-{n}") for n in range(1, num))]

    def train_one(job: tuple[int, str]) -> dict[str, Any]:
        told = train(*job)
        print(f"undisturbed, {job[1]}: accuracy {told['accuracy']:.3f}, weights {told['weights'][:12]}", flush=True)
        return told

    with ThreadPoolExecutor(at_once) as pool:
        told = [*pool.map(train_one, jobs)]
    return Scatter([one["weights"] for one in (told[0], *told[num:])], [one["accuracy"] for one in told[:num]])


def describe_scatter(scatter: Scatter) -> str:
    """Returns in two sentences how far trainings lie apart."""
    accuracies = scatter.accuracies
    return (
        f"{len(scatter.repeated)} undisturbed trainings with one seed ended with {len({*scatter.repeated})} set(s) of "
        f"weights. With {len(accuracies)} seeds the validation accuracy was {min(accuracies):.3f} to "
        f"{max(accuracies):.3f}: mean {statistics.mean(accuracies):.3f}, standard deviation "
        f"{statistics.stdev(accuracies):.3f}."
    )
