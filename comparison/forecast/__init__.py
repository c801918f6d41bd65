"""How many workers are worth while: what was measured, the range that follows for more, and what a reader sees."""

from comparison.forecast.coverage import print_coverage
from comparison.forecast.plot import plot_forecast
from comparison.forecast.scaling import Forecast, forecast_scaling
from comparison.forecast.text import (
    describe_forecast,
    list_caveats,
    state_check,
    state_forecast,
    state_outlook,
    tabulate_workers,
)

__all__ = [
    "Forecast",
    "describe_forecast",
    "forecast_scaling",
    "list_caveats",
    "plot_forecast",
    "print_coverage",
    "state_check",
    "state_forecast",
    "state_outlook",
    "tabulate_workers",
]
