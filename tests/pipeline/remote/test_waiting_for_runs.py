import signal
from pathlib import Path

import pytest

from pipeline.remote.follow import Pace
from pipeline.run import main
from tests.pipeline.remote.kfp_server import Kfp, error_json
from tests.pipeline.remote.served_run import QUICK, interrupt_with, replay, run


def test_a_lost_connection_ends_nothing(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    kfp.lost = 3
    pauses: list[float] = []
    ticks = iter(range(0, 1000, 40))
    assert run(pace=Pace(10.0, 60.0, clock=lambda: next(ticks), pause=pauses.append)) == 0
    lost = [line for line in capsys.readouterr().out.splitlines() if line.startswith("…")]
    assert lost[0].startswith(f"… {endpoint.removesuffix('/pipeline')} cannot be reached: ")
    assert lost[1:] == ["… Trying again; the run goes on meanwhile.", "… connected again after 120 s"]
    assert pauses == [10.0, 20.0, 40.0, 60.0, 10.0]


def test_a_server_in_maintenance_is_asked_again_long_before_the_hour_that_it_says(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)

    def close() -> None:
        if kfp.looks == 1:
            kfp.refusals["/runs/run-1"] = ((503, {"Retry-After": "3600"}, b"maintenance"), 7)

    kfp.on_look = close
    assert run(pace=Pace(clock=lambda: 0.0, pause=lambda _: None)) == 0
    assert "was answered with 503: maintenance\n… Trying again; the run goes on" in capsys.readouterr().out
    assert set(slept) == {10.0}


def test_who_waits_too_long_for_an_answer_is_told_how_to_go_on(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.lost = 99
    ticks = iter(range(0, 99999, 1000))
    assert run(pace=Pace(clock=lambda: next(ticks), pause=lambda _: None)) == 1
    error = capsys.readouterr().err
    assert "cannot be reached" in error
    assert "The run goes on, as far as is known." in error
    assert 'ARGS="--resume run-1"' in error


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_wait_leaves_the_run_alone_and_says_how_to_go_on(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    assert run(pace=interrupt_with(number)) == 130
    assert capsys.readouterr().err.splitlines() == [
        "",
        "Interrupted: the run goes on on the cluster.",
        f"  look at it:           {endpoint}/#/runs/details/run-1",
        f'  follow and fetch it:  make run KFP_ENDPOINT={endpoint} ARGS="--resume run-1"',
        f'  end it:               make run KFP_ENDPOINT={endpoint} ARGS="--terminate run-1"',
    ]
    assert kfp.terminated == []


@pytest.mark.usefixtures("interruptible")
def test_who_called_the_one_command_is_told_to_call_it_again(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--trials=1"], interrupt_with(signal.SIGINT), prog="tfjob-speedup run") == 130
    assert f"KFP_ENDPOINT={endpoint} tfjob-speedup run --resume run-1" in capsys.readouterr().err


@pytest.mark.usefixtures("interruptible")
def test_a_run_can_be_taken_up_again_without_starting_another(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(pace=interrupt_with(signal.SIGINT)) == 130
    capsys.readouterr()
    assert main(["--resume=run-1"], QUICK) == 0
    assert "▶ 6/9 compare" in capsys.readouterr().out
    assert (len(kfp.runs), len(kfp.uploaded)) == (1, 1)
    (tmp_path / "runs" / "run-1" / "report.html").write_text("older")
    assert main(["--resume=run-1"], QUICK) == 0
    assert (tmp_path / "runs" / "run-1" / "report.html").read_text() == "compare's report"


def test_a_run_that_is_not_there_cannot_be_taken_up(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--resume=run-9"], QUICK) == 2
    assert "404: Failed to get a run: Run run-9 not found" in capsys.readouterr().err


def test_another_run_than_the_one_named_is_not_fetched(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.runs["alias"] = {"run_id": "run-1"}
    assert main(["--resume=alias"], QUICK) == 2
    assert "There is no run 'alias'" in capsys.readouterr().err


QUEUED = "Queued: worker-1: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu."


def look_every(seconds: float, times: int) -> Pace:
    """Returns a pace at which a run is looked at so often, before it is interrupted."""
    now, left = [0.0], [times]

    def pause(_seconds: float) -> None:
        now[0] += seconds
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt

    return Pace(clock=lambda: now[0], pause=pause)


def test_a_job_that_does_not_start_is_told_from_its_steps_log(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_running_in_training")
    kfp.pods["train-distributed"] = f"== all-reduce-2w\nCreated: job a\n{QUEUED}\n"
    assert main(["--resume=run-1"], look_every(30, times=9)) == 130
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("…")]
    assert told == [f"… train-distributed waits for its TFJob to start: {QUEUED}"]
    assert len([request for request in kfp.requests if request.endswith("/k8s/pod/logs")]) == 5


@pytest.mark.parametrize("log", ["", f"{QUEUED}\nRunning: 2 replica(s) of job a run\n[worker-0] Queued: 3\n"])
def test_a_job_that_runs_is_not_told_to_wait(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], log: str
) -> None:
    replay(kfp, "run_running_in_training")
    kfp.pods["train-distributed"] = log
    assert main(["--resume=run-1"], look_every(60, times=3)) == 130
    assert "…" not in capsys.readouterr().out


def test_a_log_that_cannot_be_read_changes_nothing(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    replay(kfp, "run_running_in_training")
    kfp.pods["train-distributed"] = QUEUED
    kfp.refusals["/k8s/pod/logs"] = ((500, {}, b"Could not get main container logs"), 9)
    assert main(["--resume=run-1"], look_every(60, times=3)) == 130
    assert "▶ 4/9 train-distributed" in (shown := capsys.readouterr().out)
    assert "…" not in shown


def test_a_run_is_terminated_when_asked_for(kfp: Kfp, endpoint: str) -> None:
    replay(kfp, "run_running_single")
    assert main(["--terminate=run-1"]) == 0
    assert kfp.terminated == ["run-1"]


def test_a_run_whose_workflow_is_gone_can_only_be_deleted(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    replay(kfp, "run_running_single")
    kfp.refusals[":terminate"] = (error_json(500, "Failed to terminate the run: Row not found", 13), 9)
    assert main(["--terminate=run-1"]) == 2
    assert "KFP shows the run as RUNNING, but has no workflow of it any more" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("recorded", "ended"),
    [
        ("run_succeeded", "ended as SUCCEEDED"),
        ("run_terminated_single", "was terminated"),
        ("run_failed_at_plan", "ended as FAILED"),
    ],
)
def test_a_run_that_has_ended_cannot_be_terminated(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], recorded: str, ended: str
) -> None:
    replay(kfp, recorded)
    assert main(["--terminate=run-1"]) == 2
    assert capsys.readouterr().err == f"error: The run {ended} already: {endpoint}/#/runs/details/run-1\n"
    assert kfp.terminated == []
