import json
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from comparison.programs import ProgramTrial, read_program_trials
from components.planning.parameters import Parameters
from components.planning.plan import RunPlan, plan_run
from components.trials.finished import lay_ready
from components.trials.trial import run_trial
from program.errors import ProgramError
from tests.components.plan_factory import find_place
from tests.components.planning.programs.test_persons import write_job
from tfjob.errors import JobFailed, TFJobError
from tfjob.local import LocalBackend

PERSONS = Path(__file__).parents[1] / "persons"


def command(name: str, *arguments: str) -> str:
    return " ".join([sys.executable, str(PERSONS / f"{name}.py"), *arguments])


def make_plan(**changes: Any) -> RunPlan:
    return plan_run("run-1", Parameters(**{"trials": 2, "cpus_per_replica": 0.5, **changes}))


def run(plan: RunPlan, tmp_path: Path, configuration: str, trial: int = 1) -> ProgramTrial:
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    folder = tmp_path / "out" / f"{configuration}-t{trial}"
    run_trial(plan, find_place(plan, configuration, trial), tmp_path, workspace, folder, LocalBackend())
    (record,) = read_program_trials(folder / "trial.json")
    return record


def test_a_program_that_says_nothing_is_measured_by_its_whole_job(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(command=command("silent"))
    first, second = run(plan, tmp_path, "single"), run(plan, tmp_path, "workers-2")
    assert (first.level, first.train_seconds, first.job_seconds > 0.2) == (0, None, True)
    assert (first.program, first.configuration, first.baseline, first.num_workers) == ("command", "single", "single", 1)
    assert (second.configuration, second.baseline, second.num_workers) == ("workers-2", "single", 2)
    told = capsys.readouterr().out
    assert told.count("Whole jobs are compared") == 1  # after the first trial, and not after each
    launch = json.loads((tmp_path / "out" / "single-t1" / "launch.json").read_text())
    assert (launch["configuration"], launch["trial"], launch["resumed"]) == ("single", 1, False)
    assert (tmp_path / "out" / "single-t1" / "logs" / "worker-0.log").exists()


def test_a_program_that_prints_tells_steps_and_metrics_and_each_trial_has_a_fresh_folder(tmp_path: Path) -> None:
    plan = make_plan(command=command("talking", "{output_dir}"), batch_size_per_replica=8)
    records = [run(plan, tmp_path, "single", trial) for trial in (1, 2)] + [run(plan, tmp_path, "workers-2")]
    assert [record.level for record in records] == [1, 1, 1]
    assert [record.seed for record in records] == [0, 1, 0]
    assert {metric.name: metric.value for metric in records[0].metrics}["auc"] == 0.75
    assert records[0].examples_per_second is not None
    assert [(record.global_batch_size, record.per_replica_batch_size) for record in records[1:]] == [(8, 8), (16, 8)]
    assert records[0].declared == ["batch_size_per_replica 8"]
    assert [replica.name for replica in records[2].replicas] == ["worker-0", "worker-1"]


def test_a_program_that_imports_the_helper_tells_its_clock_and_its_examples(tmp_path: Path) -> None:
    plan = make_plan(command=command("telling", "{per_replica_batch_size}"))
    alone, record = run(plan, tmp_path, "single"), run(plan, tmp_path, "workers-2")
    told = [(replica.name, replica.examples) for replica in (*alone.replicas, *record.replicas)]
    assert told == [("worker-0", 20 * 128), ("worker-0", 20 * 64), ("worker-1", 20 * 64)]
    assert record.level == 2
    assert record.steps is not None
    assert record.examples is not None
    assert 0 < record.examples <= 2 * 20 * 64  # of both workers, which are not in step
    assert [(metric.name, metric.value, metric.num_examples) for metric in record.metrics] == [("accuracy", 0.5, 100)]
    assert 0.05 < (record.train_seconds or 0) < record.job_seconds


def test_a_training_that_is_cut_ends_although_it_hears_no_signal_and_counts(tmp_path: Path) -> None:
    plan = make_plan(command=command("telling", "8", "endless"), measure_steps=30)
    record = run(plan, tmp_path, "single")
    assert record.was_cut
    assert (record.steps or 0) >= 30
    launch = json.loads((tmp_path / "out" / "single-t1" / "launch.json").read_text())
    assert launch["was_ended"]


def test_the_smallest_job_that_runs_is_the_baseline_and_is_called_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = make_plan(command=command("talking", "{output_dir}", "needs-config"))
    first, second = run(plan, tmp_path, "single"), run(plan, tmp_path, "workers-2")
    again = run(plan, tmp_path, "single", 2)
    assert [record.configuration for record in (first, second, again)] == [
        "single-tf-config",
        "workers-2",
        "single-tf-config",
    ]
    assert {record.baseline for record in (first, second, again)} == {"single-tf-config"}
    assert any("the smallest job that runs" in note for note in first.notes)
    assert not any("smallest" in note for note in second.notes)
    assert (first.resumed, first.earlier_attempts, first.warnings) == (False, [], [])
    told = capsys.readouterr().out
    assert told.count("does not run; tried in its place") == 1
    assert "KeyError: 'TF_CONFIG'" in told


def test_a_program_that_needs_servers_is_compared_with_one_worker_and_one_server(tmp_path: Path) -> None:
    job = write_job(sys.executable, str(PERSONS / "talking.py"), "{output_dir}", "needs-servers", servers=1)
    record = run(make_plan(tfjob=job, cpus_per_replica=1.0), tmp_path, "single")
    assert (record.configuration, record.num_workers, record.num_ps) == ("workers-1-ps-1", 1, 1)
    assert (record.program, record.cpus_per_replica, record.memory_per_replica) == ("tfjob", 2.0, "1Gi")


def test_a_run_is_resumed_with_the_baseline_that_runs(tmp_path: Path) -> None:
    plan = make_plan(command=command("talking", "{output_dir}", "needs-config"))
    run(plan, tmp_path, "single")
    kept = tmp_path / "out" / "single-t1"
    (kept / "logs").rename(tmp_path / "logs")
    resumed = tmp_path / "resumed"
    lay_ready(plan, [(kept, tmp_path / "logs")], resumed / "workspace")
    assert run(plan, resumed, "single").configuration == "single-tf-config"
    assert run(plan, resumed, "workers-2").baseline == "single-tf-config"
    assert run(plan, resumed, "workers-2", 2).resumed is False


@pytest.mark.parametrize(
    ("arguments", "message"), [(("{output_dir}", "no-start"), "horovod"), (("nowhere", "{output_dir}"), "can't open")]
)
def test_a_command_that_runs_with_no_number_of_workers_fails_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    name = "talking" if arguments[1] == "no-start" else "missing"
    with pytest.raises(JobFailed, match=message):
        run(make_plan(command=command(name, *arguments)), tmp_path, "single")
    assert "tried in its place" not in capsys.readouterr().out


def test_where_no_form_runs_the_first_failure_and_the_last_are_told(tmp_path: Path) -> None:
    program = shlex.join([sys.executable, "-c", "import os; os.environ['TF_CONFIG']; os.environ['DATA']"])
    with pytest.raises(JobFailed, match="KeyError: 'TF_CONFIG'") as raised:
        run(make_plan(command=program), tmp_path, "single")
    assert raised.value.job_name.startswith("single-t1-")
    assert "KeyError: 'DATA'" in str(raised.value).partition("== single-tf-config does not run either:")[2]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"progress_regex": ["auc=auc is (.*)"]}, r"regular expression of 'auc' never matched(.|\n)*auc=0\.75"),
        ({"progress": "keras"}, "was not found in it"),
        ({"metric": "rmse"}, r"The metric 'rmse' was never told"),
    ],
)
def test_what_was_to_be_told_and_was_not_is_said_after_the_first_trial_with_the_last_lines(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(TFJobError, match=message):
        run(make_plan(command=command("talking", "{output_dir}"), **changes), tmp_path, "single")
    assert not (tmp_path / "workspace" / "finished").exists()


def test_an_end_without_a_training_does_not_count_where_others_told_of_one(tmp_path: Path) -> None:
    talking, silent = make_plan(command=command("talking", "{output_dir}")), make_plan(command=command("silent"))
    run(talking, tmp_path, "single")
    with pytest.raises(TFJobError, match="workers-2, trial 1, ended well without a sign of a training"):
        run(silent, tmp_path, "workers-2")


def test_steps_to_measure_take_a_program_that_tells_steps(tmp_path: Path) -> None:
    with pytest.raises(TFJobError, match="told nothing of its progress"):
        run(make_plan(command=command("silent"), measure_steps=10), tmp_path, "single")
    with pytest.raises(ProgramError, match="progress is none"):
        make_plan(command=command("silent"), measure_steps=10, progress="none")
