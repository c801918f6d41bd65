"""What the intervals of the speedups rest on, in words, and the second figures that stand beside the speedups."""

from comparison.groups import Groups, split_by_scaling
from comparison.statistics import DISAGREEMENT, RELEVANT_POWER, RELEVANT_RATIO, Ratio, count_trials_range
from comparison.summary import (
    compute_robust_speedups,
    compute_speedups,
    compute_undisturbed_speedups,
    count_trials_needed,
    estimate_trial_noise,
    find_disagreeing,
)
from comparison.table import format_ratio
from comparison.texts import count_trials, join_clauses, join_scalings, say, say_count


def describe_statistics(groups: Groups) -> str:
    """Returns what the intervals of the speedups rest on, in a few sentences on each kind of scaling."""
    return join_scalings({scaling: _describe_statistics(own) for scaling, own in split_by_scaling(groups).items()})


def list_second_figures(groups: Groups) -> dict[str, dict[str, Ratio]]:
    """Returns the speedups that a few slow trials or a busy machine move less, by their columns.

    Only such columns are there in which a figure disagrees with the mean; of those all figures, to compare them.
    """
    speedups = compute_speedups(groups)
    columns = {
        say("speedup, median of rounds"): compute_robust_speedups(groups),
        say("speedup without waiting"): compute_undisturbed_speedups(groups),
    }
    return {column: figures for column, figures in columns.items() if find_disagreeing(speedups, figures)}


def warn_of_second_figures(groups: Groups) -> list[str]:
    """Returns in a line which second figures disagree with the mean, nothing where none does."""
    speedups = compute_speedups(groups)
    others = [
        say("{name} {mean} ({column}: {value})", name=name, mean=f"{mean.value:.2f}", column=column, value=own)
        for name, mean in speedups.items()
        for column, figures in list_second_figures(groups).items()
        if (figure := find_disagreeing(speedups, figures).get(name)) and (own := format_ratio(figure))
    ]
    disagreeing = "Figures that single slow trials move less differ by more than {percent} % from the means: {values}."
    percent = f"{100 * (DISAGREEMENT - 1):.0f}"
    return [say(disagreeing, percent=percent, values=say("; ").join(others))] if others else []


def _describe_statistics(groups: Groups) -> str:
    """Returns what the intervals of one kind of scaling rest on."""
    speedups = compute_speedups(groups)
    num_compared = sum(speedup.low is not None for speedup in speedups.values())
    if not num_compared:
        return say("Without repeated trials a speedup has no interval, and nothing is decided.")
    sentences = [
        say_count(
            num_compared,
            "{number} comparison with a baseline: intervals of speedups are 95 % intervals.",
            "{number} comparisons with a baseline: intervals of speedups are 95 % intervals that hold for all of them "
            "together.",
        )
    ]
    noise = estimate_trial_noise(groups)
    if noise.degrees_of_freedom:
        degrees = say_count(noise.degrees_of_freedom, "{number} degree of freedom", "{number} degrees of freedom")
        if noise.is_blocked:
            degrees = join_clauses([degrees, say("differences between rounds taken out")])
        scatter = (
            "Trials of a configuration scatter by {percent} %, estimated from all configurations with a core for each "
            "replica ({degrees})."
        )
        sentences.append(say(scatter, percent=f"{100 * noise.relative_sd:.1f}", degrees=degrees))
    if (needed := count_trials_needed(groups)) is not None:
        values = {"percent": f"{100 * (RELEVANT_RATIO - 1):.0f}", "share": f"{100 * RELEVANT_POWER:.0f}"}
        enough = (
            "At this noise {trials} of each configuration find a difference of {percent} % in {share} % of runs{doubt}."
        )
        doubt = _state_doubt(*count_trials_range(noise))
        sentences.append(say(enough, trials=count_trials(needed), doubt=doubt, **values))
    return " ".join(sentences)


def _state_doubt(fewest: int | None, most: int | None) -> str:
    """Returns between how many trials the noise's interval leaves it, nothing where that makes no difference."""
    if fewest == most:
        return ""
    low, high = (say("more than a thousand") if count is None else f"{count:,}" for count in (fewest, most))
    return say("; over the 95 % interval of the noise it is {low} to {high}", low=low, high=high)
