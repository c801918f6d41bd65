import base64
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials
from comparison.page import PALETTE
from comparison.records import Misclassified, RunInfo, TrialRecord
from comparison.report.analysis import analyze
from comparison.report.html import MAX_EMBEDDED_TRIALS, render_report
from comparison.report.markdown import render_markdown
from tests.comparison.page.html_parser import list_unclosed
from tests.comparison.record_factory import make_record, make_run, make_run_info


def render(records: list[TrialRecord], run_info: RunInfo | None = None) -> str:
    return render_report(analyze(records, run_info or make_run_info()))


def render_text(records: list[TrialRecord]) -> str:
    return render_markdown(analyze(records, make_run_info()))


IMAGE = Misclassified(7, 0, 1, 0.9, [2, 2, 1], base64.b64encode(bytes([0, 255, 0, 255])).decode())


def make_run_with_image() -> list[TrialRecord]:
    first, *others = make_run()
    return [replace(first, misclassified=[IMAGE]), *others]


@pytest.fixture(scope="module")
def page() -> str:
    return render(make_run_with_image())


def test_the_report_is_one_file_that_fetches_nothing(page: str) -> None:
    assert not re.findall(r"<script|<link|<iframe|@import|url\((?!#)", page)
    assert not re.findall(r"""(?:src|href)\s*=\s*(?!"#|"data:image/png;base64,)""", page)
    assert "Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"" in page


def test_the_report_states_the_verdict_and_every_configuration(page: str) -> None:
    assert analyze(make_run(), make_run_info()).verdict in page
    for name in ("single", "all-reduce-2w", "parameter-server-2w-1ps"):
        assert f'<th scope="row">{name}' in page
        assert re.search(rf"<h3[^>]*>{name}</h3>", page)


def test_the_forecast_in_brief_is_told_where_its_fold_is_closed(page: str) -> None:
    outlook = analyze(make_run(), make_run_info()).outlook

    assert f'<summary><h2>Forecast</h2> <span class="told">{outlook}</span></summary>' in page
    assert page.count('<details class="card fold" id="forecast">') == 1
    assert render_text(make_run()).splitlines()[1:4] == ["", f"Forecast: {outlook}", ""]


def test_where_nothing_is_forecast_nothing_is_said_of_it() -> None:
    records = [make_record("single"), make_record("single", 1)]

    assert 'id="forecast"' not in render(records)
    assert "Forecast" not in render_text(records)


def test_counts_of_images_are_grouped_by_thousands() -> None:
    page = render([make_record(name, trial, 30.0) for name in ("single", "all-reduce-2w") for trial in range(2)])

    assert "<td>3,661 ± 0</td>" in page
    assert "Received: 109,824 images." in page
    assert "resnet8, 77,754 parameters." in page
    assert ">2,000</td>" in page


def test_the_report_marks_the_winner_and_what_was_contended(page: str) -> None:
    (winner,) = re.findall(r'style="--own: (#\w+)" class="winner"><th scope="row">all-reduce-2w <span', page)
    assert page.count('class="winner"') == page.count("★ fastest") == 1
    assert winner == PALETTE[1]  # as in the plots
    assert '<th scope="row">parameter-server-2w-1ps †<' in page


def test_all_that_may_be_the_fastest_have_the_star_on_the_page_in_markdown_and_in_the_terminal() -> None:
    records = [
        make_record(name, trial, seconds, total_seconds=seconds + 15)
        for name, trials in (
            ("single", (60.0, 61.0)),
            ("all-reduce-2w", (42.0, 42.5)),
            ("parameter-server-2w-1ps", (42.1, 42.4)),
        )
        for trial, seconds in enumerate(trials)
    ]
    analysis = analyze(records, make_run_info())
    page, text, table = render_report(analysis), render_markdown(analysis), analysis.terminal_table()

    assert page.count('class="winner"') == page.count("★ may be fastest") == 2
    for shown in (page, text, table):
        assert "★ not told apart, each may be the fastest: all-reduce-2w, parameter-server-2w-1ps." in shown
    for shown in (text, table):
        assert "all-reduce-2w ★ " in shown
        assert "parameter-server-2w-1ps ★ " in shown


