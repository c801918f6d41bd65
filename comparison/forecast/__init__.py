"""From how many workers on distributing would pay off: the cost model, its fit, and what a reader sees of both."""

from comparison.forecast.model import CostModel, Job, predict_speedup, predict_step_seconds
from comparison.forecast.plot import plot_forecast, plot_speedup_by_workers
from comparison.forecast.scaling import Forecast, forecast_scaling, tabulate_scales
from comparison.forecast.text import (
    describe_forecast,
    describe_networks,
    list_caveats,
    state_check,
    state_forecast,
    state_outlook,
    tabulate_networks,
    tabulate_workers,
)

__all__ = [
    "CostModel",
    "Forecast",
    "Job",
    "describe_forecast",
    "describe_networks",
    "forecast_scaling",
    "list_caveats",
    "plot_forecast",
    "plot_speedup_by_workers",
    "predict_speedup",
    "predict_step_seconds",
    "state_check",
    "state_forecast",
    "state_outlook",
    "tabulate_networks",
    "tabulate_scales",
    "tabulate_workers",
]
