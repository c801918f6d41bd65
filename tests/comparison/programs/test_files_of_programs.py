import json
import math
import re
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from comparison.__main__ import main
from comparison.programs import (
    ProgramMetric,
    ProgramPoint,
    ProgramTrial,
    analyze_programs,
    compare_programs,
    format_program_trials,
    is_of_programs,
    parse_program_trial,
    read_program_trials,
    render_program_report,
)
from comparison.programs.page import render_program_markdown
from comparison.programs.rows import COLUMNS
from comparison.records import RUN_FILE, TRIALS_FILE, RecordError, format_records
from comparison.texts import LANGUAGES, speak
from tests.comparison.page.html_parser import list_unclosed
from tests.comparison.programs.program_factory import make_program_info, make_program_run, make_silent
from tests.comparison.record_factory import make_run

FILES = {"report.html", "comparison.csv", "comparison.md", "recommendation.json", TRIALS_FILE}
HOSTILE = "<script>alert(1)</script>|`</title>"


def write_run(folder: Path, trials: list[ProgramTrial] | None = None) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / TRIALS_FILE).write_text(format_program_trials(trials or make_program_run()))
    (folder / RUN_FILE).write_text(json.dumps(asdict(make_program_info())))
    return folder


def alter(**changes: Any) -> dict[str, Any]:
    return asdict(make_program_run()[0]) | changes


def test_a_comparison_leaves_all_files_and_its_records_as_they_were(tmp_path: Path) -> None:
    trials = make_program_run()
    compare_programs(reversed(trials), make_program_info(), tmp_path)

    assert {path.name for path in tmp_path.iterdir()} == FILES
    assert sorted(read_program_trials(tmp_path / TRIALS_FILE), key=lambda own: own.place) == trials
    table = pd.read_csv(tmp_path / "comparison.csv")
    assert tuple(table.columns) == COLUMNS
    assert list(table["configuration"]) == ["single", "workers-2", "workers-4"]


def test_the_markdown_begins_with_the_answer_and_has_few_columns(tmp_path: Path) -> None:
    compare_programs(make_program_run(), make_program_info(), tmp_path)

    lines = (tmp_path / "comparison.md").read_text().splitlines()
    assert lines[0].startswith("# By training time, distributing pays off here: 4 workers")
    assert lines[2].count("|") == 6
    assert lines[-1].startswith("- Declared, and not known")


def test_a_trials_own_file_is_read_whether_it_is_one_line_or_many(tmp_path: Path) -> None:
    (trial, *_) = make_program_run()
    path = tmp_path / "trial.json"
    for indent in (None, 1):
        path.write_text(json.dumps(asdict(trial), indent=indent))
        assert read_program_trials(path) == [trial]


def test_the_program_rebuilds_the_report_of_either_kind_of_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = write_run(tmp_path / "run")

    assert main([str(run_dir)]) == 0
    assert "By training time, distributing pays off here" in capsys.readouterr().out
    assert {path.name for path in run_dir.iterdir()} == FILES | {RUN_FILE}
    assert main([str(run_dir), "--lang", "zh"]) == 0
    assert (run_dir / "report.zh.html").exists()


def test_two_runs_are_refused_where_one_is_of_a_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_dir = write_run(tmp_path / "run")
    own = tmp_path / "own"
    own.mkdir()
    (own / TRIALS_FILE).write_text(format_records(make_run()))
    (own / RUN_FILE).write_text(json.dumps(asdict(make_program_info())))

    assert main([str(own), str(run_dir)]) == 2
    assert "is a run of a person's own program" in capsys.readouterr().err
    assert not is_of_programs(own / TRIALS_FILE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"schema_version": 2}, "must have schema_version 1"),
        ({"program": "shell"}, "program must be one of command, tfjob"),
        ({"level": 3}, "level must be 0, 1 or 2"),
        ({"configuration": " "}, "configuration must be a name of at most 200 letters"),
        ({"configuration": "a" * 201}, "configuration must be a name of at most 200 letters"),
        ({"job_seconds": 0.0}, "job_seconds must be at least"),
        ({"train_seconds": -1.0}, "train_seconds must be at least"),
        ({"train_seconds": math.nan}, "train_seconds must be float"),
        ({"examples_per_second": math.inf}, "examples_per_second must be float"),
        ({"num_workers": 0}, "num_workers must be at least 1"),
        ({"num_ps": -1}, "num_ps must be at least 0"),
        ({"steps": 10**400}, "steps must be int"),
        ({"steps": True}, "steps must be int"),
        ({"replicas": []}, "replicas must list one replica at least"),
        ({"replicas": "all"}, "replicas must be list"),
        ({"metrics": [{"name": "a", "value": "b"}]}, "value must be float"),
        ({"metrics": [{"name": "a" * 201, "value": 1.0}]}, "name of a metric must be a name"),
        ({"metrics": [{"name": "a", "value": 1.0, "num_examples": 0}]}, "num_examples of 'a' must be at least 1"),
        ({"surprise": 1}, r"Unknown: \['surprise'\]"),
    ],
)
def test_a_record_that_cannot_be_is_refused_with_what_came(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        parse_program_trial(alter(**changes), "trial.json")


def test_a_record_of_this_projects_own_loop_is_refused(tmp_path: Path) -> None:
    path = tmp_path / TRIALS_FILE
    path.write_text(format_program_trials(make_program_run()[:1]) + format_records(make_run()[:1]))

    with pytest.raises(RecordError, match="Records of both kinds make no comparison"):
        read_program_trials(path)


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / TRIALS_FILE).write_text("\n")

    with pytest.raises(RecordError, match="holds no trial"):
        read_program_trials(tmp_path / TRIALS_FILE)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda trials: [], "needs at least one trial"),
        (lambda trials: [*trials, trials[0]], "must be recorded once"),
        (lambda trials: [replace(trials[0], baseline="other"), *trials[1:]], "compared with one baseline"),
        (lambda trials: [replace(own, baseline="workers-4") for own in trials], "must be the smallest configuration"),
        (lambda trials: [replace(trials[0], num_ps=1), *trials[1:]], "must have the same num_ps"),
    ],
)
def test_records_that_make_no_comparison_are_refused(
    edit: Callable[[list[ProgramTrial]], list[ProgramTrial]], message: str
) -> None:
    with pytest.raises(RecordError, match=message):
        analyze_programs(edit(make_program_run()), make_program_info())


