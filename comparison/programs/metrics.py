"""How good the trained models are: by a metric that the program tells, as far as it allows a verdict."""

import math
import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from comparison.accuracies import measure_relevant
from comparison.groups import average_rounds, list_trials
from comparison.programs.measure import ProgramGroups, ProgramTrials
from comparison.programs.record import ProgramMetric, ProgramTrial
from comparison.statistics import (
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
)
from comparison.table import UNKNOWN, format_number
from comparison.texts import say

# Two means that are further apart are hardly of one scale: a share and per cent, a loss and its sum.
_SAME_SCALE = 10.0
_DIGITS = 4
# As what listens to a program notes it; the value is the last finite one.
_UNFINITE = re.compile(r"'s last (?P<name>.+) was no finite number")
# What cannot be above 1: two workers' accuracies that were added up may be 1.95.
_SHARES = re.compile(r"acc|auc|precision|recall|f1", re.IGNORECASE)


class Metric(NamedTuple):
    """A metric that a comparison is about.

    Attributes:
        name: What the program calls it.
        higher_is_better: Its direction; None where it is not told, or not by all alike.
    """

    name: str
    higher_is_better: bool | None


class Quality(NamedTuple):
    """How a configuration's metric compares with the baseline's.

    Attributes:
        own: Its mean; None where a trial does not tell it.
        base: The baseline's.
        margin: The half-width of the difference's 95 % interval; None where there is none.
        direction: 1 better, -1 worse, 0 not told apart or not judged.
        reason: Why it is not judged, a clause; empty where it is.
        is_doubtful: Whether it is worse by a relevant amount, and not told apart only since its own trials scatter.
    """

    own: float | None
    base: float | None
    margin: float | None = None
    direction: int = 0
    reason: str = ""
    is_doubtful: bool = False

    @property
    def is_no_gain(self) -> bool:
        """Whether it is worse than the baseline's, or not shown to be as good: what is faster is then no gain."""
        return self.direction < 0 or self.is_doubtful


def choose_metric(groups: ProgramGroups, wanted: str = "") -> Metric | None:
    """Returns the metric that the comparison is about, None where none is told.

    That is the one that a person asked for, else the first of the baseline's that has a direction, else its first: by
    what the program tells, never by how it compares.

    Args:
        groups: The trials of each configuration, the baseline first.
        wanted: The name that a person asked for, if any.
    """
    told = [metric for trial in list_trials(groups) for metric in trial.metrics]
    names = list(dict.fromkeys(metric.name for metric in told))
    directed = [name for name in names if _find_direction(told, name) is not None]
    asked = [name for name in names if is_metric_asked(name, wanted)]
    name = next(iter([*([wanted] if wanted in names else []), *asked, *directed, *names]), None)
    return None if name is None else Metric(name, _find_direction(told, name))


def is_metric_asked(name: str, wanted: str) -> bool:
    """Returns whether a metric is the one that a person asked for: `accuracy` is told as `val_accuracy`, too."""
    own, asked = (text.lower().replace(" ", "_") for text in (name, wanted))
    return bool(asked) and (own == asked or own.endswith(f"_{asked}"))


def list_values(trials: ProgramTrials, metric: Metric) -> list[float]:
    """Returns the metric of each round; nothing where a trial does not tell it."""
    return [*(_average(trials, metric) or {}).values()]


def find_metric(trial: ProgramTrial, name: str) -> ProgramMetric | None:
    """Returns a trial's metric of that name: of several replicas' the first, which is the chief's."""
    return next((metric for metric in trial.metrics if metric.name == name), None)


def compare_metric(baseline: ProgramTrials, trials: ProgramTrials, metric: Metric) -> Quality:
    """Returns how a configuration's metric compares with the baseline's, round with round where both have the same.

    The interval is the wider one of what the scatter between rounds and, of a share of so many examples, what their
    number explains. Where every round gave the very same value it is one draw, and says nothing of its scatter.
    """
    own, base = _average(trials, metric), _average(baseline, metric)
    if not own or not base:
        values = _mean(own), _mean(base)
        return Quality(*values, reason=say("not every trial tells it"))
    means = compute_mean([*own.values()]), compute_mean([*base.values()])
    sampling = _compute_sampling_margin([*baseline, *trials], metric, means)
    scatter = _compute_scatter(own, base)
    known = [margin for margin in (sampling, scatter) if margin is not None]
    margin = max(known, default=None)
    reason = _state_doubt([*baseline, *trials], metric, [*own.values(), *base.values()])
    if not reason and min(len(own), len(base)) == 1:
        reason = say("a single round tells nothing of its scatter")
    if not reason and margin is None:
        reason = say("every round gave the very same value, which tells nothing of its scatter")
    if reason or margin is None:
        return Quality(*means, margin, reason=reason)
    gain = means[0] - means[1] if metric.higher_is_better else means[1] - means[0]
    direction = (gain > margin) - (gain < -margin)
    least = max(measure_relevant(means[1], higher_is_better=bool(metric.higher_is_better)), sampling or 0.0)
    is_doubtful = direction == 0 and -gain > max(least, _measure_usual(own, base))
    return Quality(*means, margin, direction, is_doubtful=is_doubtful)