def test_the_median_of_rounds_is_a_column_of_the_whole_table_only_where_it_disagrees() -> None:
    held_up, steady = (
        render([make_record(name, trial, own) for name, all_ in seconds.items() for trial, own in enumerate(all_)])
        for seconds in ({"single": (60.0, 61.0, 60.5), "all-reduce-2w": (40.0, 40.5, last)} for last in (55.0, 40.2))
    )

    assert '<th scope="col">speedup, median of rounds</th>' in held_up
    assert "<td>1.50</td>" in held_up
    assert "Figures that single slow trials move less differ by more than 3 %" in read_first_screen(held_up)
    assert "median of rounds" not in steady


def test_no_winner_is_marked_where_none_can_be_told() -> None:
    assert 'class="winner"' not in render([make_record("single"), make_record("all-reduce-2w", train_seconds=1.0)])


def test_the_report_lists_every_rule_of_a_fair_comparison_and_marks_the_broken_ones(page: str) -> None:
    for finding in audit_fairness(group_trials(make_run())):
        assert f'<th scope="row">{finding.rule}</th><td>{finding.status.value}</td>' in page
    assert re.findall(r'<tr class="violated"><th scope="row">([^<]+)<', page) == ["no trial contended"]
    assert '<h2>Fairness audit</h2> <span class="told">1 rule is broken.</span>' in page


def test_contention_is_told_once_before_anything_is_unfolded(page: str) -> None:
    assert len(re.findall("contended|too few cores", read_first_screen(page))) == 1


def read_first_screen(page: str) -> str:
    """Returns what a reader sees before anything is unfolded."""
    body = re.sub(r"<svg.*?</svg>", " ", page[page.index("<body>") :], flags=re.DOTALL)
    folded = re.sub(r"</summary>.*?</details>", " ", body, flags=re.DOTALL)
    return re.sub(r"<[^>]*>", " ", folded)


def test_what_is_read_before_unfolding_is_short(page: str) -> None:
    assert len(read_first_screen(page).split()) < 500


def test_where_the_fastest_is_out_no_other_is_starred() -> None:
    records = [replace(own, test_n_correct=2850) if own.strategy == "all_reduce" else own for own in make_run()]
    records += [make_record("all-reduce-4w", trial, 50.0 + trial) for trial in range(2)]

    analysis = analyze(records, make_run_info())

    assert analysis.verdict.startswith("No answer about all-reduce with 2 workers")
    assert 'class="winner"' not in render_report(analysis)


def test_the_share_of_time_that_was_waited_for_cores_is_a_column() -> None:
    waited = [
        replace(own, replicas=[replace(replica, waited_seconds=0.25 * own.train_seconds) for replica in own.replicas])
        for own in make_run()
    ]

    assert ">waited for cores, %</th>" in render(waited)
    assert len(re.findall("<td>25</td></tr>", render(waited))) == 3
    unknown = [
        replace(own, replicas=[replace(replica, waited_seconds=None) for replica in own.replicas]) for own in make_run()
    ]
    assert "waited for cores" not in render(unknown)


def test_an_unfair_comparison_is_reported_not_refused() -> None:
    records = [make_record("single"), make_record("all-reduce-2w", train_seconds=1.0, dataset_sha256="e" * 64)]
    page = render(records, make_run_info(parameters={"trials": 1, "target_accuracy": 0.98}))

    assert "No answer about all-reduce with 2 workers: it did not do the same work as the single node" in page
    assert '<th scope="row">all-reduce-2w ‡<' in page
    assert "‡ breaks a rule of the fairness audit." in page


def test_the_report_closes_every_element_it_opens(page: str) -> None:
    assert list_unclosed(page) == []


def test_ids_are_unique(page: str) -> None:
    ids = re.findall(r'\bid="([^"]+)"', page)

    assert len(ids) == len(set(ids))


def test_the_report_holds_parameters_environment_and_raw_records(page: str) -> None:
    assert "<dt>workers</dt><dd>[2]</dd>" in page
    assert "<dt>cpu model</dt><dd>AMD EPYC</dd>" in page
    assert "python -m comparison runs/run-1" in page
    assert page.count("&#34;schema_version&#34;: 1") == len(make_run())


def test_what_a_record_says_is_never_taken_for_markup() -> None:
    hostile = "<script>alert(1)</script>"
    records = [replace(record, warnings=[hostile], host={"cpu_model": hostile}) for record in make_run()]
    records += [replace(make_record("all-reduce-4w"), configuration=hostile)]

    page = render(records, make_run_info(parameters={hostile: hostile}, run_id=hostile))

    assert "<script" not in page


def test_the_same_records_give_the_same_report(page: str) -> None:
    assert render(make_run_with_image()) == page


