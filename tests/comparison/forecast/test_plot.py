import re
from typing import Any

from comparison.forecast.plot import plot_forecast, plot_speedup_by_workers
from comparison.forecast.scaling import forecast_scaling
from comparison.groups import group_trials
from comparison.records import TrialRecord
from comparison.svg import PALETTE
from tests.comparison.record_factory import make_record, make_run


def plot(records: list[TrialRecord] | None = None) -> str:
    return plot_forecast(forecast_scaling(group_trials(records or make_run()), 20))


def test_the_plot_is_an_svg_element_that_tells_what_was_measured() -> None:
    svg = plot()

    assert re.match(r'<svg viewBox="0 0 [\d.]+ [\d.]+" role="img" aria-label="Speedup against workers', svg)
    assert "all-reduce measured with 2 workers 1.67" in svg
    assert svg.endswith("</svg>")


def test_the_plot_names_every_way_of_distributing_and_the_ideal() -> None:
    svg = plot()

    for name in ("all-reduce", "parameter-server with 1 server", "ideal", "1,024"):
        assert f">{name}</text>" in svg


def test_the_plot_by_workers_ends_soon_after_what_was_measured() -> None:
    svg = plot_speedup_by_workers(forecast_scaling(group_trials(make_run()), 20))

    assert ">16</text>" in svg
    assert ">64</text>" not in svg


def test_the_plot_takes_its_ink_from_the_page() -> None:
    svg = plot()

    assert "currentColor" in svg
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(PALETTE)


def test_every_reference_has_its_target_and_the_same_records_give_the_same_plot() -> None:
    svg = plot()

    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(re.findall(r'\bid="([^"]+)"', svg))
    assert plot() == svg


def test_weak_scaling_reaches_the_end_of_the_axis() -> None:
    weak: dict[str, Any] = {"scaling": "weak", "per_replica_batch_size": 128}

    svg = plot([make_record("single", **weak), make_record("all-reduce-2w", images_per_second=3000.0, **weak)])

    assert ">512</text>" in svg or ">256</text>" in svg


def test_a_speedup_far_below_one_can_be_drawn() -> None:
    assert plot([make_record("single"), make_record("all-reduce-2w", train_seconds=6000.0)]).endswith("</svg>")
