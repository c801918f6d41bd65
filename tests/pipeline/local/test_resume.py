import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from components.planning.parameters import Parameters
from components.planning.plan import plan_run
from model.host import describe_versions
from pipeline.local.resume import ResumeError, count_finished, describe_killed, describe_resumption, lock, take_up
from pipeline.run import main
from pipeline.shell import RUN
from tests.components.planning.programs.test_persons import write_job
from tests.components.trial_folders import write_trial

PARAMETERS = Parameters()
SILENT: dict[str, Any] = dict.fromkeys(vars(PARAMETERS))


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """The folder of a run that was interrupted in its second trial."""
    folder = tmp_path / "runs" / "1"
    (folder / "artifacts" / "tfjob-speedup-1" / "train-single-node" / "trained").mkdir(parents=True)
    plan_run("1", PARAMETERS).write(folder / "run.json")
    write_trial(folder / "models" / "single" / "trial-1", "single", 1, versions=describe_versions())
    (folder / "logs" / "single").mkdir(parents=True)
    (folder / "models" / "single" / "trial-1" / "logs").rename(folder / "logs" / "single" / "trial-1")
    return folder


def list_finished(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "workspace" / "finished").iterdir())


def test_an_interrupted_run_is_taken_up_with_its_own_parameters_and_trials(run_dir: Path) -> None:
    plan = json.loads((run_dir / "run.json").read_text())

    run = take_up(run_dir, SILENT | {"epochs": 2, "workers": [2]})

    assert (run.run_id, run.parameters, run.started_at) == ("1", PARAMETERS, plan["started_at"])
    assert list_finished(run_dir) == ["single-t1"]
    assert not (run_dir / "artifacts").exists()
    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").exists()


def test_a_run_that_was_killed_is_taken_up_from_what_it_was_working_with(run_dir: Path) -> None:
    work = run_dir / "artifacts" / "tfjob-speedup-1"
    for name in ("plan-comparison", "compare"):
        (work / name).mkdir()
    (run_dir / "run.json").rename(work / "plan-comparison" / "run_info")
    (work / "compare" / "report").touch()
    for name in ("finished", "finished.partial"):
        folder = run_dir / "workspace" / name / "all-reduce-2w-t1"
        write_trial(folder, "all-reduce-2w", 1, versions=describe_versions())

    take_up(run_dir, SILENT)

    assert list_finished(run_dir) == ["all-reduce-2w-t1", "single-t1"]
    assert (run_dir / "logs" / "all-reduce-2w" / "trial-1" / "worker-0.log").exists()
    assert sorted(path.name for path in run_dir.iterdir()) == ["logs", "models", "run.json", "workspace"]


def test_a_run_whose_trials_found_no_room_is_taken_up_from_where_its_steps_have_left_them(run_dir: Path) -> None:
    trained = run_dir / "artifacts" / "tfjob-speedup-1" / "1" / "train-distributed" / "trained"
    write_trial(trained / "all-reduce-2w-t1", "all-reduce-2w", 1, versions=describe_versions())
    (trained / "all-reduce-2w-t2").mkdir()  # began, and has no launch.json
    assert count_finished(run_dir) == 2

    take_up(run_dir, SILENT)

    assert list_finished(run_dir) == ["all-reduce-2w-t1", "single-t1"]
    assert (run_dir / "models" / "all-reduce-2w" / "trial-1" / "model.keras").exists()


def test_a_report_that_was_written_without_the_other_results_is_not_taken_for_the_end_of_the_run(run_dir: Path) -> None:
    (run_dir / "report.html").touch()
    for _ in range(2):  # the first one is killed before it has made its folders again
        take_up(run_dir, SILENT)

    assert list_finished(run_dir) == ["single-t1"]


def test_a_run_that_is_killed_again_loses_nothing(run_dir: Path) -> None:
    for _ in range(3):
        take_up(run_dir, SILENT)
        (run_dir / "artifacts").mkdir()

    assert list_finished(run_dir) == ["single-t1"]
    assert (run_dir / "models" / "single" / "trial-1" / "model.keras").read_text() == "weights"


def test_a_run_without_a_finished_trial_starts_anew(run_dir: Path) -> None:
    (run_dir / "models" / "single" / "trial-1" / "model.keras").unlink()

    before = time.time()
    assert take_up(run_dir, SILENT).started_at >= before
    assert not (run_dir / "workspace").exists()


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"epochs": 5}, "--epochs must be left out, or be that of the run, 2. Received: 5."),
        ({"workers": [4]}, r"--workers must be left out, or be that of the run, \[2\]. Received: \[4\]."),
        ({"bigger_nodes": True}, "--bigger-nodes must be left out, or be that of the run, None. Received: True."),
    ],
)
def test_a_run_cannot_be_resumed_as_another_one(run_dir: Path, said: dict[str, Any], message: str) -> None:
    with pytest.raises(ResumeError, match=message):
        take_up(run_dir, SILENT | said)
    assert (run_dir / "artifacts").exists()


