"""What two models, each trained in several rounds, say of the same test images."""

import base64
import math

import numpy as np
from numpy.typing import NDArray

from comparison.statistics.quantiles import compute_quantile


def decode_wrong_images(encoded: str, num_examples: int) -> NDArray[np.bool_] | None:
    """Returns which test images a model got wrong, or None where the text does not say it of each.

    Args:
        encoded: Base64 of a bit for each image, the first in the highest bit, 1 where the model is wrong.
        num_examples: How many images there are.
    """
    try:
        bits = np.unpackbits(np.frombuffer(base64.b64decode(encoded, validate=True), dtype=np.uint8))
    except ValueError:
        return None
    is_whole = num_examples <= len(bits) < num_examples + 8 and not bits[num_examples:].any()
    return bits[:num_examples].astype(np.bool_) if is_whole else None


def compare_answers(baseline: NDArray[np.bool_], own: NDArray[np.bool_]) -> tuple[float, float]:
    """Returns by how much a mean accuracy differs from the baseline's, and the half-width of its 95 % interval.

    The same images are hard for both, and the same ones in every round: only those count on which two models disagree,
    as in McNemar's test. The interval is for other test images and other seeds at once: to the variance between rounds
    is added what images have in common over the rounds, and the degrees of freedom are of the share that the rounds,
    which are few, have in it. The scatter of a round on an image is in both variances; whether it is taken out of one
    or left in both, the wider interval counts, which holds its level for weak and for strong seeds. A single round
    knows of no scatter between seeds, so that its interval is of the images alone.

    Args:
        baseline: Whether the baseline's models were wrong, shape [rounds, images].
        own: Likewise of the other configuration, trained from the same seeds, in the same rounds.

    Source: McNemar, "Note on the sampling error of the difference between correlated proportions", Psychometrika 12
    (1947); Hillis, "A comparison of denominator degrees of freedom methods for multiple observer ROC analysis",
    Statistics in Medicine 26 (2007), equation for two treatments, with rounds in place of observers.
    """
    differences = baseline.astype(float) - own
    num_rounds, num_images = differences.shape
    value = float(differences.mean())
    by_image = differences.mean(axis=0)
    if num_rounds == 1:
        return value, compute_quantile(math.inf) * math.sqrt(_compute_variance(by_image))
    by_round = differences.mean(axis=1)
    left = differences - by_round[:, None] - by_image + value
    own_error = float((left**2).sum()) / ((num_rounds - 1) * max(num_images - 1, 1)) / differences.size
    between_rounds, between_images = _compute_variance(by_round), _compute_variance(by_image)
    totals = (between_rounds + max(between_images - own_error, 0.0), between_rounds + between_images)
    return value, max(_compute_half_width(total, between_rounds, num_rounds) for total in totals)


def _compute_half_width(total: float, between_rounds: float, num_rounds: int) -> float:
    """Returns the half-width from a variance of which only the rounds' part has few degrees of freedom."""
    degrees = (num_rounds - 1) * (total / between_rounds) ** 2 if between_rounds else math.inf
    return compute_quantile(degrees) * math.sqrt(total)


def _compute_variance(values: NDArray[np.float64]) -> float:
    """Returns the variance of a mean."""
    return float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
