"""Where the results of a run lie: `runs/<run id>/`, the same whatever ran the pipeline."""

import contextlib
import io
import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from components.planning import Parameters, list_trials, may_tell_secrets, note_failed_trials, read_launched
from components.trials import list_left_out

LATEST = "latest"
TRAINED_OUTPUT = "trained"
# What the trials of a run that broke off are handed out in; without any where all steps handed out their own.
FINISHED_OUTPUT = "finished"
PIPELINE_LOG = Path("logs", "pipeline.log")
# The steps' outputs that a reader wants, by the name they get: step and output in the pipeline.
RESULT_FILES = {
    "report.html": ("compare", "report"),
    "comparison.md": ("compare", "summary"),
    "comparison.csv": ("compare", "table"),
    "trials.jsonl": ("compare", "trials"),
    "recommendation.json": ("compare", "recommendation"),
    "run.json": ("plan-comparison", "run_info"),
    "depth_study.html": ("study-depth", "page"),
    "depth_study.json": ("study-depth", "study"),
}


def create_run_dir(runs_dir: Path) -> Path:
    """Returns a new folder for a run, named after the time.

    Raises:
        OSError: It cannot be made.
    """
    runs_dir.mkdir(parents=True, exist_ok=True)
    name = time.strftime("%Y%m%d-%H%M%S")
    for attempt in range(100):
        run_dir = runs_dir / (f"{name}-{attempt}" if attempt else name)
        with contextlib.suppress(FileExistsError):
            run_dir.mkdir()
            return run_dir
    raise FileExistsError(f"{runs_dir / name} and its hundred successors exist")


def make_folder(folder: Path, parameters: Parameters) -> None:
    """Makes a folder of a run for what its programs print or work with: they may print what they were given.

    Where that is secret, no other user of this machine reads it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if may_tell_secrets(parameters):
        folder.chmod(0o700)


def open_log(path: Path, parameters: Parameters) -> TextIO:
    """Returns a log to append to, which other users read as they do its folder.

    It keeps nothing back: a full disk is met where a line is written.
    """
    file = path.open("ab", buffering=0)
    if may_tell_secrets(parameters):
        path.chmod(0o600)
    return io.TextIOWrapper(file, "utf-8", write_through=True)


def find_local_results(pipeline_root: Path) -> tuple[dict[str, Path], list[Path]]:
    """Returns the result files that the local runner left, by their names, and the folders of trained models.

    Args:
        pipeline_root: The folder that the local runner was given; it holds one folder, named after the run.
    """
    files = {
        name: path for name, (step, output) in RESULT_FILES.items() for path in pipeline_root.glob(f"*/{step}/{output}")
    }
    return files, sorted(pipeline_root.glob(f"*/*/train-*/{TRAINED_OUTPUT}"))


def arrange_results(run_dir: Path, files: Mapping[str, Path], trained: Iterable[Path]) -> None:
    """Moves results to where a reader looks for them; what is there of a trial stays, the other copy is removed.

    Args:
        run_dir: The run's folder.
        files: Result files by name.
        trained: Folders that hold the folders of trials.

    Raises:
        RecordError: A trial does not say which it is.
    """
    for name, path in files.items():
        shutil.move(path, run_dir / name)
    trained = [*trained]
    for folder in list_trials(trained):
        configuration, trial = read_launched(folder)
        place = Path(configuration, f"trial-{trial}")
        if (run_dir / "models" / place).exists():
            shutil.rmtree(folder)
            continue
        place_logs(folder, run_dir / "logs" / place)
        (run_dir / "models" / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.move(folder, run_dir / "models" / place)
    note_left_out(run_dir, list_left_out(trained))


def place_logs(folder: Path, place: Path) -> None:
    """Moves the logs of a trial to their place, where those of an attempt before it may be."""
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    if (folder / "logs").exists():
        shutil.move(folder / "logs", place)


def note_left_out(run_dir: Path, left_out: Sequence[tuple[Path, dict[str, Any]]]) -> None:
    """Notes in a run's plan which trials failed and are left out, for who rebuilds its report, and moves their logs.

    A trial may be told of more than once, by its step and by the workspace, and may have been trained since.
    """
    for folder, which in left_out:
        if not (run_dir / "models" / _place(which)).exists():
            place_logs(folder, run_dir / "logs" / _place(which))
    plan = run_dir / "run.json"
    if not (left_out and plan.exists()):
        return
    noted = json.loads(plan.read_text(encoding="utf-8")).get("failed_trials") or []
    failed = {_place(which): which for which in (*noted, *(which for _, which in left_out))}
    failed_trials = [which for place, which in failed.items() if not (run_dir / "models" / place).exists()]
    if failed_trials != noted:
        note_failed_trials(plan, failed_trials)


def _place(which: Mapping[str, Any]) -> Path:
    return Path(which["configuration"], f"trial-{which['trial']}")


def point_latest(run_dir: Path) -> None:
    """Makes `latest` beside the run's folder point at it."""
    link = run_dir.with_name(f".{LATEST}.{run_dir.name}")
    link.unlink(missing_ok=True)  # of a program that was killed before the next two calls were done
    link.symlink_to(run_dir.name)
    link.replace(run_dir.with_name(LATEST))


def describe_partial_results(run_dir: Path) -> str:
    """Returns where a reader finds what a run left that did not come to its end."""
    finished = sorted(str(path.relative_to(run_dir / "models")) for path in run_dir.glob("models/*/trial-*"))
    models = f"{len(finished)} finished trial(s): {', '.join(finished)}, in {shorten(run_dir / 'models')}"
    told = f"{models if finished else 'No trial was finished'}.\nThe steps' logs: {shorten(run_dir / PIPELINE_LOG)}"
    unfinished = run_dir / "artifacts"
    return f"{told}; what was unfinished: {shorten(unfinished)}" if unfinished.exists() else told


def shorten(path: Path) -> Path:
    """Returns the path as a person in the current folder would write it."""
    with contextlib.suppress(ValueError):
        return path.relative_to(Path.cwd())
    return path
