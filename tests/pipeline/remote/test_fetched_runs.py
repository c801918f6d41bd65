import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.remote.server import Access, Server
from pipeline.remote.submit import watch
from tests.components.trial_folders import write_trial
from tests.pipeline.remote.kfp_server import ROOT, Kfp, error_json, pack
from tests.pipeline.remote.served_run import FAILED_LOG, QUICK, RECORDED, fail, read_folder, run


def read_mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_secrets_reach_the_run_but_no_file_that_is_fetched(
    kfp: Kfp, endpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url, settings = "https://data.example/a.npz?key=planted&b=1", '{"env": {"TOKEN": "planted"}}'
    monkeypatch.setenv("TFJOB_SPEEDUP_DATASET_URL", url)
    monkeypatch.setenv("TFJOB_SPEEDUP_JOB_SETTINGS", settings)
    told = json.dumps({"dataset": url, "settings": json.dumps({"job": json.loads(settings)})}).replace("&", "\\u0026")
    kfp.artifacts["prepare-data", "executor-logs-0", 1] = f"Got executor_input: {told}\n".encode()

    assert run() == 0

    (sent,) = kfp.runs.values()
    assert sent["runtime_config"]["parameters"]["dataset"] == url
    files = {path: path.read_text(errors="replace") for path in Path("runs").rglob("*") if path.is_file()}
    assert [path for path, text in files.items() if "planted" in text] == []
    assert "(hidden)" in files[Path("runs/run-1/logs/pipeline.log")]
    captured = capsys.readouterr()
    assert "what is secret in dataset and job_settings is kept by the server" in captured.err
    assert "planted" not in captured.out + captured.err
    assert read_mode(Path("runs/run-1/logs/pipeline.log")) == 0o600
    assert read_mode(Path("runs/run-1/logs")) == 0o700
    assert Path("runs/run-1/logs/all-reduce-2w/trial-1/worker-0.log").exists()


def test_the_logs_of_a_run_without_secrets_are_read_as_its_report_is(kfp: Kfp, endpoint: str) -> None:
    assert run() == 0
    assert read_mode(Path("runs/run-1/logs/pipeline.log")) == read_mode(Path("runs/run-1/report.html"))
    assert read_mode(Path("runs/run-1/logs")) == read_mode(Path("runs/run-1/models"))


@pytest.mark.parametrize(
    "change", [{"configuration": "../../outside"}, {"trial": "/../../../outside"}, {"trial": None}]
)
def test_a_trial_that_would_lie_elsewhere_is_left_and_the_others_are_fetched(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, object]
) -> None:
    files = kfp.artifacts["train-distributed", "trained", 1]
    assert isinstance(files, dict)
    launch = json.loads(files["all-reduce-2w/launch.json"])
    files["all-reduce-2w/launch.json"] = json.dumps(launch | change).encode()

    assert run() == 0

    told = capsys.readouterr().out
    assert "Not fetched, so without its models and logs: minio://" in told
    assert "launch.json must be" in told
    models = [str(path.relative_to("runs/run-1")) for path in Path("runs/run-1/models").glob("*/*")]
    assert models == ["models/single/trial-1"]
    assert not (tmp_path / "outside").exists()


def test_a_run_whose_identifier_is_a_path_is_not_followed(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="The run's identifier must be a name"):
        watch(Server(Access(endpoint)), "../outside", {}, Path("runs"), prog="run", pace=QUICK)


def test_folders_that_the_dashboard_cannot_send_are_left_and_named(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.serves_folders = False
    assert run() == 0
    left = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Not fetched")]
    assert len(left) == 2
    assert "minio://mlpipeline/v2/artifacts/tfjob-speedup/run-1/train-single-node/1/trained: " in left[0]
    assert (tmp_path / "runs" / "latest" / "report.html").exists()
    assert not (tmp_path / "runs" / "latest" / "models").exists()


def test_trials_of_a_step_that_failed_are_fetched_where_the_run_handed_them_out(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fail(kfp, FAILED_LOG)
    for configuration in ("single", "all-reduce-2w"):
        write_trial(tmp_path / "handed-out" / configuration, configuration, 1)
    kfp.artifacts["clean-up", "finished", 1] = read_folder(tmp_path / "handed-out")
    assert run() == 1
    assert "2 finished trial(s): all-reduce-2w/trial-1, single/trial-1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "answer", [(404, {}, b"No objects found"), (500, {}, b"Failed to get object in bucket: no key")], ids=["404", "500"]
)
def test_trials_of_a_failed_run_that_cannot_be_fetched_are_told_with_their_place(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], answer: tuple[int, dict[str, str], bytes]
) -> None:
    fail(kfp, FAILED_LOG)
    kfp.artifacts["clean-up", "finished", 1] = b""
    kfp.refusals["/finished"] = (answer, 9)
    assert run() == 1
    (left,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Not fetched")]
    assert f"{ROOT}/run-1/clean-up/1/finished: " in left
    assert f"answered with {answer[0]}" in left


def test_a_run_without_such_trials_is_fetched_without_a_word_about_them(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.artifacts["clean-up", "finished", 1] = b""
    kfp.refusals["/finished"] = ((404, {}, b"No objects found"), 9)
    assert run() == 0
    captured = capsys.readouterr()
    assert ("Not fetched" in captured.out, captured.err) == (False, "")


def test_an_archive_that_is_cut_off_is_not_taken_for_the_whole(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = pack({"single/model.keras": os.urandom(5000)})
    kfp.artifacts["train-single-node", "trained", 1] = whole[:2000]
    assert run() == 0
    assert "trained: no whole .tar.gz came" in capsys.readouterr().out
    assert not (tmp_path / "runs" / "run-1" / "models" / "single").exists()


def test_results_that_cannot_be_fetched_are_still_there_and_an_ended_run_is_not_offered_an_end(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.health = json.loads((RECORDED / "api_healthz.json").read_text())
    kfp.refusals["/GetArtifactsByContext"] = (error_json(500, "no database", 13), 9)
    assert run() == 1
    error = capsys.readouterr().err
    assert "The run ended as SUCCEEDED, and is still there." in error
    assert "--resume run-1" in error
    assert "--terminate" not in error
    assert [*Path("runs").iterdir()] == []


def test_a_report_that_there_is_no_room_for_leaves_nothing_of_the_run_behind(
    kfp: Kfp, endpoint: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    assert run() == 1
    assert "error: there is no room for it: " in capsys.readouterr().err
    assert [*Path("runs").iterdir()] == []
