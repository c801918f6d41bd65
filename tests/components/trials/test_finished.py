import json
from pathlib import Path
from typing import Any

import pytest

from comparison.records import RecordError
from components.planning.parameters import Parameters
from components.planning.plan import plan_run
from components.trials.finished import (
    check_software,
    hand_out_finished,
    lay_ready,
    note_handed_out,
    read_resumable_plan,
    remove_torn_trials,
)
from components.trials.trial import run_trial
from model.host import describe_versions
from tests.components.fake_backend import FakeBackend
from tests.components.plan_factory import find_place, make_plan
from tests.components.trial_folders import write_trial


def test_a_plan_of_this_version_is_read(tmp_path: Path) -> None:
    make_plan(scaling="both").write(tmp_path / "run.json")

    assert read_resumable_plan(tmp_path / "run.json") == make_plan_of(tmp_path)


def test_a_plan_stands_whatever_room_there_is_when_it_is_resumed(tmp_path: Path) -> None:
    plan = plan_run("run-1", Parameters(workers=[64]), lambda _: 64.0)
    plan.write(tmp_path / "run.json")

    assert [c.name for c in read_resumable_plan(tmp_path / "run.json").single_nodes] == ["single", "single-64x-cpus"]


def make_plan_of(folder: Path) -> Any:
    return type(make_plan()).read(folder / "run.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda plan: plan["parameters"].pop("pending_minutes"),
            r"must have this version's parameters\. .* Only there or only here: pending_minutes\.",
        ),
        (lambda plan: plan["parameters"].update(colour=1), r"Only there or only here: colour\."),
        (
            lambda plan: plan["configurations"][1]["training"].update(weight_decay=0.5),
            "must hold what this version plans from its parameters",
        ),
        (lambda plan: plan.update(schema_version=2), r"must have schema_version 1\. Received: 2"),
    ],
)
def test_a_plan_of_another_version_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    make_plan().write(tmp_path / "run.json")
    plan = json.loads((tmp_path / "run.json").read_text())
    change(plan)
    (tmp_path / "run.json").write_text(json.dumps(plan))

    with pytest.raises(RecordError, match=message):
        read_resumable_plan(tmp_path / "run.json")


def test_a_trial_of_other_software_is_refused_with_what_differs(tmp_path: Path) -> None:
    here = describe_versions()
    write_trial(tmp_path / "same", "single", 1, versions=here)
    write_trial(tmp_path / "other", "single", 2, versions=here | {"tensorflow": "2.0"})

    check_software(make_plan().program, [tmp_path / "same"])
    with pytest.raises(RecordError, match=rf"Received: tensorflow 2\.0, installed is {here['tensorflow']}\. Install"):
        check_software(make_plan().program, [tmp_path / "same", tmp_path / "other"])


@pytest.mark.parametrize("missing", ["training.json", "launch.json", "model.keras"])
def test_a_trial_of_which_not_all_is_there_is_removed(tmp_path: Path, missing: str) -> None:
    for trial in (1, 2):
        write_trial(tmp_path / f"trial-{trial}", "single", trial)
    (tmp_path / "trial-1" / missing).unlink()

    remove_torn_trials(make_plan().program, [*tmp_path.iterdir()])

    assert [path.name for path in tmp_path.iterdir()] == ["trial-2"]


def test_a_step_takes_a_trial_that_was_laid_ready_and_the_original_stays(tmp_path: Path) -> None:
    kept, logs = tmp_path / "models" / "single", tmp_path / "logs" / "single"
    write_trial(kept, "single", 2)
    logs.parent.mkdir()
    (kept / "logs").rename(logs)

    lay_ready(make_plan(), [(kept, logs)], tmp_path / "workspace")
    backend = FakeBackend()
    plan = make_plan()
    run_trial(plan, find_place(plan, "single", 2), tmp_path, tmp_path / "workspace", tmp_path / "out", backend)

    assert backend.manifests == []
    for name in ("launch.json", "training.json", "model.keras"):
        assert (tmp_path / "out" / name).read_bytes() == (kept / name).read_bytes()
    assert (tmp_path / "out" / "logs" / "worker-0.log").read_text() == "trained\n"
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))


def test_what_a_run_had_finished_that_broke_off_is_handed_out_and_what_goes_on_is_a_resumption(tmp_path: Path) -> None:
    write_trial(tmp_path / "workspace" / "finished" / "single-t1", "single", 1)
    write_trial(tmp_path / "workspace" / "finished.partial" / "all-reduce-2w-t1", "all-reduce-2w", 1)
    (tmp_path / "workspace" / "failed").mkdir()

    assert hand_out_finished(tmp_path / "workspace", tmp_path / "out") == 1

    assert [path.parent.name for path in list_trials_below(tmp_path / "out")] == ["single-t1"]
    assert (tmp_path / "out" / "single-t1" / "model.keras").read_text() == "weights"
    assert sorted(path.name for path in (tmp_path / "workspace").iterdir()) == [
        "finished",
        "finished.partial",
        "resumed",
    ]


def list_trials_below(folder: Path) -> list[Path]:
    return sorted(folder.glob("*/launch.json"))


def test_what_every_step_has_stored_is_not_stored_twice(tmp_path: Path) -> None:
    write_trial(tmp_path / "workspace" / "finished" / "single-t1", "single", 1)
    note_handed_out(tmp_path / "workspace")

    assert hand_out_finished(tmp_path / "workspace", tmp_path / "out") == 0

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["README.txt"]
    assert not (tmp_path / "workspace" / "resumed").exists()


def test_a_run_that_broke_off_before_anything_was_trained_hands_out_nothing(tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    assert hand_out_finished(tmp_path / "workspace", tmp_path / "out") == 0
