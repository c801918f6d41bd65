import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from kfp import dsl

from comparison.records import write_text
from components.clean_up import clean_up
from components.planning import note_failed_trials
from components.trials.attempts import Attempt
from components.trials.left_out import leave_out
from tests.components.plan_factory import find_place, make_plan
from tests.components.trial_folders import write_trial
from tfjob import launch

BEFORE = '{"a": 1}'


@contextmanager
def without_room() -> Iterator[None]:
    """Lets files be made, and no file grow: as on a full disk, what is written is lost when it is flushed."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(BEFORE), limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("run.json", lambda path: make_plan().write(path)),
        ("run.json", lambda path: note_failed_trials(path, [{"configuration": "single", "trial": 1}])),
        ("failed.json", lambda path: leave_out(path.parent, find_place(make_plan(), "single", 1), "it failed", [])),
        ("1.json", lambda path: Attempt("single-t1", [], path, 0.0).end("it was lost")),
        ("report.html", lambda path: write_text(path, "<p>" * 1000)),
    ],
)
def test_what_cannot_be_written_leaves_what_was_there_and_nothing_beside_it(
    tmp_path: Path, name: str, write: Callable[[Path], object]
) -> None:
    path = tmp_path / "single-t1" / name
    path.parent.mkdir()
    path.write_text(BEFORE)
    with without_room(), pytest.raises(OSError, match="File too large"):
        write(path)
    assert [(left, left.read_text()) for left in tmp_path.rglob("*") if left.is_file()] == [(path, BEFORE)]
    write(path)
    assert path.read_text() != BEFORE


def test_no_job_is_left_because_the_finished_trials_find_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted: list[str] = []
    monkeypatch.setattr(launch, "delete_jobs", lambda run_id, **_: deleted.append(run_id))
    workspace, out = tmp_path / "workspace", tmp_path / "out"
    write_trial(workspace / "finished" / "single-t1", "single", 1)
    with without_room(), pytest.raises(SystemExit, match="cannot be written or read: this process may not write so"):
        clean_up.python_func("run-1", "{}", str(workspace), dsl.Artifact(uri=str(out)))
    assert deleted == ["run-1"]
