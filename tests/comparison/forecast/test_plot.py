import re

from comparison.forecast.plot import plot_forecast
from comparison.forecast.scaling import Forecast, forecast_scaling
from comparison.groups import group_trials
from comparison.page import PALETTE
from comparison.texts import speak
from tests.comparison.forecast.test_text import FOUR, TWO, make_forecast, make_scale
from tests.comparison.record_factory import make_run

CONTENDED = make_scale(4, 1.1, 1.3, 1.2, is_sound=False, is_contended=True)
SERVERS = make_forecast(
    make_scale(2, 0.8, 0.9, 0.85), CONTENDED, ahead=make_scale(4, 0.4, 1.9), strategy="parameter_server", num_ps=1
)


def plot(*forecasts: Forecast) -> str:
    return plot_forecast(forecasts or [make_forecast(TWO, ahead=FOUR), SERVERS])


def test_the_plot_is_an_svg_element_that_tells_what_was_measured_and_what_is_forecast() -> None:
    svg = plot()

    assert re.match(r'<svg viewBox="0 0 [\d.]+ [\d.]+" role="img" aria-label="Speedup against workers', svg)
    assert "all-reduce with 2 workers 1.51–1.68 (measured), all-reduce with 4 workers 1.60–3.20 (forecast)" in svg
    assert svg.endswith("</svg>")


def test_the_plot_names_every_way_the_ideal_and_what_is_not_known() -> None:
    svg = plot()

    for name in ("all-reduce", "parameter-server with 1 server", "ideal", "not known", "workers", "1", "2", "4", "8"):
        assert f">{name}</text>" in svg
    assert ">16</text>" not in svg


def test_only_what_shared_too_few_cores_is_hollow() -> None:
    assert plot(SERVERS).count('style="fill-opacity: 0; stroke: #') == 1
    assert "fill-opacity: 0;" not in plot(make_forecast(TWO, ahead=FOUR))


def test_the_plot_takes_its_ink_from_the_page() -> None:
    svg = plot()

    assert "currentColor" in svg
    assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(PALETTE)


def test_every_reference_has_its_target_and_the_same_records_give_the_same_plot() -> None:
    svg = plot()

    assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(re.findall(r'\bid="([^"]+)"', svg))
    assert plot() == svg


def test_a_speedup_far_below_one_or_a_thousand_workers_can_be_drawn() -> None:
    assert plot(make_forecast(make_scale(2, 0.001, 0.002, 0.0015))).endswith("</svg>")
    many = make_forecast(make_scale(512, 300.0, 400.0, 350.0), ahead=make_scale(1024, 200.0, 900.0), scaling="weak")
    assert ">1,024</text>" in plot(many)


def test_real_records_can_be_drawn_in_chinese() -> None:
    with speak("zh"):
        assert ">未知</text>" in plot(*forecast_scaling(group_trials(make_run())))
