import json
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.planning.names import list_trials
from components.trials.attempts import Attempt
from components.trials.disturbance import ACCEPT_NOISE_VARIABLE
from tests.components.fake_backend import FakeBackend, read_option
from tests.components.plan_factory import find_place, make_plan
from tests.components.trials.one_trial import get_command, read_launch, run
from tfjob.backend import ANYWHERE, JobResult, Placement, StatusChanged
from tfjob.errors import (
    JobCancelled,
    JobDeadlineExceeded,
    JobFailed,
    JobRestartedTooOften,
    ReplicaLost,
    TFJobError,
)


def test_the_runs_first_trial_waits_longest_for_a_quiet_machine_and_all_others_alike(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ACCEPT_NOISE_VARIABLE)
    backend = LosingBackend(1)
    for index in (0, 1, 2):
        run(make_plan(), dataset, tmp_path, index=index, backend=backend)
    assert [placement.patience_seconds for placement in backend.placements] == [60.0, 10.0, 10.0, 10.0]


class LosingBackend(FakeBackend):
    """Loses a replica of the first jobs."""

    def __init__(self, losses: int, loss: str = "pod", error: TFJobError | None = None) -> None:
        super().__init__()
        self.losses, self.loss, self.error = losses, loss, error

    def run(
        self, manifest: Any, *, log_dir: Path, on_event: Any, placement: Placement = ANYWHERE, **more: Any
    ) -> JobResult:
        result = super().run(manifest, log_dir=log_dir, on_event=on_event, placement=placement)
        if len(self.manifests) > self.losses:
            return result
        if self.error is not None:
            raise self.error
        if self.loss == "process":
            on_event(StatusChanged("Restarting", "worker-1 ended (killed by SIGKILL); restart 1 in 0 s"))
        raise ReplicaLost(result.job_name, replica="worker-1", exit_code=None, reason="its pod was evicted")


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        ("pod", "failed: worker-1: its pod was evicted."),
        ("process", "was given up: worker-1 ended (killed by SIGKILL), and it was not to be restarted"),
    ],
)
def test_a_trial_that_lost_a_replica_is_trained_anew_from_step_0_and_both_attempts_are_told(
    dataset: Path, tmp_path: Path, loss: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = run(make_plan(), dataset, tmp_path, index=1, backend=LosingBackend(1, loss))

    first, second = (get_command(manifest) for manifest in backend.manifests)
    assert [Path(read_option(command, "--output-dir")).name for command in (first, second)] == [
        "all-reduce-2w-t1",
        "all-reduce-2w-t1-2",  # no checkpoint of the first is taken up
    ]
    names = [manifest["metadata"]["name"] for manifest in backend.manifests]
    assert names[0].rpartition("-")[0] == "all-reduce-2w-t1"
    assert names[1].rpartition("-")[0] == "all-reduce-2w-t1-2"
    launch = read_launch(tmp_path / "out" / "all-reduce-2w")
    (attempt,) = launch["earlier_attempts"]
    assert reason in attempt["reason"]
    assert attempt["started_at"] <= attempt["ended_at"]
    assert launch["resumed"]
    told = "trained anew from step 0, and this whole attempt counts; an attempt before it ended: "
    assert launch["warnings"] == ["slow", told + attempt["reason"]]
    assert "== all-reduce-2w, trial 1, is trained anew from step 0, once" in capsys.readouterr().out.splitlines()


@pytest.mark.parametrize(("last_line", "attempts"), [("…: it is gone, so this replica ends itself", 2), ("mine", 1)])
def test_a_trial_whose_replicas_missed_a_launcher_that_was_only_held_up_is_trained_anew(
    dataset: Path, tmp_path: Path, last_line: str, attempts: int
) -> None:
    error = JobFailed("all-reduce-2w-t1", replica="worker-0", exit_code=4, reason="exit code 4", last_lines=[last_line])
    backend = LosingBackend(1, error=error)
    with nullcontext() if attempts > 1 else pytest.raises(JobFailed):
        run(make_plan(), dataset, tmp_path, index=1, backend=backend)
    assert len(backend.manifests) == attempts


@pytest.mark.parametrize("loss", ["pod", "process"])
def test_a_second_loss_ends_the_step_and_a_retry_begins_anew(dataset: Path, tmp_path: Path, loss: str) -> None:
    backend = LosingBackend(2, loss)
    with pytest.raises((ReplicaLost, JobRestartedTooOften)):
        run(make_plan(), dataset, tmp_path, index=1, backend=backend)
    assert len(backend.manifests) == 2
    run(make_plan(), dataset, tmp_path, index=1, backend=backend)
    launch = read_launch(tmp_path / "out" / "all-reduce-2w")
    assert len(launch["earlier_attempts"]) == 2
    assert launch["job_name"].startswith("all-reduce-2w-t1-3-")


class ForgetfulBackend(FakeBackend):
    """Its first jobs succeed without the record of a replica, or without any."""

    def __init__(self, losses: int, *, is_all_lost: bool = False) -> None:
        super().__init__()
        self.losses, self.is_all_lost = losses, is_all_lost

    def run(
        self, manifest: Any, *, log_dir: Path, on_event: Any, placement: Placement = ANYWHERE, **more: Any
    ) -> JobResult:
        result = super().run(manifest, log_dir=log_dir, on_event=on_event, placement=placement)
        path = Path(read_option(get_command(manifest), "--output-dir")) / "training.json"
        if len(self.manifests) > self.losses:
            return result
        training = json.loads(path.read_text())
        training["replicas"] = [replica for replica in training["replicas"] if replica["type"] != "ps"]
        path.write_text(json.dumps(training))
        if self.is_all_lost:
            path.unlink()
        return result


@pytest.mark.parametrize(
    ("is_all_lost", "reason"),
    [(False, "training.json lacks the record of ps-0: lost in the last second"), (True, "left no training.json")],
)
def test_a_trial_without_a_replicas_record_is_a_failed_one_and_is_trained_anew(
    dataset: Path, tmp_path: Path, is_all_lost: bool, reason: str
) -> None:
    backend = run(make_plan(), dataset, tmp_path, index=2, backend=ForgetfulBackend(1, is_all_lost=is_all_lost))
    assert len(backend.manifests) == 2
    folder = tmp_path / "out" / "parameter-server-2w-1ps"
    (attempt,) = read_launch(folder)["earlier_attempts"]
    assert reason in attempt["reason"]
    assert len(json.loads((folder / "training.json").read_text())["replicas"]) == 4


def test_a_trial_without_a_whole_record_for_the_second_time_is_left_out_and_said_so(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan()
    backend = run(plan, dataset, tmp_path, index=2, backend=ForgetfulBackend(2))

    folder = tmp_path / "out" / "parameter-server-2w-1ps"
    assert sorted(path.name for path in folder.iterdir()) == ["failed.json", "logs"]
    failed = json.loads((folder / "failed.json").read_text())
    assert (failed["configuration"], failed["trial"], failed["round"]) == ("parameter-server-2w-1ps", 1, 1)
    assert "lacks the record of ps-0" in failed["reason"]
    assert len(failed["earlier_attempts"]) == 2  # all are paid for, the last one, too
    assert all(attempt["ended_at"] >= attempt["started_at"] for attempt in failed["earlier_attempts"])
    told = "== parameter-server-2w-1ps, trial 1, is left out: the comparison goes on without it"
    assert told in capsys.readouterr().out.splitlines()

    assert list_trials([tmp_path / "out"]) == []
    place = find_place(plan, "parameter-server-2w-1ps", 1)
    assert (tmp_path / "workspace" / "finished" / place.name / "failed.json").exists()  # the others have their turn
    shutil.rmtree(tmp_path / "out")
    run(plan, dataset, tmp_path, index=2, backend=backend)
    assert len(backend.manifests) == 2  # a step that starts again does not try it a third time
    assert (folder / "failed.json").exists()


class DisturbedBackend(FakeBackend):
    """Trains beside a neighbour, who takes some seconds of the core in each job, one after another."""

    def __init__(self, *others: float, is_contended: bool = False) -> None:
        super().__init__()
        self.others, self.is_contended = list(others), is_contended

    def run(
        self, manifest: Any, *, log_dir: Path, on_event: Any, placement: Placement = ANYWHERE, **more: Any
    ) -> JobResult:
        result = super().run(manifest, log_dir=log_dir, on_event=on_event, placement=placement)
        path = Path(read_option(get_command(manifest), "--output-dir")) / "training.json"
        training = json.loads(path.read_text())
        training["replicas"][0]["others_cpu_seconds"] = self.others.pop(0)
        path.write_text(json.dumps(training))
        return replace(result, contended=self.is_contended)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ACCEPT_NOISE_VARIABLE)


@pytest.mark.usefixtures("measured")
def test_a_disturbed_trial_is_trained_once_more_and_both_attempts_are_told(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = run(make_plan(), dataset, tmp_path, backend=DisturbedBackend(30.0, 0.0))

    names = [manifest["metadata"]["name"].rpartition("-")[0] for manifest in backend.manifests]
    assert names == ["single-t1", "single-t1-2"]
    launch = read_launch(tmp_path / "out" / "single")
    (attempt,) = launch["earlier_attempts"]
    assert attempt["train_seconds"] == 60.0
    assert attempt["started_at"] <= attempt["ended_at"]
    assert attempt["reason"].startswith(
        "others took 50 % of the CPU time of worker-0 while it trained (other programs 30.0 s"
    )
    told = "trained once more, and this attempt counts; in the one before it "
    assert launch["warnings"] == ["slow", told + attempt["reason"]]
    assert not launch["resumed"]  # nothing was interrupted
    line = f"== single, trial 1, is trained once more: {attempt['reason']}"
    assert line in capsys.readouterr().out.splitlines()


@pytest.mark.usefixtures("measured")
def test_a_second_disturbed_attempt_counts_and_that_is_told(dataset: Path, tmp_path: Path) -> None:
    backend = run(make_plan(), dataset, tmp_path, backend=DisturbedBackend(30.0, 12.0))
    assert len(backend.manifests) == 2
    launch = read_launch(tmp_path / "out" / "single")
    training = json.loads((tmp_path / "out" / "single" / "training.json").read_text())
    assert training["replicas"][0]["others_cpu_seconds"] == 12.0
    assert len(launch["earlier_attempts"]) == 1
    assert launch["warnings"][-1].startswith("this attempt counts although others took 20 % of")


@pytest.mark.usefixtures("measured")
def test_a_trial_that_was_disturbed_and_then_lost_its_launcher_is_not_repeated_for_a_second_disturbance(
    dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "workspace").mkdir()
    Attempt.begin(tmp_path / "workspace", "single-t1").end("others took 50 %", train_seconds=9.0)
    Attempt.begin(tmp_path / "workspace", "single-t1")

    backend = run(make_plan(), dataset, tmp_path, backend=DisturbedBackend(30.0))

    assert len(backend.manifests) == 1
    launch = read_launch(tmp_path / "out" / "single")
    assert [attempt.get("train_seconds") for attempt in launch["earlier_attempts"]] == [9.0, None]
    assert launch["resumed"]


@pytest.mark.usefixtures("measured")
def test_a_trial_may_both_lose_a_replica_and_be_disturbed(dataset: Path, tmp_path: Path) -> None:
    class UnluckyBackend(DisturbedBackend):
        def run(
            self, manifest: Any, *, log_dir: Path, on_event: Any, placement: Placement = ANYWHERE, **more: Any
        ) -> JobResult:
            result = super().run(manifest, log_dir=log_dir, on_event=on_event, placement=placement)
            if len(self.manifests) == 1:
                raise ReplicaLost(result.job_name, replica="worker-0", exit_code=None, reason="its pod was evicted")
            return result

    backend = run(make_plan(), dataset, tmp_path, backend=UnluckyBackend(0.0, 30.0, 0.0))
    assert len(backend.manifests) == 3
    launch = read_launch(tmp_path / "out" / "single")
    assert ["train_seconds" in attempt for attempt in launch["earlier_attempts"]] == [False, True]
    assert launch["resumed"]


@pytest.mark.usefixtures("measured")
def test_a_contended_trial_is_not_repeated(dataset: Path, tmp_path: Path) -> None:
    backend = run(make_plan(), dataset, tmp_path, backend=DisturbedBackend(30.0, is_contended=True))
    assert len(backend.manifests) == 1
    assert read_launch(tmp_path / "out" / "single")["warnings"] == ["slow"]


def test_who_accepts_noise_gets_a_disturbed_trial_as_it_is_with_a_word(dataset: Path, tmp_path: Path) -> None:
    backend = run(make_plan(), dataset, tmp_path, backend=DisturbedBackend(30.0))
    assert len(backend.manifests) == 1
    (_, told) = read_launch(tmp_path / "out" / "single")["warnings"]
    assert told.startswith("this attempt counts although others took 50 % of")


@pytest.mark.parametrize(
    "error",
    [
        JobFailed("a", replica="worker-0", exit_code=3, reason="exit code 3"),
        JobDeadlineExceeded("too long"),
        JobCancelled("stopped"),
    ],
)
def test_what_would_fail_again_is_not_trained_again(dataset: Path, tmp_path: Path, error: TFJobError) -> None:
    backend = LosingBackend(1, error=error)
    with pytest.raises(type(error)):
        run(make_plan(), dataset, tmp_path, backend=backend)
    assert len(backend.manifests) == 1


def test_a_trial_whose_launcher_was_lost_is_trained_anew_in_a_folder_of_its_own(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "workspace").mkdir()
    Attempt.begin(tmp_path / "workspace", "single-t1")

    run(make_plan(), dataset, tmp_path)

    launch = read_launch(tmp_path / "out" / "single")
    assert launch["job_name"].startswith("single-t1-2-")
    assert [attempt["reason"] for attempt in launch["earlier_attempts"]] == ["its launcher was lost"]
    assert launch["earlier_attempts"][0]["ended_at"] is None
    assert launch["resumed"]
