import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.results import (
    arrange_results,
    create_run_dir,
    describe_partial_results,
    find_local_results,
    point_latest,
)
from tests.components.trial_folders import write_trial


def write_artifacts(root: Path, *, is_complete: bool = True) -> Path:
    run = root / "tfjob-speedup-2026"
    files = ["plan-comparison/run_info"]
    if is_complete:
        files += ["compare/report", "compare/summary", "compare/table", "compare/trials", "compare/recommendation"]
        files += ["study-depth/page", "study-depth/study"]
    for name in files:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(name)
    for trial in (1, 2) if is_complete else (1,):
        iteration = run / f"for-loop-1-iteration-{trial}"
        write_trial(iteration / "train-single-node" / "trained" / "single", "single", trial)
        write_trial(iteration / "train-distributed" / "trained" / "all-reduce-2w", "all-reduce-2w", trial)
    return run


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize(("configuration", "trial"), [("../../outside", 1), ("single", "/../../../outside")])
def test_no_record_leads_out_of_the_runs_folder(tmp_path: Path, configuration: str, trial: Any) -> None:
    write_trial(tmp_path / "trained" / "a", "single", 1)
    path = tmp_path / "trained" / "a" / "launch.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"configuration": configuration, "trial": trial}))
    run_dir = tmp_path / "runs" / "1"
    run_dir.mkdir(parents=True)
    before = list_files(tmp_path)
    with pytest.raises(ValueError, match=r"launch\.json must be"):
        arrange_results(run_dir, {}, [tmp_path / "trained"])
    assert list_files(tmp_path) == before


def test_every_run_has_a_folder_of_its_own(tmp_path: Path) -> None:
    folders = [create_run_dir(tmp_path / "runs") for _ in range(3)]
    assert len({folder.name for folder in folders}) == 3
    assert all(folder.is_dir() and not any(folder.iterdir()) for folder in folders)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        create_run_dir(tmp_path / "file")


def test_results_are_found_and_arranged_for_a_reader(tmp_path: Path) -> None:
    write_artifacts(tmp_path / "artifacts")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    arrange_results(run_dir, *find_local_results(tmp_path / "artifacts"))
    models = [
        f"models/{name}/trial-{trial}/{file}"
        for name in ("all-reduce-2w", "single")
        for trial in (1, 2)
        for file in ("launch.json", "model.keras", "training.json")
    ]
    logs = [f"logs/{name}/trial-{trial}/worker-0.log" for name in ("all-reduce-2w", "single") for trial in (1, 2)]
    files = ["comparison.csv", "comparison.md", "recommendation.json", "report.html", "run.json", "trials.jsonl"]
    study = ["depth_study.html", "depth_study.json"]
    assert list_files(run_dir) == sorted([*files, *study, *logs, *models])
    assert (run_dir / "report.html").read_text() == "compare/report"
    assert (run_dir / "comparison.md").read_text() == "compare/summary"


def test_what_a_run_finished_before_it_ended_early_is_arranged_too(tmp_path: Path) -> None:
    run = write_artifacts(tmp_path / "artifacts", is_complete=False)
    unfinished = run / "for-loop-1-iteration-0" / "train-distributed" / "trained" / "all-reduce-4w" / "logs"
    unfinished.mkdir(parents=True)
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    arrange_results(run_dir, *find_local_results(tmp_path / "artifacts"))
    assert sorted(path.name for path in run_dir.iterdir()) == ["logs", "models", "run.json"]
    assert sorted(str(path.relative_to(run_dir)) for path in run_dir.glob("models/*/*")) == [
        "models/all-reduce-2w/trial-1",
        "models/single/trial-1",
    ]
    assert unfinished.is_dir()


def test_a_run_that_ended_early_says_what_it_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert describe_partial_results(tmp_path / "runs" / "1").startswith(
        "No trial was finished.\nThe steps' logs: runs/1"
    )
    for place in ("single/trial-1", "all-reduce-2w/trial-1"):
        (tmp_path / "runs" / "1" / "models" / place).mkdir(parents=True)
    (tmp_path / "runs" / "1" / "artifacts").mkdir()
    assert describe_partial_results(tmp_path / "runs" / "1").splitlines() == [
        "2 finished trial(s): all-reduce-2w/trial-1, single/trial-1, in runs/1/models.",
        "The steps' logs: runs/1/logs/pipeline.log; what was unfinished: runs/1/artifacts",
    ]


def test_latest_points_at_the_newest_run_wherever_the_folder_is_moved(tmp_path: Path) -> None:
    for name in ("1", "2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        point_latest(tmp_path / "runs" / name)
    (tmp_path / "runs").rename(tmp_path / "moved")
    assert (tmp_path / "moved" / "latest").resolve() == tmp_path / "moved" / "2"
    assert sorted(path.name for path in (tmp_path / "moved").iterdir()) == ["1", "2", "latest"]


def test_a_link_that_a_killed_program_left_does_not_keep_latest_from_its_run(tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    (tmp_path / ".latest.1").symlink_to("1")
    point_latest(tmp_path / "1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1", "latest"]


def test_a_trial_that_was_left_out_is_noted_in_the_plan_and_its_logs_are_kept(tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    write_trial(trained / "single", "single", 1)
    write_trial(trained / "all-reduce-2w", "all-reduce-2w", 2)
    for name in ("launch.json", "training.json", "model.keras"):
        (trained / "all-reduce-2w" / name).unlink()
    which = {"configuration": "all-reduce-2w", "trial": 2, "reason": "lacks a record"}
    (trained / "all-reduce-2w" / "failed.json").write_text(json.dumps(which | {"round": 2, "earlier_attempts": []}))
    run_dir = tmp_path / "runs" / "1"
    run_dir.mkdir(parents=True)
    (tmp_path / "run_info").write_text(json.dumps({"run_id": "1"}))

    arrange_results(run_dir, {"run.json": tmp_path / "run_info"}, [trained])

    assert json.loads((run_dir / "run.json").read_text()) == {"run_id": "1", "failed_trials": [which]}
    assert (run_dir / "logs" / "all-reduce-2w" / "trial-2" / "worker-0.log").exists()
    assert not (run_dir / "models" / "all-reduce-2w").exists()


def test_a_trial_that_was_left_out_is_noted_once_and_no_longer_than_it_lacks(tmp_path: Path) -> None:
    run_dir, failed = tmp_path / "run", {"configuration": "single", "trial": 1, "reason": "no record"}
    folders = [tmp_path / "finished", tmp_path / "trained"]
    for folder in folders:
        (folder / "single-t1").mkdir(parents=True)
        (folder / "single-t1" / "failed.json").write_text(json.dumps(failed))
    run_dir.mkdir()
    (run_dir / "run.json").write_text("{}")
    arrange_results(run_dir, {}, folders)
    assert json.loads((run_dir / "run.json").read_text())["failed_trials"] == [failed]
    (run_dir / "models" / "single" / "trial-1").mkdir(parents=True)
    arrange_results(run_dir, {}, folders)
    assert json.loads((run_dir / "run.json").read_text())["failed_trials"] == []


@pytest.mark.parametrize("configuration", ["../../outside", "/etc", 7, None])
def test_a_trial_that_was_left_out_leads_nowhere_else(tmp_path: Path, configuration: Any) -> None:
    (tmp_path / "trained" / "a").mkdir(parents=True)
    (tmp_path / "trained" / "a" / "failed.json").write_text(json.dumps({"configuration": configuration, "trial": 1}))
    with pytest.raises(ValueError, match=r"configuration in .*failed\.json must be"):
        arrange_results(tmp_path, {}, [tmp_path / "trained"])
