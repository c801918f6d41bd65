"""How good a trained model is: its metric, and which classes it takes for which."""

from comparison.quality.confusion import (
    MAX_DENSE_CLASSES,
    MAX_SHOWN_CLASSES,
    ConfusionMatrix,
    add_matrices,
    read_matrix,
)
from comparison.quality.metric import ACCURACY, CurvePoint, MetricValue, check_counts

__all__ = [
    "ACCURACY",
    "MAX_DENSE_CLASSES",
    "MAX_SHOWN_CLASSES",
    "ConfusionMatrix",
    "CurvePoint",
    "MetricValue",
    "add_matrices",
    "check_counts",
    "read_matrix",
]
