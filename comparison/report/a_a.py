"""The answer of an A/A run: the single node against itself under two names, which says what the machine would find."""

from collections.abc import Sequence

from comparison.audit import Finding, Marks
from comparison.cost import Cost
from comparison.groups import SINGLE, Groups
from comparison.report.candidate import state_break
from comparison.report.verdict import Answer, Kind
from comparison.statistics import RELEVANT_RATIO, Ratio
from comparison.summary import Row, compute_whole_job_speedups
from comparison.table import format_range
from comparison.texts import count_trials, say

AGAIN = "single-again"


def is_a_a(groups: Groups) -> bool:
    """Returns whether the single node was measured a second time, under another name, and nothing else beside it."""
    return set(groups) == {SINGLE, AGAIN}


def answer_a_a(rows: Sequence[Row], groups: Groups, findings: Sequence[Finding], marks: Marks) -> Answer:
    """Returns whether the machine is fit to measure: nothing differs, so whatever is found is the machine's.

    Args:
        rows: The table.
        groups: The trials of each configuration.
        findings: What the fairness audit found of them.
        marks: What a reader must be warned of.
    """
    for name in (SINGLE, AGAIN):
        if reason := state_break(groups, name, findings, marks):
            sentence = say("No answer about {configuration}: {reason}.", configuration=name, reason=reason)
            return Answer(Kind.NO_ANSWER, AGAIN, [sentence])
    ratio = next((row.ratio for row in rows if row.configuration == AGAIN), None)
    if ratio is None or ratio.low is None or ratio.high is None:
        single = say("Not decided by a single trial: an A/A run needs at least two trials of each.")
        return Answer(Kind.NO_ANSWER, AGAIN, [single], ratio)
    kind = Kind.NO_ANSWER if ratio.direction else Kind.NOT_DISTINGUISHABLE
    whole_job = compute_whole_job_speedups(groups).get(AGAIN)
    return Answer(
        kind, AGAIN, _describe(ratio, ratio.low, ratio.high, len(groups[AGAIN])), ratio, whole_job, Cost((1.0, 1.0))
    )


def is_fit(ratio: Ratio) -> bool:
    """Returns whether a machine that measured this of equals finds the difference that a comparison is made to find."""
    if ratio.direction or ratio.low is None or ratio.high is None:
        return False
    return ratio.low >= 1 / RELEVANT_RATIO and ratio.high <= RELEVANT_RATIO


def _describe(ratio: Ratio, low: float, high: float, num_trials: int) -> list[str]:
    values = {"value": f"{ratio.value:.2f}", "range": format_range(low, high), "trials": count_trials(num_trials)}
    if ratio.direction:
        unfit = (
            "This machine is unfit to measure: it told the single node from itself, {value}× as fast the second time "
            "(95 % interval {range}, n = {trials}), where 1 is true."
        )
        advice = (
            "End what else computes on it and run it again: by chance alone, a fit machine is found unfit in one of 20 "
            "runs."
        )
        return [say(unfit, **values), say(advice)]
    percent = f"{100 * (RELEVANT_RATIO - 1):.0f}"
    if is_fit(ratio):
        fit = (
            "This machine is fit to measure: it did not tell the single node from itself, {value}× as fast the second "
            "time (95 % interval {range}, n = {trials}), where 1 is true."
        )
        return [say(fit, **values), say("Differences of {percent} % are seen on it.", percent=percent)]
    coarse = (
        "This machine is fit for large differences only: it did not tell the single node from itself, {value}× as fast "
        "the second time, but within a wide 95 % interval ({range}, n = {trials})."
    )
    finer = "For differences of {percent} % end what else computes on it, or take more trials."
    return [say(coarse, **values), say(finer, percent=percent)]