def test_the_overhead_of_the_run_is_told(page: str) -> None:
    trials = make_run()
    wall_seconds = max(trial.evaluated_at for trial in trials) - make_run_info().started_at
    share = 1 - sum(trial.train_seconds + 2 + 3 for trial in trials) / wall_seconds

    assert f"{100 * share:.0f} % was spent outside training and evaluation" in page


def test_confused_images_are_shown_with_what_they_were_taken_for(page: str) -> None:
    assert page.count('<img src="data:image/png;base64,') == 1
    assert 'alt="Test image, true 0, read as 1"' in page
    assert page.count("<span>true 0, read as 1</span>") == 3
    assert "56 times in 2 trials" in page
    assert IMAGE.pixels not in page


def test_a_page_of_many_trials_names_the_file_of_their_records_instead_of_holding_them() -> None:
    rounds = range(MAX_EMBEDDED_TRIALS // 2 + 1)
    records = [make_record(name, trial, 60.0 + trial / 100) for trial in rounds for name in ("single", "all-reduce-2w")]

    embedded, left_out = render(records[:-2]), render(records)

    assert embedded.count("&#34;schema_version&#34;: 1") == MAX_EMBEDDED_TRIALS
    assert "&#34;schema_version&#34;" not in left_out
    assert "The records of 102 trials are too much for this page: trials.jsonl, beside it, has them." in left_out
    assert list_unclosed(left_out) == []


def make_confused_run(num_classes: int, num_images: int = 10_000) -> list[TrialRecord]:
    """Returns a run on so many classes, of whose images every second was taken for some other class."""
    counts: Counter[tuple[int, int]] = Counter()
    for image in range(num_images):
        true = image % num_classes
        counts[true, true if image % 2 else (7 * image + image // num_classes) % num_classes] += 1
    entries = [[*pair, count] for pair, count in sorted(counts.items())]
    changes: dict[str, Any] = {
        "confusion_matrix": None,
        "confusion_counts": entries,
        "test_n_correct": sum(count for true, predicted, count in entries if true == predicted),
        "test_n_examples": num_images,
    }
    names = ("single", *(f"all-reduce-{count}w{weak}" for count in (2, 3, 4) for weak in ("", "-weak")))
    return [make_record(name, trial, 60.0 + trial, **changes) for name in names for trial in range(3)]


@pytest.mark.parametrize("num_classes", [47, 200, 1400])
def test_a_page_of_many_classes_stays_below_two_megabytes(num_classes: int) -> None:
    page = render(make_confused_run(num_classes))

    assert len(page.encode()) < 2_000_000
    assert list_unclosed(page) == []


def test_of_many_classes_the_most_confused_are_shown_and_the_others_counted() -> None:
    hits = [[name, name, 10] for name in range(200)]
    records = [
        make_record(
            trial=trial,
            confusion_matrix=None,
            confusion_counts=[*hits, [150, 7, 30]],
            test_n_correct=2000,
            test_n_examples=2030,
        )
        for trial in range(2)
    ]

    page = render(records)

    assert "true 150, read as 7" in page
    assert re.search(r'<th scope="row">150</th>.*>60</td>', page)
    assert "The matrix has the 20 most confused classes; 180 more are left out." in page


def test_of_classes_with_large_numbers_only_those_that_occur_are_shown() -> None:
    counts = [[0, 0, 1000], [700, 700, 990], [700, 1400, 10], [1400, 1400, 1000]]
    page = render([make_record(n_correct=2990, confusion_matrix=None, confusion_counts=counts)])

    assert re.findall(r'<tr><th scope="row">(\d+)</th><td class="(?:hit|zero|miss)', page) == ["0", "700", "1400"]
    assert "are left out" not in page


def test_each_kind_of_scaling_has_plots_of_its_own() -> None:
    seconds = {"single": 60.0, "all-reduce-2w": 36.0, "all-reduce-2w-weak": 40.0}
    records = [make_record(name, trial, own + trial) for name, own in seconds.items() for trial in range(2)]
    planned = make_run_info(configurations=[{"name": name} for name in seconds])
    page = render_report(analyze(records, planned))
    ids = re.findall(r'\bid="([^"]+)"', page)

    assert re.findall(r"<h2>Speedup against workers, (\w+) scaling</h2>", page) == ["strong", "weak"]
    assert page.count('aria-label="Speedup against workers, measured and forecast: ') == 2
    assert len(ids) == len(set(ids))
