import re
from dataclasses import replace

import pytest

from comparison.groups import group_trials
from comparison.page import PALETTE
from comparison.report.breakdown import break_down
from comparison.report.plots import find_crossing, plot_accuracy, plot_breakdown, plot_loss, plot_ratios, plot_trials
from comparison.statistics import Ratio
from comparison.summary import summarize
from tests.comparison.record_factory import make_record, make_run


def draw_all() -> dict[str, str]:
    groups = group_trials(make_run())
    return {
        "accuracy": plot_accuracy(groups),
        "loss": plot_loss(groups),
        "trials": plot_trials(groups),
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

    assert "<script" not in plot_trials(group_trials(records)) + plot_accuracy(group_trials(records))


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
    assert plot_trials(group_trials(records)).endswith("</svg>")


def test_every_trial_is_a_point_and_a_disturbed_attempt_a_cross() -> None:
    attempts = [{"started_at": 0.0, "ended_at": 1.0, "reason": "disturbed", "train_seconds": 80.0}]
    records = make_run()
    again = [replace(records[0], earlier_attempts=attempts), *records[1:]]

    drawn, with_cross = (plot_trials(group_trials(own)) for own in (records, again))

    assert (
        'aria-label="Training time of every trial in seconds: '
        'single 60.0, 62.0; all-reduce-2w 36.0, 37.0; parameter-server-2w-1ps 90.0, 91.0"'
    ) in drawn
    assert with_cross.count("<use ") - drawn.count("<use ") == 1


def test_the_accuracys_crossing_of_the_target_is_the_tables_time_to_it() -> None:
    groups = group_trials([make_record(trial=trial, train_seconds=60.0 + 4 * trial) for trial in range(3)])

    assert find_crossing(groups["single"]) == (summarize(groups)[0].seconds_to_target, 98.0)
    # Steps, so that no line crosses the target before an epoch has ended.
    assert find_crossing([*groups["single"], make_record(trial=3, misses_target=True)]) is None
