import re
from dataclasses import replace

import pytest

from comparison.groups import group_trials
from comparison.report.breakdown import break_down
from comparison.report.plots import plot_accuracy, plot_breakdown, plot_loss, plot_ratios, plot_speedup, plot_throughput
from comparison.statistics import Ratio
from comparison.summary import summarize
from comparison.svg import PALETTE
from tests.comparison.record_factory import make_record, make_run


def draw_all() -> dict[str, str]:
    records = make_run()
    groups, table = group_trials(records), summarize(group_trials(records))
    return {
        "accuracy": plot_accuracy(groups),
        "loss": plot_loss(groups),
        "throughput": plot_throughput(table),
        "speedup": plot_speedup(table),
        "breakdown": plot_breakdown(break_down(groups)),
    }


@pytest.fixture(scope="module")
def plots() -> dict[str, str]:
    return draw_all()


def test_plots_are_svg_elements_that_scale_with_the_page(plots: dict[str, str]) -> None:
    for svg in plots.values():
        assert re.match(r'<svg viewBox="0 0 [\d.]+ [\d.]+" role="img" aria-label="[^"]+"><title>[^<]+</title>', svg)
        assert svg.endswith("</svg>")


def test_plots_name_every_configuration(plots: dict[str, str]) -> None:
    for svg in plots.values():
        for name in ("single", "all-reduce-2w", "parameter-server-2w-1ps"):
            assert f">{name}</text>" in svg


def test_plots_take_their_ink_and_background_from_the_page(plots: dict[str, str]) -> None:
    for svg in plots.values():
        assert "currentColor" in svg
        assert set(re.findall(r"#[0-9a-f]{6}\b", svg)) <= set(PALETTE)


def test_no_two_plots_share_an_id_and_every_reference_has_its_target(plots: dict[str, str]) -> None:
    ids = [found for svg in plots.values() for found in re.findall(r'\bid="([^"]+)"', svg)]

    assert len(ids) == len(set(ids))
    for svg in plots.values():
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', svg)) <= set(re.findall(r'\bid="([^"]+)"', svg))


def test_the_same_records_give_the_same_plots(plots: dict[str, str]) -> None:
    assert draw_all() == plots


def test_text_is_never_smaller_than_nine_points(plots: dict[str, str]) -> None:
    sizes = [float(size) for svg in plots.values() for size in re.findall(r"font(?:-size)?: (?:bold )?([\d.]+)px", svg)]

    assert sizes
    assert min(sizes) >= 9


def test_names_are_never_taken_for_markup() -> None:
    records = [make_record(configuration="single"), replace(make_record("all-reduce-2w"), configuration='"><script>')]

    assert "<script" not in plot_throughput(summarize(group_trials(records))) + plot_accuracy(group_trials(records))


def test_the_accuracy_of_several_trials_is_one_line_with_a_band() -> None:
    one = plot_accuracy(group_trials([make_record()]))
    many = plot_accuracy(group_trials([make_record(trial=trial, train_seconds=60.0 + trial) for trial in range(3)]))

    assert one.count(">single</text>") == many.count(">single</text>") == 1
    assert "fill-opacity: 0.18" in many or "opacity: 0.18" in many
    assert 'aria-label="Validation accuracy against training time of single: 99.00 % after 61.0 s"' in many


def test_ratios_are_drawn_with_their_intervals_and_told() -> None:
    svg = plot_ratios({"single": Ratio(0.5, 0.4, 0.6), "all-reduce-2w": Ratio(2.0)}, "after ÷ before")

    assert 'aria-label="after ÷ before: single 0.50 (0.40–0.60), all-reduce-2w 2.00"' in svg


def test_single_trials_and_short_curves_can_be_drawn() -> None:
    records = [make_record(curve=[], target_accuracy=None)]

    assert plot_accuracy(group_trials(records)).endswith("</svg>")
    assert plot_throughput(summarize(group_trials(records))).endswith("</svg>")
    assert plot_speedup(summarize(group_trials([make_record("all-reduce-2w")]))).endswith("</svg>")
