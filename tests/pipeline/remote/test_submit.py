import json
from pathlib import Path

import pytest
import yaml

from pipeline.remote.submit import find_error, read_own_lines
from pipeline.run import main
from pipeline.speedup import speedup_pipeline
from pipeline.upload import main as upload
from tests.pipeline.remote.kfp_server import Kfp
from tests.pipeline.remote.served_run import COMPARE_LOG, QUICK, TABLE, read_folder, run


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


@pytest.mark.parametrize(("trials", "told"), [(78, ""), (79, "4 CPUs and 10 GiB"), (1000, "50 CPUs and 125 GiB")])
def test_a_run_of_many_trials_is_told_what_its_waiting_pods_take(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], trials: int, told: str
) -> None:
    run(f"--trials={trials}")
    errors = capsys.readouterr().err
    assert told in errors
    assert ("are set aside for them (0.1 and 256 MiB each)" in errors) == bool(told)


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


def test_a_run_that_may_have_been_started_is_looked_for_before_another_one(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.refusals["/apis/v2beta1/runs"] = ((504, {}, b"upstream request timeout"), 9)
    assert run("--run-name", "nightly") == 2
    told = capsys.readouterr().err
    assert "was answered with 504: upstream request timeout\nThe server may have started the run all the same." in told
    assert f"see whether nightly is there, and follow it then with --resume: {endpoint}/#/runs\n" in told


def test_a_run_is_never_asked_for_twice(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    kfp.refusals["/apis/v2beta1/runs"] = ((429, {"Retry-After": "1"}, b"slow down"), 9)
    assert run() == 2
    assert len([request for request in kfp.requests if request.startswith("POST") and "/runs" in request]) == 1
    assert "may have" not in capsys.readouterr().err


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


@pytest.mark.parametrize("option", ["--terminate=run-1", "--namespace=team-a", "--experiment=mine"])
def test_what_only_a_server_can_do_is_refused_without_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    monkeypatch.delenv("KFP_ENDPOINT", raising=False)
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2
    told = f"{option.partition('=')[0]}: only for a run on a server, which KFP_ENDPOINT or --endpoint names"
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--resume=run-1", "--workers", "4"], "--workers: must be left out with --resume, which starts no run"),
        (
            ["--terminate=run-1", "--trials=3", "--run-name=mine"],
            "--trials, --run-name: must be left out with --terminate, which starts no run",
        ),
        (["--terminate=run-1", "--resume=run-1"], "--terminate and --resume must not both be given"),
    ],
)
def test_what_a_run_that_is_there_cannot_take_is_refused(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert kfp.terminated == []


def test_a_log_shows_what_the_step_said_itself() -> None:
    assert read_own_lines(COMPARE_LOG) == TABLE
    assert find_error(["a", "error: one", "b", "error: two", "c"]) == ["error: two", "c"]
    assert find_error([str(number) for number in range(20)]) == [str(number) for number in range(5, 20)]
