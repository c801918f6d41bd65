"""The forecast in words and cells, as the report shows it."""

import math
from collections.abc import Iterable, Sequence

from comparison.audit import Marks, find_winner
from comparison.forecast.model import NETWORKS, PARAMETER_SERVER, Network
from comparison.forecast.scaling import (
    Check,
    Estimate,
    Forecast,
    Outlook,
    list_worker_counts,
    look_ahead,
    tabulate_scales,
)
from comparison.summary import Row, split_rows
from comparison.table import EN_DASH, TIMES, format_number, format_range
from comparison.texts import count_servers, count_workers, say

MINUS = "\N{MINUS SIGN}"
# Of distributing, that the answer in brief is about.
_MAX_WAYS = 2


def describe_forecast(forecast: Forecast) -> str:
    """Returns a forecast's way of distributing in words."""
    name, servers = say(forecast.job.strategy.replace("_", "-")), forecast.job.num_ps
    added = [count_servers(servers)] if servers else []
    added += [say("weak scaling")] if forecast.job.scaling == "weak" else []
    return say("{strategy} with {additions}", strategy=name, additions=say(" and ").join(added)) if added else name


def state_forecast(forecast: Forecast) -> str:
    """Returns with how many workers a forecast pays off, is fastest and is cheapest, in a sentence."""
    values = _list_values(forecast)
    values["subject"] = _capitalize(values["subject"])
    if math.isinf(forecast.outlook.break_even.value):
        return say(
            "{subject} is predicted not to pay off with up to {largest} workers{could}: at best {best} as fast as a "
            "single node, and cheapest in core-seconds with {cheapest}.",
            **values,
        )
    return say(
        "{subject} is predicted to pay off {range}{job}, to be fastest with about {fastest}{limit}, {best} as fast as "
        "a single node, and cheapest in core-seconds with {cheapest}.",
        **values,
    )


