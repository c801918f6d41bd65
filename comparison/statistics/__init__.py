"""What a few trials allow to say: means, ratios and their intervals, pairs of answers, and how many trials it takes."""

from comparison.statistics.paired import compare_answers, decode_wrong_images
from comparison.statistics.quantiles import FloatArray
from comparison.statistics.ratios import (
    DISAGREEMENT,
    Noise,
    Ratio,
    compute_ci95,
    compute_difference_ci95,
    compute_mean,
    compute_proportion_difference_ci95,
    compute_ratio_arrays,
    compute_ratios,
    estimate_noise,
    find_outliers,
    find_possibly_smallest,
)
from comparison.statistics.sample_size import (
    RELEVANT_POWER,
    RELEVANT_RATIO,
    compute_power,
    count_trials_range,
    count_trials_to_find,
)

__all__ = [
    "DISAGREEMENT",
    "RELEVANT_POWER",
    "RELEVANT_RATIO",
    "FloatArray",
    "Noise",
    "Ratio",
    "compare_answers",
    "compute_ci95",
    "compute_difference_ci95",
    "compute_mean",
    "compute_power",
    "compute_proportion_difference_ci95",
    "compute_ratio_arrays",
    "compute_ratios",
    "count_trials_range",
    "count_trials_to_find",
    "decode_wrong_images",
    "estimate_noise",
    "find_outliers",
    "find_possibly_smallest",
]