def test_names_with_markup_stay_text_on_every_page() -> None:
    trials = [
        replace(
            own,
            configuration=HOSTILE if own.num_workers == 4 else own.configuration,
            unit=HOSTILE,
            metrics=[replace(metric, name=HOSTILE) for metric in own.metrics],
            curve=[replace(point, name=HOSTILE) for point in own.curve],
            warnings=[HOSTILE],
            notes=[HOSTILE],
            declared=[HOSTILE],
            image=HOSTILE,
        )
        for own in make_program_run()
    ]
    analysis = analyze_programs(trials, make_program_info(command=HOSTILE))

    page = render_program_report(analysis)

    markdown = render_program_markdown(analysis)
    assert "<script" not in page
    assert "\\<script" in markdown
    assert not re.search(r"(?<!\\)<", markdown)
    assert page.count("</title>") == 1 + page.count("<svg")
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_of_long_curves_and_many_trials_takes_less_than_400_kilobytes(language: str) -> None:
    trials = [
        replace(
            own,
            curve=[ProgramPoint("accuracy", 0.5 + index / 1_000, index * 0.01, index) for index in range(500)],
            notes=[f"note {index}: {'a' * 1_000}" for index in range(500)],
            warnings=[f"warning {index}: {chr(97 + index % 26) * 1_000}" for index in range(500)],
        )
        for own in make_program_run(rounds=12)
    ]
    with speak(language):
        page = render_program_report(analyze_programs(trials, make_program_info()))

    assert len(page.encode()) < 400_000


def test_what_is_not_known_is_a_dash_and_not_a_zero() -> None:
    trials = [make_silent(own) for own in make_program_run()]
    unknown = replace(trials[0], cpus_per_replica=None, memory_per_replica=None)
    analysis = analyze_programs([unknown, *trials[1:]], make_program_info())

    table = analysis.terminal_table().splitlines()
    assert table[1].split()[:2] == ["single", "1.00"]
    assert "–" in table[1]
    page = render_program_report(analysis)
    assert re.findall(r"\b(nan|None)\b", page) == []


@pytest.mark.parametrize("rounds", [1, 3])
@pytest.mark.parametrize("workers", [(1,), (2, 4), (1, 2)])
def test_every_element_of_a_page_is_closed(rounds: int, workers: tuple[int, ...]) -> None:
    trials = [own for own in make_program_run(rounds=rounds) if own.num_workers in workers]

    assert list_unclosed(render_program_report(analyze_programs(trials, make_program_info()))) == []


@pytest.mark.parametrize(
    ("rounds", "told"),
    [(1, "Markers are measured. A single round has no intervals."), (3, "Markers are measured, with 95 % intervals.")],
)
def test_the_picture_promises_no_intervals_where_a_single_round_has_none(rounds: int, told: str) -> None:
    assert told in render_program_report(analyze_programs(make_program_run(rounds=rounds), make_program_info()))


def test_a_metric_of_another_replica_does_not_take_the_chiefs_place() -> None:
    trials = [
        replace(own, metrics=[*own.metrics, ProgramMetric("accuracy", 0.1, higher_is_better=True, replica="worker-1")])
        for own in make_program_run()
    ]

    assert analyze_programs(trials, make_program_info()).rows[0].metric_value == pytest.approx(0.98, abs=0.01)


@pytest.mark.parametrize(
    ("parameters", "listed"),
    [
        ({}, {"command", "trials", "cpus_per_replica"}),
        ({"command": "a {per_replica_batch_size}"}, {"command", "trials", "cpus_per_replica", "global_batch_size"}),
        ({"tfjob": "kind: TFJob"}, {"command", "trials", "tfjob"}),
    ],
)
def test_a_report_lists_no_parameter_of_which_the_program_was_never_told(
    parameters: dict[str, Any], listed: set[str]
) -> None:
    ours = {"dataset": "mnist", "model": "resnet8", "epochs": 2, "global_batch_size": 128, "cpus_per_replica": 1.0}
    info = make_program_info()
    info = replace(info, parameters={**info.parameters, **ours, "trials": 3, **parameters})
    page = render_program_report(analyze_programs(make_program_run(), info))
    told = set(re.findall(r"<dt>(\w+)</dt>", page)) & info.parameters.keys()
    assert told == listed