def format_metric(value: float | None) -> str:
    """Returns a metric as a reader sees it."""
    return UNKNOWN if value is None else format_number(value, _DIGITS)


def _find_direction(told: Iterable[ProgramMetric], name: str) -> bool | None:
    """Returns the direction of a metric, None where it is not told or contradicted."""
    directions = {metric.higher_is_better for metric in told if metric.name == name} - {None}
    return directions.pop() if len(directions) == 1 else None


def _average(trials: ProgramTrials, metric: Metric) -> dict[tuple[str, int], float] | None:
    """Returns the metric of each round, None where a trial does not tell it."""
    values = {id(trial): own.value for trial in trials if (own := find_metric(trial, metric.name))}
    return average_rounds(trials, lambda trial: values[id(trial)]) if len(values) == len(trials) and trials else None


def _state_doubt(trials: ProgramTrials, metric: Metric, values: Sequence[float]) -> str:
    """Returns why values of a metric allow no verdict, a clause; empty where nothing is against it."""
    if metric.higher_is_better is None:
        return say("which direction is better is not told")
    if any(_list_unfinite(trial, metric) for trial in trials):
        return say("its last value was no finite number")
    if any(trial.was_cut for trial in trials):
        return say("the trainings were cut")
    is_any_share = any(own.num_examples for trial in trials for own in trial.metrics if own.name == metric.name)
    least, most = min(values), max(values)
    if least >= 0 and most <= 1:
        return ""
    is_mixed = least <= 1 < most and (is_any_share or _SHARES.search(metric.name))
    if is_mixed or least < 0 < most or max(abs(least), abs(most)) > _SAME_SCALE * min(abs(least), abs(most)):
        return say("its values are of different scales")
    return ""


def _list_unfinite(trial: ProgramTrial, metric: Metric) -> list[str]:
    """Returns the notes by which what listens to a program says that its metric ended as no finite number."""
    return [note for note in trial.notes if (found := _UNFINITE.search(note)) and found["name"] == metric.name]


def _compute_sampling_margin(trials: ProgramTrials, metric: Metric, means: tuple[float, float]) -> float | None:
    """Returns what the number of examples explains of a difference of shares; None where it is no share."""
    numbers = [own.num_examples for trial in trials if (own := find_metric(trial, metric.name))]
    known = [number for number in numbers if number is not None]
    if len(known) < len(trials) or not all(0 <= mean <= 1 for mean in means):
        return None
    return compute_proportion_difference_ci95(compute_mean(means), min(known))


def _compute_scatter(own: dict[tuple[str, int], float], base: dict[tuple[str, int], float]) -> float | None:
    """Returns the half-width of the interval of a difference of means by rounds; None where nothing tells it."""
    if min(len(own), len(base)) == 1 or 1 in (len({*own.values()}), len({*base.values()})):
        return None
    if own.keys() == base.keys():
        return compute_ci95([own[turn] - base[turn] for turn in own])
    return compute_difference_ci95([*own.values()], [*base.values()])


def _measure_usual(own: dict[tuple[str, int], float], base: dict[tuple[str, int], float]) -> float:
    """Returns how far chance moves a difference of means if both scatter as the baseline does.

    What a program prints of its last step scatters by much in every training. But a training that goes astray must not
    hide behind the scatter that it makes itself.

    Source: Glass, "Primary, secondary, and meta-analysis of research", Educational Researcher 5 (1976), for the control
    group's standard deviation as the measure.
    """
    return (compute_ci95([*base.values()]) or 0.0) * math.sqrt(1 + len(base) / len(own))


def _mean(values: dict[tuple[str, int], float] | None) -> float | None:
    return compute_mean([*values.values()]) if values else None
