import importlib
import importlib.metadata
import io
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from pipeline.command import PROGRAMS, main

ROOT = Path(__file__).parents[2]
# What pip makes of the entry point; an installed project is found without the folder of its sources.
SCRIPT = "import sys; from pipeline.command import main; sys.exit(main())"


def run_elsewhere(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs the command as a console script does: without the current folder on the path."""
    command = [sys.executable, "-P", "-c", SCRIPT, *arguments]
    # Another run of this user on this machine would be told of, by what is in the temporary folder.
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": str(folder.parent)}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=1800, check=False
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_program_says_by_which_name_it_was_called_and_knows_its_examples_options(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert told.startswith(f"usage: tfjob-speedup {name} ")
    assert [word for word in PROGRAMS[name].example.split() if word.startswith("--") and f"{word} " not in told] == []


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "gbk"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_no_program_ends_for_what_a_terminal_cannot_show(
    name: str, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("PYTHONIOENCODING", "PYTHONUTF8"):
        monkeypatch.setenv(variable, "")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", terminal)
    program = importlib.import_module(PROGRAMS[name].module)
    with pytest.raises(SystemExit):
        program.main(["--help"], prog=name)
    print("▶ † 分布式训练", flush=True)
    assert terminal.errors in {"replace", "tell_plainly"}


def test_the_help_has_an_example_of_each_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    told = capsys.readouterr().out
    assert ended.value.code == 0
    assert [name for name in PROGRAMS if f"  tfjob-speedup {name} {PROGRAMS[name].example}".rstrip() not in told] == []


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (
        0,
        f"tfjob-speedup {importlib.metadata.version('tfjob-speedup')}\n",
    )


@pytest.mark.parametrize("arguments", [["rnu", "--trials=1"], ["--trials=1"], []])
def test_what_is_no_command_is_refused_with_those_that_there_are(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    told = capsys.readouterr().err
    assert [name for name in PROGRAMS if name not in told] == []


def test_no_program_is_imported_but_the_one_that_is_asked_for() -> None:
    code = "import sys, pipeline.command; print({'kfp', 'numpy', 'tfjob', 'model', 'comparison'} & set(sys.modules))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) == "set()\n"


def test_a_program_gets_its_options_and_gives_its_exit_code(tmp_path: Path) -> None:
    done = run_elsewhere(tmp_path, "compile", "--output", "pipeline.yaml")
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "pipeline.yaml").exists()
    refused = run_elsewhere(tmp_path, "run", "--epochs=0")
    assert (refused.returncode, refused.stderr) == (2, "error: epochs must be at least 1. Received: 0.\n")


OWN_MODULES = ["model.py", "model/__init__.py", "tfjob.py", "comparison.py", "program.py"]
STEP = "import components.errors"  # as it begins in a pod


@pytest.mark.parametrize(
    ("start", "name"),
    [
        *product([("-m", "pipeline.run"), ("-P", "-c", SCRIPT, "run")], [*OWN_MODULES, "components.py"]),
        *product([("-c", STEP)], OWN_MODULES),
    ],
)
def test_a_persons_own_module_named_like_a_package_is_told(tmp_path: Path, start: tuple[str, ...], name: str) -> None:
    own = tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("def build(image_shape, num_classes): ...\n")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *start, "--epochs=0"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )
    package = name.removesuffix(".py").partition("/")[0]
    assert done.stderr.startswith(f"error: {own} is found in place of this project's own {package}. ")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


@pytest.mark.slow
def test_a_persons_own_model_in_the_current_folder_is_trained_by_every_replica(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text((ROOT / "examples" / "mlp.py").read_text())
    options = (
        "--max-train-images=600",
        "--trials=1",
        "--epochs=1",
        "--global-batch-size=64",
        "--strategies=all_reduce",
    )
    done = run_elsewhere(tmp_path, "run", "--model=mine:build", *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert (tmp_path / "runs" / "latest" / "report.html").exists()