def state_outlook(rows: Sequence[Row], forecasts: Sequence[Forecast], marks: Marks) -> str:
    """Returns in brief with how many workers it pays off, and with how many it is fastest; nothing where unknown.

    It is about the winner's way of distributing. Where no way has won it is about two at most.

    Args:
        rows: The table.
        forecasts: What `forecast_scaling` returned.
        marks: What `mark_configurations` returned: a way that trains worse models, or whose trials prove nothing, has
            no outlook.
    """
    tables = split_rows(rows)
    chosen = [
        forecast
        for scaling, own in tables.items()
        for forecast in _choose_ways(own, forecasts, scaling, marks)[: _MAX_WAYS // len(tables)]
    ]
    return say("{clauses}.", clauses=say("; ").join(map(_state_briefly, chosen))) if chosen else ""


def list_caveats(forecasts: Iterable[Forecast]) -> list[str]:
    """Returns what a reader must know before trusting the forecasts, each caveat once."""
    return list(dict.fromkeys(caveat for forecast in forecasts for caveat in _list_own_caveats(forecast)))


def state_check(check: Check) -> str:
    """Returns how well a forecast from fewer workers met what was measured, in a sentence."""
    return say(
        "Predicted from {workers} for {number}: {predicted}; measured {measured}×: {error} %{fairness}.",
        workers=count_workers(check.fitted_workers),
        number=f"{check.num_workers:,}",
        predicted=_format_speedup(check.predicted),
        measured=f"{check.measured.value:.2f}",
        error=f"{'+' if check.error >= 0 else MINUS}{abs(100 * check.error):.0f}",
        fairness=say("; not a fair check: the replicas shared too few cores") if check.is_contended else "",
    )


def tabulate_networks(forecast: Forecast) -> list[list[str]]:
    """Returns a row of cells for the network of the trials and for each other one that could take its place.

    Where the messages have crossed a network already, another one cannot be added to it.
    """
    networks = [network for network in NETWORKS if forecast.is_local or network.replaces_measured]
    own = say("as in the trials (loopback)") if forecast.is_local else say("as in the trials")
    rows = {own: forecast.outlook}
    rows |= {say(network.name): look_ahead(forecast, network) for network in networks}
    largest = _find_largest(forecast)
    return [[name, *_format_outlook(outlook, largest)] for name, outlook in rows.items()]


def tabulate_workers(forecast: Forecast) -> list[list[str]]:
    """Returns a row of cells for each number of workers, predicted on the network of the trials."""
    counts = [count for count in list_worker_counts(forecast.job).tolist() if count & (count - 1) == 0]
    return [
        [
            f"{scale.num_workers:,}",
            _format_band(scale.speedup),
            f"{100 * scale.scaling_efficiency.value:.0f} %",
            _format_numbers(scale.job_seconds),
            _format_numbers(scale.core_seconds),
        ]
        for scale in tabulate_scales(forecast, counts)
    ]


def describe_networks() -> list[tuple[str, str]]:
    """Returns α, β and their source of each network that is looked at, by its name."""
    return [(say(network.name), f"{_format_costs(network)}; {network.source}.") for network in NETWORKS]


def format_workers(estimate: Estimate) -> str:
    """Returns a number of workers with its band, where that is wider than the number."""
    value, low, high = (say("never") if math.isinf(count) else f"{count:,.0f}" for count in estimate)
    return value if low == high else f"{value} ({low}{EN_DASH}{high})"


def _choose_ways(rows: Sequence[Row], forecasts: Iterable[Forecast], scaling: str, marks: Marks) -> list[Forecast]:
    """Returns the forecast of the winner's way of distributing, or where it has none those of all sound ways."""
    ways = {
        row.configuration: (row.strategy, row.num_ps, row.cpus_per_replica)
        for row in rows
        if row.configuration not in {*marks.worse, *marks.unproven}
    }
    sound = {
        key: own
        for own in forecasts
        if own.job.scaling == scaling
        and (key := (own.job.strategy, own.job.num_ps, own.job.cpus_per_replica)) in ways.values()
    }
    won = ways.get(find_winner(rows, marks) or "")
    return [sound[won]] if won in sound else [*sound.values()]


def _state_briefly(forecast: Forecast) -> str:
    values = _list_values(forecast)
    if math.isinf(forecast.outlook.break_even.value):
        never = (
            "{subject} does not pay off with up to {largest} workers{could}: at best {best} as fast as a single node"
        )
        return say(never, **values)
    brief = "{subject} pays off {range}{job} and is fastest with about {fastest}{limit}, {best}"
    return say(brief, **values)


def _list_values(forecast: Forecast) -> dict[str, str]:
    outlook = forecast.outlook
    """Returns what sentences on a forecast name."""
    name, largest = describe_forecast(forecast), _find_largest(forecast)
    unsettled = "if the means hold, which the trials do not settle, {name}"
    return {
        "subject": name if forecast.is_settled else say(unsettled, name=name),
        "largest": f"{largest:,}",
        "could": _state_chance(outlook, largest),
        "range": _state_range(outlook.break_even, outlook.pay_off_end, largest),
        "job": _state_job(outlook, largest),
        "fastest": format_workers(outlook.fastest),
        "limit": say(", the most looked at") if outlook.fastest.value == largest else "",
        "best": _format_speedup(outlook.best_speedup),
        "cheapest": format_workers(outlook.cheapest),
    }


def _list_own_caveats(forecast: Forecast) -> list[str]:
    name, job = _capitalize(describe_forecast(forecast)), forecast.job
    caveats = []
    if len(forecast.fitted) == 1:
        caveats.append(
            say(
                "Measured with {number} workers only, which cannot tell latency from bandwidth, nor how start-up "
                "grows: the band covers all that this leaves open, the line is its middle.",
                number=f"{forecast.fitted[0]:,}",
            )
        )
    if forecast.num_trials == 1:
        caveats.append(say("One trial cannot tell its own scatter: the band may be narrower than the truth."))
    if forecast.is_contended:
        shared = "{name}: its replicas shared too few cores; on cores of their own they would do better."
        caveats.append(say(shared, name=name))
    largest = job.global_batch_size // forecast.group_size
    if job.scaling == "strong" and largest < list_worker_counts(job)[-1]:
        caveats.append(
            say(
                "Beyond {workers}, this global batch of {batch} leaves each less than the {group} images that "
                "BatchNorm normalises together, which would have to change.",
                workers=count_workers(largest),
                batch=f"{job.global_batch_size:,}",
                group=f"{forecast.group_size:,}",
            )
        )
    if job.strategy == PARAMETER_SERVER:
        asynchronous = "{name}: images per second only; asynchronous updates may need more of them for an accuracy."
        caveats.append(say(asynchronous, name=name))
    return caveats


def _format_outlook(outlook: Outlook, largest: int) -> list[str]:
    return [
        _format_pay_off(outlook.break_even, outlook.pay_off_end, largest),
        _format_pay_off(outlook.job_break_even, outlook.job_pay_off_end, largest),
        format_workers(outlook.fastest),
        _format_band(outlook.best_speedup),
        format_workers(outlook.cheapest),
        _format_numbers(Estimate(*(1000 * seconds for seconds in outlook.pay_off_step_seconds))),
    ]


def _format_pay_off(begin: Estimate, end: Estimate, largest: int) -> str:
    """Returns the numbers of workers that pay off, in a cell."""
    values = {"begin": format_workers(begin), "end": format_workers(end)}
    if math.isinf(begin.value):
        return values["begin"]
    if end.value == largest:
        return say("{begin} and more", begin=values["begin"])
    return values["end"] if begin.value == end.value else say("{begin} to {end}", **values)


def _state_range(begin: Estimate, end: Estimate, largest: int) -> str:
    """Returns the numbers of workers that pay off, in words; at least one does.

    What still pays off with the most that are looked at has no end that is known. Where nothing pays off at the band's
    worse edge, the numbers are those of the fit alone.
    """
    if math.isinf(begin.high) and not math.isinf(begin.value):
        first, last = (Estimate(own.value, own.value, own.value) for own in (begin, end))
        return say("if at all {range}", range=_state_range(first, last, largest))
    values = {"begin": format_workers(begin), "end": format_workers(end)}
    if end.value == largest:
        return say("from {begin} workers on", begin=values["begin"])
    if begin.value == end.value:
        return say("with {end} workers only", end=values["end"])
    return say("with {begin} to {end} workers", **values)


def _state_chance(outlook: Outlook, largest: int) -> str:
    """Returns the numbers of workers that pay off at the band's better edge, nothing where none does."""
    begin, end = outlook.break_even.low, outlook.pay_off_end.high
    if math.isinf(begin):
        return ""
    return say(
        ", though {range} it could", range=_state_range(Estimate(begin, begin, begin), Estimate(end, end, end), largest)
    )


def _state_job(outlook: Outlook, largest: int) -> str:
    """Returns how the whole job differs from its training, nothing where it does not."""
    if math.isinf(outlook.job_break_even.value):
        return say(" in training, but not with its start-up")
    # Of the end, whose band is wide, the fit alone.
    job = (outlook.job_break_even, outlook.job_pay_off_end.value)
    if job == (outlook.break_even, outlook.pay_off_end.value):
        return ""
    own = _state_range(outlook.job_break_even, outlook.job_pay_off_end, largest)
    return say(" (start-up included, {range})", range=own)


def _find_largest(forecast: Forecast) -> int:
    """Returns the largest number of workers that is looked at."""
    return int(list_worker_counts(forecast.job)[-1])


def _format_speedup(estimate: Estimate) -> str:
    return f"{estimate.value:.2f}{TIMES} ({format_range(estimate.low, estimate.high)})"


def _format_band(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ({format_range(estimate.low, estimate.high)})"


def _format_numbers(estimate: Estimate) -> str:
    value, low, high = map(format_number, estimate)
    return f"{value} ({low}{EN_DASH}{high})"


def _format_costs(network: Network) -> str:
    bandwidth = f"1 / ({1e-9 / network.seconds_per_byte:g} GB/s)" if network.seconds_per_byte else "0"
    return f"α = {1e6 * network.latency_seconds:g} µs, β = {bandwidth}"


def _capitalize(name: str) -> str:
    return name[:1].upper() + name[1:]
