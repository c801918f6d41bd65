"""The forecast in words and cells, as the report shows it."""

import math
from collections.abc import Iterable, Sequence

from comparison.audit import Marks, find_winner
from comparison.forecast.scaling import PARAMETER_SERVER, Check, Forecast, Interval, Scale
from comparison.statistics import Ratio
from comparison.summary import Row, split_rows
from comparison.table import CONTENDED_MARK, Cells, format_range, format_ratio
from comparison.texts import count_servers, count_workers, say

# Of distributing, that the answer in brief is about.
_MAX_WAYS = 2


def describe_forecast(forecast: Forecast) -> str:
    """Returns a forecast's way of distributing in words."""
    name, servers = say(forecast.strategy.replace("_", "-")), forecast.num_ps
    added = [count_servers(servers)] if servers else []
    added += [say("weak scaling")] if forecast.scaling == "weak" else []
    return say("{strategy} with {additions}", strategy=name, additions=say(" and ").join(added)) if added else name


def state_forecast(forecast: Forecast) -> str:
    """Returns how many workers are recommended, how fast they are, and beyond how many nothing is known."""
    return say("{first} {second}", first=_recommend(forecast), second=_state_end(forecast)).strip()


def state_outlook(rows: Sequence[Row], forecasts: Sequence[Forecast], marks: Marks) -> str:
    """Returns the same of the winner's way of distributing; where no way has won, of two at most.

    Args:
        rows: The table.
        forecasts: What `forecast_scaling` returned.
        marks: What `mark_configurations` returned.
    """
    tables = split_rows(rows)
    chosen = [
        forecast
        for scaling, own in tables.items()
        for forecast in _choose_ways(own, forecasts, scaling, marks)[: _MAX_WAYS // len(tables)]
    ]
    return " ".join(map(state_forecast, chosen))


def list_caveats(forecasts: Iterable[Forecast]) -> list[str]:
    """Returns what a reader must know before trusting the forecasts, each caveat once."""
    return list(dict.fromkeys(caveat for forecast in forecasts for caveat in _list_own_caveats(forecast)))


def state_check(check: Check) -> str:
    """Returns how a forecast from fewer workers met what was measured, in a sentence."""
    measured = check.scale.speedup
    is_met = measured.low <= check.forecast.high and check.forecast.low <= measured.high
    return say(
        "From {workers} alone, {range} would have been forecast for {number}; measured: {measured}, {verdict}.",
        workers=count_workers(check.from_workers),
        range=_state_range(check.forecast),
        number=f"{check.scale.num_workers:,}",
        measured=_format_scale(check.scale, measured),
        verdict=say("as forecast") if is_met else say("not as forecast"),
    )


def tabulate_workers(forecast: Forecast) -> Cells:
    """Returns a row for each number of workers that was measured or is forecast."""
    columns = [say("workers"), say("source"), say("speedup"), say("whole-job speedup")]
    rows = [
        [
            f"{scale.num_workers:,}",
            _name_source(scale),
            _format_scale(scale, scale.speedup),
            format_range(*scale.job_speedup),
        ]
        for scale in forecast.scales
    ]
    return Cells(columns, rows)


def _recommend(forecast: Forecast) -> str:
    choice = forecast.choice
    values = {
        "way": describe_forecast(forecast),
        "workers": count_workers(choice.num_workers),
        "range": _state_range(choice.speedup),
        "source": _name_source(choice),
    }
    if choice.speedup.low > 1:
        recommended = "{workers} are recommended for {way}: {range} times as fast as a single node{job} ({source})."
        return say(recommended, job=_state_job(choice), **values)
    if max(scale.speedup.high for scale in forecast.known) <= 1:
        alone = "A single node is recommended, not {way}: with {workers} it is {range} times as fast ({source})."
        return say(alone, **values)
    undecided = (
        "Whether {way} pays off is open: with {workers} it is {range} times as fast as a single node ({source})."
    )
    return say(undecided, **values)


def _state_job(scale: Scale) -> str:
    """Returns whether start-up leaves anything of what training saves, nothing where it surely does."""
    if scale.job_speedup.low > 1:
        return ""
    if scale.job_speedup.high <= 1:
        return say(" in training, which its start-up takes back")
    return say(" in training, which its start-up may take back")


def _state_end(forecast: Forecast) -> str:
    """Returns beyond how many workers nothing is known, and how to know more; nothing where no more are possible."""
    largest = forecast.largest
    if largest >= forecast.most_possible:
        return ""
    if not forecast.ahead:  # the batch has no divisor that is near enough
        return say("Not known beyond {largest}.", largest=count_workers(largest))
    others = forecast.num_ps + 1 if forecast.strategy == PARAMETER_SERVER else 0
    cores = (largest + others) * math.ceil(forecast.cpus_per_replica)
    is_here = forecast.machine_cores is None or cores <= forecast.machine_cores
    counts = sorted({*(scale.num_workers for scale in forecast.known), largest})
    return say(
        "Not known beyond {largest}: measure with {option}{place}.",
        largest=count_workers(largest),
        option=f"--workers {' '.join(map(str, counts))}",
        place="" if is_here else say(" on a machine of {cores} cores", cores=f"{cores:,}"),
    )


def _choose_ways(rows: Sequence[Row], forecasts: Iterable[Forecast], scaling: str, marks: Marks) -> list[Forecast]:
    """Returns the forecast of the winner's way of distributing, or where it has none those of all ways."""
    ways = {row.configuration: (row.strategy, row.num_ps, row.cpus_per_replica) for row in rows}
    own = {(one.strategy, one.num_ps, one.cpus_per_replica): one for one in forecasts if one.scaling == scaling}
    won = ways.get(find_winner(rows, marks) or "")
    return [own[won]] if won in own else [*own.values()]


def _list_own_caveats(forecast: Forecast) -> list[str]:
    caveats = [say("A forecast is of speed with more of the same machines and the same network, not of accuracy.")]
    if forecast.is_local:
        caveats.append(say("No message left this machine: a network between the workers makes their steps longer."))
    if forecast.ahead and not forecast.is_exchange_timed:
        caveats.append(say("The trials did not time an exchange by itself, which makes the range wider."))
    if forecast.ahead and forecast.strategy == PARAMETER_SERVER:
        full = "Parameter servers and their coordinator may be full with any further worker: hence the range's low end."
        caveats.append(say(full))
    return caveats


def _name_source(scale: Scale) -> str:
    """Returns where a speedup is known from, marked where replicas shared too few cores."""
    source = say("measured") if scale.measured else say("forecast")
    return f"{source} {CONTENDED_MARK}" if scale.is_contended else source


def _state_range(interval: Interval) -> str:
    return say("{low} to {high}", low=f"{interval.low:.2f}", high=f"{interval.high:.2f}")


def _format_scale(scale: Scale, interval: Interval) -> str:
    """Returns a measured speedup with its interval, a forecast's range alone."""
    return format_ratio(Ratio(scale.measured, *interval)) if scale.measured else format_range(*interval)
