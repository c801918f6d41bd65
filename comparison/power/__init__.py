"""How often a comparison errs, and what it finds, by simulation."""

from comparison.power.accuracies import measure_accuracy_rates
from comparison.power.design import Design, mirror_rounds, repeat_rounds
from comparison.power.simulation import BETWEEN_TRIAL_CV, SLOWDOWN, find_highest_noise, simulate
from comparison.power.tables import main
from comparison.power.worlds import WORLDS, measure_false_positives

__all__ = [
    "BETWEEN_TRIAL_CV",
    "SLOWDOWN",
    "WORLDS",
    "Design",
    "find_highest_noise",
    "main",
    "measure_accuracy_rates",
    "measure_false_positives",
    "mirror_rounds",
    "repeat_rounds",
    "simulate",
]