SECRET: dict[str, Any] = {
    "dataset": "https://data.example/a.npz?key=first",
    "job_settings": '{"env": {"TOKEN": "first"}}',
}
AGAIN: dict[str, Any] = {
    "dataset": "https://data.example/a.npz?key=again",
    "job_settings": '{"env": {"TOKEN": "again"}}',
}


def test_secrets_that_were_not_stored_are_asked_for_again(run_dir: Path) -> None:
    plan_run("1", Parameters(**SECRET)).write(run_dir / "run.json")
    assert "first" not in (run_dir / "run.json").read_text()

    asked = r"--dataset of the run was 'https://data\.example/a\.npz\?\(hidden\)': what is hidden is stored nowhere"
    with pytest.raises(ResumeError, match=f"{asked}.*TFJOB_SPEEDUP_DATASET_URL=… in the environment, or --dataset"):
        take_up(run_dir, SILENT | {"job_settings": AGAIN["job_settings"]})
    with pytest.raises(ResumeError, match=r"--job-settings of the run was .*TFJOB_SPEEDUP_JOB_SETTINGS=…"):
        take_up(run_dir, SILENT | {"dataset": AGAIN["dataset"]})
    plan = take_up(run_dir, SILENT | AGAIN)

    assert plan.parameters == Parameters(**AGAIN)
    told = 'Train what is left: make run TFJOB_SPEEDUP_DATASET_URL=… TFJOB_SPEEDUP_JOB_SETTINGS=… ARGS="--'
    assert told in describe_resumption(run_dir, RUN, plan)


def test_a_command_with_a_signed_url_must_be_given_again(run_dir: Path) -> None:
    whole = "python train.py --data 'https://data.example/a?key=first'"
    plan_run("1", Parameters(command=whole)).write(run_dir / "run.json")
    with pytest.raises(ResumeError, match=r"Give it again as a whole: --command …\."):
        take_up(run_dir, SILENT)
    plan = take_up(run_dir, SILENT | {"command": whole.replace("first", "again")})
    assert plan.parameters.command == whole.replace("first", "again")
    assert f"--resume {run_dir.name} --command …" in describe_resumption(run_dir, RUN, plan)


def test_a_run_of_a_version_that_stored_secrets_is_resumed_without_being_asked(run_dir: Path) -> None:
    plan_run("1", PARAMETERS).write(run_dir / "run.json")
    old = json.loads((run_dir / "run.json").read_text())
    (run_dir / "run.json").write_text(json.dumps(old | {"parameters": old["parameters"] | SECRET}))

    assert take_up(run_dir, SILENT).parameters == Parameters(**SECRET)


def test_other_data_than_the_runs_are_refused_without_showing_what_is_secret(run_dir: Path) -> None:
    plan_run("1", Parameters(**SECRET)).write(run_dir / "run.json")
    with pytest.raises(ResumeError, match=r"must be left out, or be that of the run") as raised:
        take_up(run_dir, SILENT | AGAIN | {"dataset": "https://other.example/a.npz?key=again"})
    assert "again" not in str(raised.value)


def complete(run_dir: Path) -> None:
    (run_dir / "artifacts").rename(run_dir.parent / "gone")
    (run_dir / "report.html").touch()


def lose_plan(run_dir: Path) -> None:
    (run_dir / "run.json").unlink()


def lose_all(run_dir: Path) -> None:
    run_dir.rename(run_dir.with_name("gone"))


def rename(run_dir: Path) -> None:
    plan_run("2", PARAMETERS).write(run_dir / "run.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (complete, r"Run 1 is complete: .*report\.html\. There is nothing to resume\."),
        (lose_plan, r"Run 1 ended before it was planned: there is nothing to resume\. Start a new run\."),
        (lose_all, r"There is no run 1 in .*runs\. Expected the name of a folder there\."),
        (rename, r"The folder of run 2 must have its name\. Received: 1\. Rename it\."),
    ],
)
def test_where_there_is_nothing_to_resume_the_message_says_why(run_dir: Path, change: Any, message: str) -> None:
    change(run_dir)

    with pytest.raises(ResumeError, match=message):
        take_up(run_dir, SILENT)


