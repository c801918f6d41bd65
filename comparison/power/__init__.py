"""How often a comparison errs, and what it finds, by simulation."""

from comparison.power.accuracies import AccuracyRates, measure_accuracy_rates
from comparison.power.design import Design, mirror_rounds, repeat_rounds
from comparison.power.simulation import BETWEEN_TRIAL_CV, SIMULATIONS, SLOWDOWN, Rates, find_highest_noise, simulate
from comparison.power.tables import main
from comparison.power.worlds import WORLDS, World, measure_false_positives

__all__ = [
    "BETWEEN_TRIAL_CV",
    "SIMULATIONS",
    "SLOWDOWN",
    "WORLDS",
    "AccuracyRates",
    "Design",
    "Rates",
    "World",
    "find_highest_noise",
    "main",
    "measure_accuracy_rates",
    "measure_false_positives",
    "mirror_rounds",
    "repeat_rounds",
    "simulate",
]
