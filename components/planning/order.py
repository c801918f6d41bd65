"""The order of a run's trials, one after another: rounds in mirrored pairs, laid out over the pipeline's loop."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from components.planning.names import name_trial
from components.planning.plan import RunPlan
from model.plan import order_of_round

# The steps that train, as the pipeline names them.
SINGLE_NODE, DISTRIBUTED = "train-single-node", "train-distributed"


@dataclass(frozen=True)
class Place:
    """The place of a trial in the order of its run.

    Attributes:
        number: Where it stands among all trials, from 1.
        round_number: The round, from 1: each configuration once, with one seed.
        iteration: The iteration of the pipeline's loop, from 1.
        step: Which step of the iteration trains it.
        configuration: What is trained.
        trial: Which repeat of it this is, from 1.
    """

    number: int
    round_number: int
    iteration: int
    step: str
    configuration: Any
    trial: int

    @property
    def name(self) -> str:
        """The name of the trial's folders in the workspace."""
        return name_trial(self.configuration.name, self.trial)

    def __str__(self) -> str:
        return f"{self.configuration.name}, trial {self.trial}"


def list_places(plan: RunPlan) -> list[Place]:
    """Returns all trials of a run in the order in which they are trained, one after another.

    Rounds come in pairs, of which the second is the first in a mirror. So within a pair every configuration has the
    same mean place: neither a machine that slows down over the run nor one that does so over each round favours any.
    Which of them are neighbours is drawn for each pair, around the baseline, which begins and ends it. A last round
    without a partner ends with the baseline once more: the middle of the two is the middle of the round.

    The pipeline's loop goes over these pairs: an iteration trains what single nodes come next to each other, then what
    distributed ones do. So a step waits for what comes before it in the loop, and never for what comes after.
    """
    trials = plan.parameters.trials
    order = [
        (number, _name_step(plan, configuration), configuration, number)
        for number in range(1, trials + 1)
        for configuration in _order_round(plan, number)
    ]
    if trials % 2:
        order.append((trials, SINGLE_NODE, plan.configurations[0], trials + 1))
    return [
        Place(place, number, _find_iteration(step, number, trial), step, configuration, trial)
        for place, (number, step, configuration, trial) in enumerate(order, start=1)
    ]


def count_iterations(trials: int) -> int:
    """Returns how often the pipeline's loop runs its two steps: once a pair of rounds, and for the last single nodes.

    Args:
        trials: Repeats of each configuration.
    """
    return (trials + 1) // 2 + 1


def _order_round(plan: RunPlan, number: int) -> Sequence[Any]:
    """Returns the configurations in the order of a round, from 1."""
    baseline, *bigger = plan.single_nodes
    pair, seed = (number + 1) // 2, plan.parameters.seed
    order = [baseline, *order_of_round(bigger, seed, pair), *order_of_round(plan.distributed, seed, pair)]
    return order if number % 2 else order[::-1]


def _name_step(plan: RunPlan, configuration: Any) -> str:
    return SINGLE_NODE if configuration in plan.single_nodes else DISTRIBUTED


def _find_iteration(step: str, number: int, trial: int) -> int:
    """Returns the iteration for a trial of a round: single nodes that end a round join those that begin the next."""
    pair = (number + 1) // 2
    ends_round = step == SINGLE_NODE and (number % 2 == 0 or trial != number)
    return pair + ends_round
