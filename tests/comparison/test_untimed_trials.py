"""What was restarted, resumed or taken over has no time, and keeps its accuracy."""

import csv
import re
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.rules import audit_fairness
from comparison.clocks import is_wholly_timed
from comparison.groups import group_trials, select_timed
from comparison.records import TrialRecord
from comparison.report.analysis import Analysis, analyze
from comparison.report.html import render_report
from comparison.report.markdown import render_markdown
from comparison.report.run_comparison import Run, compare_runs, tabulate_changes
from comparison.summary import compute_whole_job_speedups, estimate_trial_noise
from comparison.table import to_csv
from tests.comparison.page.html_parser import list_unclosed
from tests.comparison.record_factory import delay, make_record, make_run_info

NAMES = ("single", "all-reduce-2w")


def make_trials(num_trials: int = 3) -> list[TrialRecord]:
    return [
        make_record(name, trial, seconds + trial / 4)
        for trial in range(num_trials)
        for name, seconds in zip(NAMES, (60.0, 36.0), strict=True)
    ]


def restart(record: TrialRecord) -> TrialRecord:
    return replace(record, restarts=1, train_seconds=record.train_seconds / 7, total_seconds=7.0, test_n_correct=2900)


def resume(record: TrialRecord) -> TrialRecord:
    replicas = [replace(replica, restored_step=400) for replica in record.replicas]
    return replace(restart(record), restarts=0, replicas=replicas)


def take_over(record: TrialRecord) -> TrialRecord:
    """Returns a record as it was seen: a whole job of 18.4 s with 39 s of parts, nothing restarted, nothing resumed."""
    return replace(
        restart(record), restarts=0, backend="kubernetes", train_seconds=25.0 + record.trial, total_seconds=18.4
    )


BREAKS = pytest.mark.parametrize("break_off", [restart, resume, take_over])


def analyze_trials(trials: list[TrialRecord], **parameters: Any) -> Analysis:
    plan = make_run_info(parameters={"trials": len(trials) // 2, **parameters}, configurations=[])
    return analyze(trials, plan)


@BREAKS
def test_figures_of_time_are_those_of_the_wholly_timed_trials(break_off: Any) -> None:
    *kept, broken = make_trials()
    without, analysis = analyze_trials(kept), analyze_trials([*kept, break_off(broken)])

    own, expected = analysis.rows[1], without.rows[1]
    for column in ("images_per_second", "train_seconds", "train_seconds_ci95", "startup_seconds", "total_seconds"):
        assert getattr(own, column) == getattr(expected, column)
    assert own.ratio == expected.ratio
    assert own.trials == 3
    assert own.test_accuracy == pytest.approx((2 * 2970 + 2900) / 9000)
    assert compute_whole_job_speedups(analysis.groups) == compute_whole_job_speedups(without.groups)
    assert estimate_trial_noise(analysis.groups) == estimate_trial_noise(without.groups)
    assert analysis.outlook == without.outlook
    assert (
        "all-reduce with 2 workers trained resnet8 on mnist 1.67× as fast as a single node (95 % interval"
        in analysis.verdict
    )
    assert ", n = 2 and 3 trials)" in analysis.verdict


@BREAKS
def test_such_a_trial_is_marked_and_told(break_off: Any) -> None:
    *kept, broken = make_trials()
    analysis = analyze_trials([*kept, break_off(broken)])

    assert analysis.marks.unfair == ["all-reduce-2w"]
    assert analysis.marks.unproven == []
    (told,) = [own for own in analysis.warnings if "no restart, no resumption" in own]
    assert told.endswith("(all-reduce-2w).")


@BREAKS
def test_a_configuration_without_any_timed_trial_has_no_time_and_no_speedup(break_off: Any) -> None:
    analysis = analyze_trials([own if own.strategy == "single" else break_off(own) for own in make_trials()])

    (row,) = [row for row in csv.DictReader(to_csv(analysis.rows).splitlines()) if row["strategy"] == "all_reduce"]
    empty = {name for name, cell in row.items() if not cell}
    assert {"train_seconds", "total_seconds", "images_per_second", "speedup", "seconds_to_target"} <= empty
    assert row["test_accuracy"]
    assert analysis.verdict == (
        "No answer about all-reduce with 2 workers: "
        "none of its trials has a time, since they were restarted, resumed or taken over."
    )
    assert list(select_timed(analysis.groups)) == ["single"]
    assert re.search(r"\| all-reduce-2w ‡\S* +\| +– \| +– \| +96.67 ± 0.00 \| +– \|", render_markdown(analysis))
    assert list_unclosed(render_report(analysis)) == []


@BREAKS
def test_a_run_without_any_timed_trial_has_a_report(break_off: Any) -> None:
    analysis = analyze_trials([break_off(own) for own in make_trials(2)])

    assert analysis.verdict == (
        "No answer, because of the single node that all is compared with: "
        "none of its trials has a time, since they were restarted, resumed or taken over."
    )
    assert list_unclosed(render_report(analysis)) == []
    assert "What the models confuse" in render_report(analysis)


def test_a_baseline_without_any_timed_trial_is_compared_with_nothing() -> None:
    analysis = analyze_trials([restart(own) if own.strategy == "single" else own for own in make_trials()])

    assert [row.ratio for row in analysis.rows] == [None, None]
    assert analysis.verdict.startswith("No answer, because of the single node that all is compared with: none")
    assert analysis.answers["strong"].configuration == "all-reduce-2w"
    assert analysis.terminal_table()


def test_two_runs_are_compared_by_what_was_wholly_timed() -> None:
    before, after = make_trials(), [delay(replace(own, run_id="run-2"), 1e6) for own in make_trials()]
    plans = make_run_info(), make_run_info(run_id="run-2")
    after[0] = restart(after[0])
    after[1::2] = map(resume, after[1::2])

    changes = compare_runs(*(Run(plan, group_trials(own)) for plan, own in zip(plans, (before, after), strict=True)))

    assert changes["single"].train_seconds is not None
    assert changes["single"].train_seconds.value == pytest.approx(60.375 / 60.25)
    assert changes["all-reduce-2w"].train_seconds is None
    assert tabulate_changes(changes).rows[1][1:5] == ["36.2", "–", "–", "not comparable"]


def test_a_job_that_another_launcher_took_over_is_known_by_its_parts() -> None:
    record = make_record()

    assert is_wholly_timed(replace(record, backend="kubernetes"))
    assert not is_wholly_timed(take_over(record))
    # Processes of this machine end with their launcher: there such clocks are a contradiction.
    local = {finding.rule: finding for finding in audit_fairness(group_trials([replace(record, total_seconds=18.4)]))}
    assert "counts and clocks add up" in {rule for rule, own in local.items() if own.status.value == "violated"}
