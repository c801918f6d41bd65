from dataclasses import fields
from pathlib import Path

import pytest

from components.planning.parameters import Parameters
from pipeline.run import build_parser, main


def test_the_help_describes_every_parameter_of_the_pipeline() -> None:
    parser = build_parser("run")
    described = {action.dest: action.help or "" for action in parser._actions}
    for parameter in fields(Parameters):
        name = parameter.name
        assert described[name].startswith(parameter.metadata["help"])
        assert f"--{name.replace('_', '-')} " in parser.format_help()


def test_without_options_the_run_has_the_pipelines_defaults() -> None:
    options = vars(build_parser("run").parse_args([]))
    assert options | vars(Parameters()) == options
    assert options["runs_dir"] == Path("runs")


def test_options_have_the_types_of_their_parameters() -> None:
    options = build_parser("run").parse_args(
        ["--workers", "1", "2", "--strategies", "all_reduce", "--epochs", "1", "--cpus-per-replica", "2"]
    )
    assert (options.workers, options.strategies) == ([1, 2], ["all_reduce"])
    assert (options.epochs, options.cpus_per_replica, type(options.cpus_per_replica)) == (1, 2.0, float)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "3"], "global_batch_size must be divisible by the number of workers. Received: 128 and 3."),
        (
            ["--global-batch-size", "100", "--workers", "3"],
            "global_batch_size must be divisible by the number of workers. Received: 100 and 3.",
        ),
        (["--workers", "0"], "workers must be numbers of workers, at least 1 each. Received: [0]."),
        (["--workers", "-1"], "workers must be numbers of workers, at least 1 each. Received: [-1]."),
        (["--workers=-1"], "workers must be numbers of workers, at least 1 each. Received: [-1]."),
        (["--epochs", "0"], "epochs must be at least 1. Received: 0."),
        (["--model", "resnet9"], "Unknown model. Expected one of resnet8, "),
        (["--dataset", "nope"], "Unknown data set 'nope'."),
        (["--strategies", "ring"], "strategies must be some of all_reduce, parameter_server. Received: ['ring']."),
        (["--trials", "0"], "trials must be at least 1. Received: 0."),
        (
            ["--memory-per-replica", "2 GB"],
            "memory_per_replica must be a Kubernetes quantity such as 2Gi. Received: '2 GB'",
        ),
        (["--max-train-images", "-1"], "max_train_images must be at least 0. Received: -1."),
    ],
)
def test_a_refused_parameter_is_one_line_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["--runs-dir", str(tmp_path / "runs"), *options]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"error: {message}")
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "runs").exists()


def test_a_folder_of_runs_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert main(["--runs-dir", str(tmp_path / "file")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path / 'file'} cannot be used: File exists\n"


@pytest.mark.parametrize("option", ["--resume", "--runs-dir", "--endpoint", "--terminate"])
def test_a_shells_empty_variable_is_not_taken_for_no_option(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option, ""])
    assert ended.value.code == 2
    assert f"argument {option}: expected a name. Received: ''" in capsys.readouterr().err


def test_a_shells_empty_variable_is_not_taken_for_this_projects_own_loop(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--command", ""])
    assert ended.value.code == 2
    assert "argument --command: expected a command. Received: ''" in capsys.readouterr().err


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--worker", "two"])
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TFJOB_SPEEDUP_DATASET_URL", "https://data.example/a.npz?key=planted-secret"),
        ("TFJOB_SPEEDUP_JOB_SETTINGS", '{"env": ["planted-secret"]}'),
        ("TFJOB_SPEEDUP_JOB_SETTINGS", '{"env": [{"name": "A", "value": "planted-secret"}]}'),
    ],
)
def test_what_is_refused_is_told_without_its_secret(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    monkeypatch.setenv(variable, value)
    assert main(["--runs-dir", str(tmp_path), "--command", "true"]) == 2
    told = capsys.readouterr().err
    assert "(hidden)" in told
    assert "planted" not in told


def test_a_secret_on_the_command_line_is_warned_of_and_one_in_the_environment_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = ["--runs-dir", str(tmp_path / "runs"), "--epochs=0"]
    url = "https://data.example/a.npz?key=planted"
    assert main([*refused, "--dataset", url]) == 2
    told = capsys.readouterr().err
    assert told.startswith("warning: what is secret in --dataset can be read in this machine's list of processes")
    assert "TFJOB_SPEEDUP_DATASET_URL in the environment" in told
    assert "planted" not in told
    monkeypatch.setenv("TFJOB_SPEEDUP_DATASET_URL", url)
    assert main(refused) == 2
    assert capsys.readouterr().err == "error: epochs must be at least 1. Received: 0.\n"


def test_a_manifest_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text("kind: TFJob")
    assert build_parser("run").parse_args(["--tfjob", str(tmp_path / "job.yaml")]).tfjob == "kind: TFJob"
    assert build_parser("run").parse_args([]).tfjob == ""


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file or directory"),
        ("a folder", "Is a directory"),
        (b"", "it is empty"),
        (b"\xff\xfe", "it is no UTF-8 text"),
        (b"#" * (1 << 20) + b"#", "it is larger"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_told_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: object, told: str
) -> None:
    path = tmp_path / "job.yaml"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        path.mkdir()
    with pytest.raises(SystemExit) as ended:
        main(["--runs-dir", str(tmp_path / "runs"), "--tfjob", str(path)])
    assert ended.value.code == 2
    message = f"argument --tfjob: expected the path of a text file of at most 1 MiB. Received: '{path}' ({told})"
    assert message in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--command", "no-such-program"],
            "must name a program of this machine. Received: 'no-such-program'",
        ),
        (["--command", "true", "--strategies", "all_reduce"], "strategies must be left out: it says something of this"),
        (["--command", "true", "--dataset", "mnist", "--model", "resnet20"], "model must be left out"),
        (["--command", "true", "--study-depth"], "study_depth must be left out"),
        (["--command", "true", "--progress-regex", "loss"], "NAME=REGEX"),
        (["--metric", "auc"], "metric must be left out: it takes a program of your own"),
    ],
)
def test_a_program_of_ones_own_that_cannot_be_compared_is_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["--runs-dir", str(tmp_path / "runs"), *options]) == 2
    captured = capsys.readouterr().err
    assert captured.startswith("error: ")
    assert message in captured
    assert captured.count("\n") == 1
    assert not (tmp_path / "runs").exists()
