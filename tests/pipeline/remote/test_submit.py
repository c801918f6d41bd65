# Longer than other modules: every test drives the whole program against one fake server, whose set-up they share.
import json
import os
import signal
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from pipeline.remote.follow import Pace
from pipeline.remote.server import Access, Server
from pipeline.remote.submit import find_error, read_own_lines, watch
from pipeline.run import main
from pipeline.speedup import speedup_pipeline
from pipeline.upload import main as upload
from tests.components.trial_folders import write_trial
from tests.pipeline.remote.kfp_server import LOGIN_PAGE, ROOT, Kfp, Served, error_json, pack

TABLE = "configuration speedup\nsingle 1.00\nDistributing pays off here.\n"
COMPARE_LOG = f"""\
[KFP Executor 2026-11-23 18:00:53,522 INFO]: Looking for component `compare` in --component_module_path `x.py`
[KFP Executor 2026-11-23 18:00:53,523 INFO]: Got executor_input:
{{
    "inputs": {{}}
}}

{TABLE}[KFP Executor 2026-11-23 18:00:53,776 INFO]: Wrote executor output file to /tmp/kfp/executor_output.json.
"""
FAILED_LOG = """\
I0000 00:00:1795456854.823134   20598 port.cc:153] oneDNN custom operations are on.
== all-reduce-2w, trial 1 of 1
error: Job all-reduce-2w-t1 failed: worker-1 exited with 137.
Last lines of worker-1:
  epoch 1/2 step 3/85
"""
RECORDED = Path(__file__).parents[1] / "recorded"
STEPS = ("plan-comparison", "prepare-data", "train-single-node", "train-distributed", "evaluate", "compare")
ALL_DONE = [(name, "SUCCEEDED") for name in STEPS]
LAUNCHERS = [("root", "RUNNING"), ("plan-comparison-driver", "SUCCEEDED"), ("executor", "RUNNING")]
RUNNING = ("RUNNING", [*LAUNCHERS, ("plan-comparison", "RUNNING")])
QUICK = Pace(poll_seconds=0, longest_pause_seconds=0)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def kfp(tmp_path: Path) -> Iterator[Kfp]:
    """A server on which a run of one trial succeeds."""
    kfp = Kfp(states=[RUNNING, ("RUNNING", [*LAUNCHERS, *ALL_DONE[:3]]), ("SUCCEEDED", [*LAUNCHERS, *ALL_DONE])])
    kfp.artifacts["plan-comparison", "run_info", 1] = b"{}"
    for step, configuration in (("train-single-node", "single"), ("train-distributed", "all-reduce-2w")):
        write_trial(tmp_path / step / configuration, configuration, 1)
        kfp.artifacts[step, "trained", 1] = read_folder(tmp_path / step)
        kfp.artifacts[step, "executor-logs-0", 1] = f"{step} said this\n".encode()
    for output in ("report", "summary", "table", "trials", "recommendation"):
        kfp.artifacts["compare", output, 1] = f"compare's {output}".encode()
    kfp.artifacts["compare", "executor-logs-0", 1] = COMPARE_LOG.encode()
    yield kfp
    assert kfp.complaints == []


