"""The metrics of a `Measurement`: one value of each, its direction, and its way there."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from program.measurement import CurvePoint, Metric
from program.metric_names import find_direction, is_share
from program.replicas import rank_replica
from program.settings import Settings
from program.tally import Series, Tally

_ROUNDED = 1e-6
_MOST_PER_CENT = 100.0
_PREFIXES = ("eval_", "val_")


@dataclass
class Metrics:
    """The last value of each metric, the curve, each replica's own values to compare, and what to know of them."""

    metrics: list[Metric] = field(default_factory=list)
    curve: list[CurvePoint] = field(default_factory=list)
    by_replica: dict[str, dict[str, float]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Scale:
    """What values are divided by, and above what they are none."""

    divisor: float = 1.0
    most: float = math.inf

    def read(self, value: float) -> float | None:
        return None if value > self.most else value / self.divisor


def read_metrics(tallies: Mapping[str, Tally], settings: Settings, lead: str | None, began_at: float | None) -> Metrics:
    """Returns the metrics that replicas told, the one that a person names first."""
    found = Metrics()
    replicas = sorted(tallies, key=lambda name: (name != lead, rank_replica(name)))
    names = list(dict.fromkeys(name for replica in replicas for name in tallies[replica].series))
    asked = find_asked(settings.metric, names)
    for name in sorted(names, key=lambda name: (name != asked, _rank_name(name))):
        told = {replica: tallies[replica].series[name] for replica in replicas if name in tallies[replica].series}
        scale = _find_scale(name, told, settings.num_workers, found.notes)
        direction = settings.higher_is_better if name == asked else None
        _read_one(found, name, told, scale, higher_is_better=direction, began_at=began_at)
        for replica, value in _list_comparable(told, is_cut=settings.measure_steps > 0).items():
            if (scaled := scale.read(value)) is not None:
                found.by_replica.setdefault(replica, {})[name] = scaled
    if settings.metric and asked is None:
        told_names = ", ".join(names) or "none"
        found.notes.append(f"The metric {settings.metric!r} was never told; these were: {told_names}.")
    elif asked is not None and asked != settings.metric:
        found.notes.append(f"The metric {settings.metric!r} is told as {asked!r}.")
    return found


def find_asked(metric: str, names: list[str]) -> str | None:
    """Returns which of the told names is the metric that a person names: itself, else evaluated, else in other case."""
    if not metric:
        return None
    for name in (metric, *(prefix + metric for prefix in _PREFIXES)):
        if name in names:
            return name
    plain = metric.lower().replace(" ", "_")
    return next((name for name in names if name.lower().replace(" ", "_") == plain), None)


def _read_one(
    found: Metrics,
    name: str,
    told: Mapping[str, Series],
    scale: _Scale,
    *,
    higher_is_better: bool | None,
    began_at: float | None,
) -> None:
    is_first = True
    for replica, series in told.items():
        value = None if series.last is None else scale.read(series.last.value)
        if series.last is None or value is None:
            continue
        if series.ends_unfinite:
            found.notes.append(f"{replica}'s last {name} was no finite number; its last that was is {value:.6g}.")
        if not is_first:
            continue
        is_first = False
        direction = find_direction(name) if higher_is_better is None else higher_is_better
        found.metrics.append(Metric(name, value, direction, series.last.num_examples, replica))
        if began_at is not None:
            found.curve += [
                CurvePoint(name, scaled, max(0.0, point.at - began_at), point.step)
                for point in series.list_points()
                if (scaled := scale.read(point.value)) is not None
            ]
    if is_first and any(series.ends_unfinite for series in told.values()):
        found.notes.append(f"{name} was never a finite number, so that it is no metric.")


def _list_comparable(told: Mapping[str, Series], *, is_cut: bool) -> dict[str, float]:
    """Returns each replica's value of one metric at the last step that all of them told, else its last value.

    Replicas that are ended, since enough is measured or since the chief is done, stop at steps of their own; what a
    cut training told last is no value of the same step, and so none to compare.
    """
    values = {
        replica: {p.step: p.value for p in series.list_points() if p.step is not None}
        for replica, series in told.items()
    }
    if common := set.intersection(*map(set, values.values())):
        return {replica: own[max(common)] for replica, own in values.items()}
    if is_cut and len(told) > 1:
        return {}
    return {replica: series.last.value for replica, series in told.items() if series.last is not None}


def _find_scale(name: str, told: Mapping[str, Series], num_workers: int, notes: list[str]) -> _Scale:
    """Returns how the values of a share are to be read: as they are, as per cent, or without sums over workers.

    A progress bar of several workers shows the sum of theirs before an epoch's end, up to as many as there are
    workers; what is more than that can be per cent only.
    """
    if not is_share(name):
        return _Scale()
    values = [point.value for series in told.values() for point in series.list_points()]
    top = max(values, default=0.0)
    if top <= 1 + _ROUNDED or top > _MOST_PER_CENT * (1 + _ROUNDED):
        return _Scale()
    if top > num_workers * (1 + _ROUNDED):
        notes.append(f"{name} was told in per cent and is kept as a share.")
        return _Scale(divisor=100.0)
    notes.append(f"{name} was above 1 at times: sums over the workers, which were passed over.")
    return _Scale(most=1 + _ROUNDED)


def _rank_name(name: str) -> tuple[int, bool, bool]:
    """Returns a key: what was evaluated before what was validated before the training's own, shares before losses."""
    place = next((index for index, prefix in enumerate(_PREFIXES) if name.startswith(prefix)), len(_PREFIXES))
    return place, not is_share(name), find_direction(name) is None
