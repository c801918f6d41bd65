import json
from datetime import datetime
from pathlib import Path

import pytest

from pipeline.remote.follow import Pace
from pipeline.run import main
from tests.pipeline.remote.kfp_server import Kfp, error_json
from tests.pipeline.remote.served_run import ALL_DONE, FAILED_LOG, LAUNCHERS, QUICK, RECORDED, fail, replay, run


def test_a_failed_step_ends_with_its_message_and_keeps_what_was_finished(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(kfp, FAILED_LOG)
    assert run() == 1
    captured = capsys.readouterr()
    assert "✗ train-distributed failed" in captured.out
    assert captured.err.splitlines() == [
        "train-distributed:",
        "  error: Job all-reduce-2w-t1 failed: worker-1 exited with 137.",
        "  Last lines of worker-1:",
        "    epoch 1/2 step 3/85",
        f"The run ended as FAILED: {endpoint}/#/runs/details/run-1",
        "1 finished trial(s): single/trial-1, in runs/run-1/models.",
        "The steps' logs: runs/run-1/logs/pipeline.log",
    ]
    assert not (tmp_path / "runs" / "latest").exists()


@pytest.mark.parametrize(
    "told",
    [
        "error: 404 page not found: the server could not find the requested resource (tfjobs)",
        'error: no matches for kind "TFJob" in version "kubeflow.org/v1"',
    ],
)
def test_a_missing_training_operator_is_recognised_in_the_steps_message(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], told: str
) -> None:
    fail(kfp, told)
    assert run() == 1
    assert "python -m tfjob.preflight" in capsys.readouterr().err


def test_a_run_that_ends_without_a_failed_step_says_so(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.states[-1] = ("FAILED", [*LAUNCHERS, *ALL_DONE[:3]])
    assert run() == 1
    assert capsys.readouterr().err.startswith("No step failed by itself: the cluster could not start one, or")


def test_a_run_that_somebody_terminated_says_when_and_during_which_step(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_terminated_single")
    assert main(["--resume=run-1"], QUICK) == 1
    assert capsys.readouterr().err.splitlines()[:2] == [
        "Somebody ended it at 15:15:37 (UTC), during train-single-node.",
        f"The run was terminated: {endpoint}/#/runs/details/run-1",
    ]


def test_a_run_that_somebody_deleted_is_not_said_to_go_on(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_running_single", "run_running_single")
    message = json.loads((RECORDED / "api_run_404.json").read_text())["message"]
    gone = error_json(404, message, code=5)
    assert main(["--resume=run-1"], Pace(pause=lambda _: kfp.refusals.update({"/runs/run-1": (gone, 9)}))) == 1
    error = capsys.readouterr().err
    assert error.endswith("The run is no longer there: somebody deleted it.\n")
    assert "--resume" not in error


def test_a_step_without_a_log_says_so(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    fail(kfp, "")
    del kfp.artifacts["train-distributed", "executor-logs-0", 1]
    assert run() == 1
    assert capsys.readouterr().err.startswith("train-distributed:\n  it left no log; its pod may not have started.")


def test_a_step_whose_pod_was_killed_is_not_said_not_to_have_started(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_failed_worker_force_deleted")
    del kfp.artifacts["train-distributed", "executor-logs-0", 1]
    assert main(["--resume=run-1"], QUICK) == 1
    error = capsys.readouterr().err
    assert error.startswith("train-distributed:\n  it left no log, though its pod ran: the pod was killed before")
    assert "-l pipeline/runid=run-1" in error


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(-20, "train-distributed:\n  it left no log, though its pod ran"), (20, "train-distributed:\n  error: lost\n")],
)
def test_a_log_from_before_a_retry_is_not_told_as_the_reason_of_the_next_failure(
    seconds: int, told: str, kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_failed_worker_force_deleted")
    (began,) = [
        datetime.fromisoformat(task["start_time"])
        for task in kfp.answers[0]["run_details"]["task_details"]
        if task.get("display_name") == "train-distributed"
    ]
    log = "train-distributed", "executor-logs-0", 1
    kfp.artifacts[log] = b"error: lost\n"
    kfp.stored_at[log] = round((began.timestamp() + seconds) * 1000)
    assert main(["--resume=run-1"], QUICK) == 1
    assert capsys.readouterr().err.startswith(told)


def test_a_successful_run_without_its_report_is_a_failure(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    del kfp.artifacts["compare", "report", 1]
    assert run() == 1
    assert "The run succeeded, but left no report.html." in capsys.readouterr().err