@pytest.fixture
def endpoint(kfp: Kfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("KFP_NAMESPACE", "KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_COOKIES", "KFP_CA_CERT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    with Served(kfp) as url:
        monkeypatch.setenv("KFP_ENDPOINT", url)
        yield url


def run(*options: str, pace: Pace = QUICK) -> int:
    return main(["--trials=1", "--image=registry.example/tfjob-speedup:1", *options], pace)


def interrupt_with(number: signal.Signals) -> Pace:
    return Pace(pause=lambda _: os.kill(os.getpid(), number))


def fail(kfp: Kfp, log: str, state: str = "FAILED") -> None:
    """Lets the run fail in its distributed step, which says why in its log."""
    kfp.states[-1] = (state, [*LAUNCHERS, *ALL_DONE[:3], ("train-distributed", "FAILED")])
    kept = ("plan-comparison", "train-single-node")
    kfp.artifacts = {key: content for key, content in kfp.artifacts.items() if key[0] in kept}
    kfp.artifacts["train-distributed", "executor-logs-0", 1] = log.encode()


def test_a_run_is_submitted_followed_and_fetched_as_a_local_run_leaves_it(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    run_dir = tmp_path / "runs" / "run-1"
    trials = ("all-reduce-2w/trial-1", "single/trial-1")
    assert sorted(read_folder(run_dir)) == [
        "comparison.csv",
        "comparison.md",
        "logs/all-reduce-2w/trial-1/worker-0.log",
        "logs/pipeline.log",
        "logs/single/trial-1/worker-0.log",
        *(f"models/{trial}/{name}" for trial in trials for name in ("launch.json", "model.keras", "training.json")),
        "recommendation.json",
        "report.html",
        "run.json",
        "trials.jsonl",
    ]
    assert (run_dir / "report.html").read_text() == "compare's report"
    assert "== train-distributed\ntrain-distributed said this\n" in (run_dir / "logs" / "pipeline.log").read_text()
    assert (tmp_path / "runs" / "latest").resolve() == run_dir
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["latest", "run-1"]
    version, link = kfp.versions["version-1"]["name"], f"{endpoint}/#/pipelines/details/pipeline-1/version/version-1"
    assert capsys.readouterr().out.splitlines() == [
        f"Server {endpoint}: KFP 2.17.0",
        f"Pipeline tfjob-speedup, version {version}, uploaded: {link}",
        f"Run run-1: {endpoint}/#/runs/details/run-1",
        "Results will be in runs/run-1/",
        "▶ 1/9 plan-comparison",
        "✓ plan-comparison (7 s)",
        "▶ 2/9 prepare-data",
        "✓ prepare-data (7 s)",
        "▶ 3/9 train-single-node",
        "✓ train-single-node (7 s, its wait for its turn included)",
        "▶ 4/9 train-distributed",
        "✓ train-distributed (7 s)",
        "▶ 5/9 evaluate",
        "✓ evaluate (7 s)",
        "▶ 6/9 compare",
        "✓ compare (7 s)",
        "Fetching the results …",
        *TABLE.splitlines(),
        "",
        "Report: runs/run-1/report.html (after 600 s)",
    ]


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


def test_the_time_of_a_step_that_takes_turns_is_told_with_its_wait(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--trials=2") == 0
    ended = [line for line in capsys.readouterr().out.splitlines() if line.startswith("✓")]
    assert ended[1:5] == [
        "✓ prepare-data (7 s)",
        "✓ train-single-node (7 s, its wait for its turn included)",
        "✓ train-distributed (7 s)",
        "✓ evaluate (7 s)",
    ]


@pytest.mark.parametrize(("trials", "told"), [(78, ""), (79, "41 pods at once"), (1000, "501 pods at once")])
def test_a_run_of_many_trials_is_told_what_its_waiting_pods_take(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], trials: int, told: str
) -> None:
    run(f"--trials={trials}")
    errors = capsys.readouterr().err
    assert told in errors
    assert ("GiB of memory (150 MiB each)" in errors) == bool(told)


def test_what_is_rarely_set_reaches_the_run_in_its_one_field(kfp: Kfp, endpoint: str) -> None:
    run("--seed=3", "--model-arguments", '{"width": 4}', "--job-settings", '{"queue_name": "team-a"}')
    settings = json.loads(kfp.runs["run-1"]["runtime_config"]["parameters"]["settings"])
    assert settings == {"seed": 3, "model_arguments": {"width": 4}, "job": {"queue_name": "team-a"}}


def test_pipeline_and_version_are_described_since_the_page_describes_no_parameter(kfp: Kfp, endpoint: str) -> None:
    run()
    described = [entry["description"] for entry in (*kfp.pipelines.values(), *kfp.versions.values())]
    # The dashboard shows both, one below the other, and has room for one.
    assert described == speedup_pipeline.component_spec.description.split("\n\n")
    assert described[1].startswith("- **`image`**: Image of every step and replica")


def test_the_run_gets_all_parameters_and_the_caching_that_is_compiled(kfp: Kfp, endpoint: str) -> None:
    run("--workers", "1", "2", "--run-name=mine", "--experiment=study")
    sent = kfp.runs["run-1"]
    assert sent["display_name"] == "mine"
    assert kfp.experiments[sent["experiment_id"]]["display_name"] == "study"
    parameters = sent["runtime_config"]["parameters"]
    assert (parameters["trials"], parameters["workers"], parameters["dataset"]) == (1, [1, 2], "mnist")
    assert set(parameters) == set(
        yaml.safe_load(kfp.uploaded[0].split(b"\n---\n")[0])["root"]["inputDefinitions"]["parameters"]
    )
    assert "pipeline_spec" not in sent
    assert "service_account" not in sent


def test_a_run_may_have_a_service_account_of_its_own(kfp: Kfp, endpoint: str) -> None:
    assert run("--service-account=launcher") == 0
    assert kfp.runs["run-1"]["service_account"] == "launcher"


def test_an_unchanged_pipeline_is_uploaded_once_and_a_changed_one_is_a_version_of_the_same(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [upload([]), upload([]), upload(["--workspace-size=10Gi", "--image=own:1"])] == [0, 0, 0]
    assert len(kfp.pipelines) == 1
    assert [b"size: 10Gi" in package for package in kfp.uploaded] == [False, True]
    assert [b"own:1" in package for package in kfp.uploaded] == [False, True]
    assert len({version["name"] for version in kfp.versions.values()}) == 2
    assert [", uploaded: " in line for line in capsys.readouterr().out.splitlines()] == [True, False, True]


def test_two_runs_share_version_and_experiment(kfp: Kfp, endpoint: str) -> None:
    assert [run(), run()] == [0, 0]
    assert (len(kfp.uploaded), len(kfp.experiments), len(kfp.runs)) == (1, 1, 2)


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


def replay(kfp: Kfp, *recorded: str) -> None:
    """Lets the server answer about the run as a real one did."""
    kfp.runs["run-1"] = {}
    kfp.answers = [json.loads((RECORDED / f"{name}.json").read_text()) for name in recorded]


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


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ({"multi_user": False, "tag_name": "2.14.3"}, "KFP must be 2.15 or later: older versions"),
        ({"multi_user": True, "tag_name": "2.17.0"}, "{endpoint} serves several users, whose runs live in namespaces."),
        ({"frontendTagName": "2.17.0", "apiServerReady": False}, "{endpoint} answers, but KFP's API server behind it"),
        ({"status": "ok"}, "/apis/v2beta1/healthz must be answered as KFP does, with multi_user. Received: "),
    ],
    ids=["too old", "several users", "not ready", "not KFP"],
)
def test_a_server_that_cannot_run_it_is_refused_before_anything_is_sent(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], health: dict[str, object], message: str
) -> None:
    kfp.health = health
    assert run() == 2
    assert capsys.readouterr().err.startswith("error: " + message.format(endpoint=endpoint))
    assert kfp.requests == ["GET /pipeline/apis/v2beta1/healthz"]


def test_the_dashboards_answer_about_its_server_is_understood_too(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.health = {"frontendTagName": "2.16.1", "apiServerReady": True, "apiServerMultiUser": False, "multi_user": False}
    assert upload([]) == 0
    kfp.health = {"frontendTagName": "2.14.0", "apiServerReady": True, "apiServerMultiUser": False, "multi_user": False}
    assert upload([]) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            error_json(401, "there is no user identity header", 16),
            "answered with 401: there is no user identity header",
        ),
        (error_json(403, "User is not authorized", 7), "answered with 403: User is not authorized"),
        ((403, {"Content-Type": "text/html"}, b"<html>Sign in</html>"), "answered with 403: a web page"),
        (LOGIN_PAGE, "was answered with a login page"),
    ],
    ids=["401", "403", "oauth2-proxy", "Dex"],
)
def test_who_is_not_logged_in_is_told_how_to_be(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    kfp.refusals["/pipelines/names/"] = (answer, 9)
    assert run() == 2
    error = capsys.readouterr().err
    assert message in error
    assert "KFP_TOKEN" in error
    assert "KFP_COOKIES" in error
    assert "Traceback" not in error


def test_a_place_without_kfp_is_refused(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--endpoint={endpoint}/wrong") == 2
    assert "It must be" not in (error := capsys.readouterr().err)
    assert error.startswith(f"error: There is no KFP 2 at {endpoint}/wrong: ")


def test_a_server_that_cannot_be_reached_is_one_message(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--endpoint=http://127.0.0.1:1/pipeline") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: http://127.0.0.1:1 cannot be reached: ")
    assert "Connection refused" in error
    assert "kubectl port-forward" in error
    assert error.count("\n") == 1


def test_plain_http_behind_https_is_explained(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--endpoint={endpoint.replace('http:', 'https:')}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: No secure connection to https://127.0.0.1:")
    assert "KFP_CA_CERT" in error


@pytest.mark.parametrize("variable", ["KFP_TOKEN_FILE", "KFP_CA_CERT"])
def test_a_file_that_is_not_there_is_named(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "missing")
    assert run() == 2
    assert capsys.readouterr().err == f"error: {variable} must name a file that can be read. Received: missing.\n"


def test_a_refused_parameter_reaches_no_server(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--epochs=0") == 2
    assert capsys.readouterr().err == "error: epochs must be at least 1. Received: 0.\n"
    assert kfp.requests == []


@pytest.mark.parametrize(
    "options",
    [("--dataset=/opt/data/x.npz",), ("--model=team.resnet:build", '--model-arguments={"depth": 3}')],
    ids=["data", "model"],
)
def test_what_only_the_image_has_is_not_looked_for_on_this_machine(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], options: tuple[str, ...]
) -> None:
    assert run(*options) == 0
    name, value = options[0].removeprefix("--").split("=")
    assert kfp.runs["run-1"]["runtime_config"]["parameters"][name] == value
    assert f"warning: {value} must be in the image: the first step looks for it there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    ["--dataset=cifar", "--model=team.resnet", "--model=team/resnet:build", "--model=resnet9", "--model=.x:build"],
)
def test_what_can_be_nowhere_is_refused_before_a_run_is_started(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    assert run(option) == 2
    assert capsys.readouterr().err.startswith("error: ")
    assert kfp.requests == []


def test_the_arguments_of_a_model_in_the_image_must_be_json(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--model=team.resnet:build", "--model-arguments={depth}") == 2
    assert "model_arguments must be JSON" in capsys.readouterr().err


def test_who_names_no_image_is_warned_and_who_does_is_not(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--trials=1"], QUICK) == 0
    assert capsys.readouterr().err.startswith("warning: no --image is given, so every pod will run tfjob-speedup:")
    assert run() == 0
    assert capsys.readouterr().err == ""


def test_what_only_a_server_can_do_is_refused_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KFP_ENDPOINT", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["--terminate=run-1"])
    assert ended.value.code == 2
    assert "--terminate: only for a run on a server, which KFP_ENDPOINT or --endpoint names" in capsys.readouterr().err


def test_runs_of_several_users_live_in_the_namespace(kfp: Kfp, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp.health["multi_user"] = True
    monkeypatch.setenv("KFP_NAMESPACE", "team-a")
    assert run() == 0
    made = [*kfp.pipelines.values(), *kfp.experiments.values()]
    assert [entry["namespace"] for entry in made] == ["team-a", "team-a"]


def test_a_lost_connection_ends_nothing(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    kfp.lost = 3
    pauses: list[float] = []
    ticks = iter(range(0, 1000, 40))
    assert run(pace=Pace(10.0, 60.0, clock=lambda: next(ticks), pause=pauses.append)) == 0
    lost = [line for line in capsys.readouterr().out.splitlines() if line.startswith("…")]
    assert lost[0].startswith(f"… {endpoint.removesuffix('/pipeline')} cannot be reached: ")
    assert lost[1:] == ["… Trying again; the run goes on meanwhile.", "… connected again after 120 s"]
    assert pauses == [10.0, 20.0, 40.0, 60.0, 10.0]


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


def test_a_token_file_is_read_anew_for_each_call(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    kfp.token = "first"
    monkeypatch.setenv("KFP_TOKEN_FILE", str(token))

    def expire() -> None:
        kfp.token = "second"

    kfp.on_look = expire

    contents = iter(["first", "second", "second"])

    def renew(_seconds: float) -> None:
        token.write_text(next(contents))

    assert run(pace=Pace(pause=renew)) == 0
    assert "answered with 401" in (shown := capsys.readouterr().out)
    assert "… connected again after" in shown


def test_a_token_that_expires_while_waiting_ends_the_wait_only(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.token = "first"
    monkeypatch.setenv("KFP_TOKEN", "first")

    def expire() -> None:
        kfp.token = "second"

    kfp.on_look = expire
    assert run() == 1
    error = capsys.readouterr().err
    assert "answered with 401" in error
    assert 'ARGS="--resume run-1"' in error


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


def test_an_endpoint_that_serves_the_api_alone_says_what_is_missing(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.health = json.loads((RECORDED / "api_healthz_port8888.json").read_text())
    kfp.refusals["/ml_metadata"] = (error_json(404, "Not Found", 5), 9)
    assert run() == 2
    assert "KFP's dashboard (the service ml-pipeline-ui), not its API server alone" in capsys.readouterr().err
    assert (kfp.uploaded, kfp.runs) == ([], {})


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


def test_a_log_shows_what_the_step_said_itself() -> None:
    assert read_own_lines(COMPARE_LOG) == TABLE
    assert find_error(["a", "error: one", "b", "error: two", "c"]) == ["error: two", "c"]
    assert find_error([str(number) for number in range(20)]) == [str(number) for number in range(5, 20)]