TAKE_UP = """
import sys
from pathlib import Path
from components.planning import Parameters
from pipeline.local import take_up
take_up(Path(sys.argv[1]), dict.fromkeys(vars(Parameters())))
print("taken", flush=True)
sys.stdin.read()
"""


def test_of_two_who_resume_a_run_at_once_one_is_refused_before_it_removes_anything(run_dir: Path) -> None:
    plan_run("1", PARAMETERS).write(run_dir / "run.json")
    command = [sys.executable, "-c", TAKE_UP, str(run_dir)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "taken\n"
        (run_dir / "workspace" / "its-own").mkdir(parents=True)
        with pytest.raises(ResumeError, match="Run 1 is being resumed by another program"):
            take_up(run_dir, SILENT)
        assert (run_dir / "workspace" / "its-own").exists()
        other.communicate()
    take_up(run_dir, SILENT)


def test_a_run_that_is_running_is_left_alone(run_dir: Path) -> None:
    with (run_dir / "logs" / "pipeline.log").open("a") as log:
        lock(log)
        with pytest.raises(ResumeError, match="Run 1 is running: interrupt it first, or let it end"):
            take_up(run_dir, SILENT)
    assert take_up(run_dir, SILENT).run_id == "1"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume=7"], "There is no run 7 in "),
        (["--resume=1", "--epochs=5"], "--epochs must be left out, or be that of the run, 2. Received: 5."),
        (["--resume=1", "--workers", "2", "4"], "--workers must be left out, or be that of the run, [2]. Received: "),
    ],
)
def test_a_refusal_to_resume_is_one_line(
    run_dir: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main([f"--runs-dir={run_dir.parent}", *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {message}")
    assert (captured.err.count("\n"), captured.out) == (1, "")


def test_a_person_is_told_how_to_resume_where_it_is_possible(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(run_dir.parent.parent)
    assert describe_resumption(run_dir, RUN) == '\nTrain what is left: make run ARGS="--resume 1"'
    monkeypatch.chdir(run_dir.parent)
    assert describe_resumption(run_dir, RUN) == '\nTrain what is left: make run ARGS="--runs-dir . --resume 1"'
    assert describe_resumption(run_dir, "speedup run") == "\nTrain what is left: speedup run --runs-dir . --resume 1"
    lose_plan(run_dir)
    assert describe_resumption(run_dir, RUN) == ""


def test_the_next_run_tells_of_one_that_was_killed_and_how_to_resume_it(run_dir: Path) -> None:
    lose_plan(run_dir)
    (run_dir / "artifacts" / "job" / "plan-comparison").mkdir(parents=True)
    (run_dir / "artifacts" / "job" / "plan-comparison" / "run_info").touch()
    (run_dir / "workspace" / "finished" / "all-reduce-2w-t1").mkdir(parents=True)
    told = describe_killed(run_dir.parent, "speedup run")
    assert told.startswith(
        "Note: run 1 was killed before its end, or its machine was: 2 trial(s) are finished.\nTrain "
    )
    assert f"speedup run --runs-dir {run_dir.parent} --resume 1\nOr delete {run_dir}, and" in told


def test_nothing_is_told_of_a_run_that_goes_on_that_ended_or_that_cannot_be_resumed(run_dir: Path) -> None:
    assert describe_killed(run_dir.parent / "missing", RUN) == ""
    assert describe_killed(run_dir.parent, RUN) == ""  # it ended by itself: its workspace is gone
    (run_dir / "workspace").mkdir()
    with (run_dir / "logs" / "pipeline.log").open("a") as log:
        lock(log)
        assert describe_killed(run_dir.parent, RUN) == ""
    assert describe_killed(run_dir.parent, RUN) != ""
    lose_plan(run_dir)
    assert describe_killed(run_dir.parent, RUN) == ""


def test_a_manifest_with_a_secret_must_be_given_again(tmp_path: Path) -> None:
    manifest = write_job("python", "train.py", env={"TOKEN": "a-secret-token"})
    folder = tmp_path / "runs" / "1"
    folder.mkdir(parents=True)
    plan = plan_run("1", Parameters(tfjob=manifest))
    plan.write(folder / "run.json")

    assert describe_resumption(folder, RUN, plan).endswith('--resume 1 --tfjob FILE"')
    with pytest.raises(ResumeError, match=r"Give it again as a whole: --tfjob FILE\."):
        take_up(folder, SILENT)
    with pytest.raises(ResumeError, match="--tfjob must be left out, or be that of the run"):
        take_up(folder, SILENT | {"tfjob": manifest.replace("train.py", "other.py")})
    assert take_up(folder, SILENT | {"tfjob": manifest}).parameters.tfjob == manifest
