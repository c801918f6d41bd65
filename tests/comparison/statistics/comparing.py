"""Ratios of a few values, as the tests of them call for."""

import math

import numpy as np

from comparison.statistics.quantiles import FloatArray
from comparison.statistics.ratios import (
    Ratio,
    compute_ratios,
)


def compute_log_half_width(ratio: Ratio) -> float:
    assert ratio.low is not None
    assert ratio.high is not None
    return math.log(ratio.high / ratio.low) / 2


def compare_all(values: FloatArray) -> FloatArray:
    """Returns ratio, low and high of each configuration over the first one."""
    return np.array(compute_ratios(values, [(own, 0) for own in range(1, len(values))]))


def tabulate(*configurations: list[float]) -> FloatArray:
    width = max(map(len, configurations))
    return np.array([own + [math.nan] * (width - len(own)) for own in configurations])


def compare(own: list[float], baseline: list[float]) -> Ratio:
    return compute_ratios(tabulate(baseline, own), [(1, 0)])[0]
