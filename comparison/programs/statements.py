"""The clauses that an answer on a program is made of."""

from collections.abc import Sequence

from comparison.groups import count_rounds
from comparison.programs.audit import Case, find_nodes
from comparison.programs.measure import Basis, Measure, ProgramTrials, is_timed, measure_total
from comparison.programs.metrics import Metric, Quality, format_metric
from comparison.programs.rows import describe_baseline, describe_configuration
from comparison.statistics import Ratio, compute_mean
from comparison.table import format_number, format_range, format_times
from comparison.texts import count_trials, join_clauses, say


def state_lead(measure: Measure, metric: Metric | None) -> str:
    """Returns the first words of an answer: by what it is, why by that, and whether it is about speed alone."""
    lead = {
        Basis.WHOLE_JOB: say("By whole jobs"),
        Basis.TRAINING: say("By training time"),
        Basis.THROUGHPUT: say("By {unit} a second", unit=say(measure.unit)),
    }[measure.basis]
    if measure.reason:
        lead = say("{lead} ({reason})", lead=lead, reason=measure.reason)
    return lead if metric else say("{lead} and for speed alone", lead=lead)


def state_quality(metric: Metric, quality: Quality) -> str:
    """Returns how a configuration's metric compares with the baseline's, a clause."""
    values = {"metric": metric.name, "own": format_metric(quality.own), "base": format_metric(quality.base)}
    if quality.reason:
        return say("with {metric} {own} against {base}, not judged ({reason})", **values, reason=quality.reason)
    values["margin"] = format_number(quality.margin or 0.0, 2)
    if quality.is_doubtful:
        return say("with {metric} {own} against {base}, ± {margin}, perhaps worse: too few trials to tell", **values)
    return {
        -1: say("at a worse {metric} ({own} against {base}, ± {margin})", **values),
        0: say("at an indistinguishable {metric} ({own} against {base}, ± {margin})", **values),
        1: say("at a better {metric} ({own} against {base}, ± {margin})", **values),
    }[quality.direction]


def state_ratio(case: Case, name: str, ratio: Ratio) -> str:
    """Returns how fast a configuration was by what is compared, over how many trials, a clause."""
    counts = sorted(
        {count_rounds([own for own in group if is_timed(own)]) for group in (case.baseline, case.groups[name])}
    )
    if len(counts) == 1:
        basis = [f"n = {count_trials(counts[0])}"]
    else:
        basis = [say("n = {fewer} and {more} trials", fewer=f"{counts[0]:,}", more=f"{counts[1]:,}")]
    if ratio.low is not None and ratio.high is not None:
        basis = [say("95 % interval {range}", range=format_range(ratio.low, ratio.high)), *basis]
    values = {
        "configuration": describe_configuration(case.groups[name][0]),
        "baseline": describe_baseline(case.baseline[0]),
        "speedup": f"{ratio.value:.2f}",
        "basis": join_clauses(basis),
    }
    return {
        Basis.WHOLE_JOB: say("{configuration} ran {speedup}× as fast as {baseline} ({basis})", **values),
        Basis.TRAINING: say("{configuration} trained {speedup}× as fast as {baseline} ({basis})", **values),
        Basis.THROUGHPUT: say(
            "{configuration} processed {speedup}× as many {unit} a second as {baseline} ({basis})",
            **values,
            unit=say(case.measure.unit),
        ),
    }[case.measure.basis]


def state_whole_job(
    measure: Measure, whole_job: Ratio | None, baseline: ProgramTrials, trials: ProgramTrials
) -> Sequence[str]:
    """Returns how whole jobs compare where that is another figure, and what they did where it was not the same."""
    if measure.basis is Basis.WHOLE_JOB or whole_job is None:
        return ()
    speedup = format_times(whole_job)
    if is_same_work(measure):
        return (say("the whole job {speedup}", speedup=speedup),)
    work = compute_work_ratio(baseline, trials)
    if work is None:
        return (say("the whole job, of work that is not known, {speedup}", speedup=speedup),)
    return (say("the whole job, with {work}× the work, {speedup}", work=f"{work:.2f}", speedup=speedup),)


def compute_work_ratio(baseline: ProgramTrials, trials: ProgramTrials) -> float | None:
    """Returns how many times as much work as the baseline a configuration did; None where that is not known."""
    works = [[measure_total(trial) for trial in own if is_timed(trial)] for own in (trials, baseline)]
    if any(work is None for own in works for work in own) or not all(works):
        return None
    own, base = (compute_mean([work.value for work in own if work]) for own in works)
    return own / base


def is_same_work(measure: Measure) -> bool:
    """Returns whether whole jobs are not known to have done different work."""
    return measure.is_work_equal or measure.basis is Basis.WHOLE_JOB


def state_place(trials: ProgramTrials) -> str:
    """Returns on what the trials ran: one node says little about several."""
    if all(trial.backend == "local" for trial in trials):
        return say("in processes of one machine")
    nodes = [find_nodes(trial) for trial in trials if trial.num_workers > 1]
    if not nodes or None in nodes:
        return say("in pods of a cluster")
    if all(own and len(own) == 1 for own in nodes):
        return say("in pods of one node, which says little about several")
    return say("in pods of several nodes")
