import itertools
import json
import os
import re
import signal
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from model.data.dataset import PreparedDataset
from model.errors import ExitCode
from model.training.clocks import CLOCKS, SERVING
from model.training.config import TrainingConfig
from tests.model.forked import THREADS
from tests.model.replicas import SETTINGS, Job, make_cluster, read_schema

pytestmark = pytest.mark.slow

WITH_CHECKPOINTS = (*SETTINGS, "--checkpoint-steps=10")
STEPS = 189  # 3 epochs of 2,017 images in batches of 32


@pytest.fixture(params=["singles", "all_reduces", "parameter_server"])
def job(request: pytest.FixtureRequest) -> Job:
    jobs = request.getfixturevalue(request.param)
    found: Job = jobs if isinstance(jobs, Job) else jobs[0]
    return found


@pytest.fixture
def make_job(mnist: PreparedDataset, tmp_path: Path) -> Callable[..., Job]:
    numbers = itertools.count()

    def make(*options: str, cluster: dict[str, list[str]] | None = None) -> Job:
        return Job(mnist.directory, tmp_path / f"job-{next(numbers)}", options, cluster)

    return make


def describe(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: describe(entry) for key, entry in value.items()}
    return [describe(value[0])] if isinstance(value, list) else None


def test_the_record_has_exactly_the_keys_of_the_schema(job: Job) -> None:
    training, schema = job.training, json.loads(read_schema("training.json"))
    for record in (*training["replicas"], *schema["replicas"]):
        environment = record.pop("environment")  # whose variables are the machine's
        assert {type(text) for entry in environment.items() for text in entry} == {str}
    collectives = [record.pop("collective") for record in (training, schema)]
    assert describe(collectives[0]) == (None if training["strategy"] == "single" else describe(collectives[1]))
    assert describe(training) == describe(schema)


def test_an_exchange_by_itself_is_a_small_part_of_the_warm_up(job: Job) -> None:
    if (collective := job.training["collective"]) is not None:
        seconds = collective["repeats"] * (collective["one_element_seconds"] + collective["vector_seconds"])
        assert 0 < seconds / 2 < job.training["warmup_seconds"]
        assert collective["num_elements"] > job.training["num_parameters"]


def test_all_replicas_tell_the_same_of_themselves(job: Job) -> None:
    first, *others = job.training["replicas"]
    assert all(other.keys() - {"num_steps"} == first.keys() for other in others)


def test_replicas_of_the_same_machine_are_steered_alike(job: Job) -> None:
    assert len({record["host"] for record in job.training["replicas"]}) == 1
    first, *others = (record["environment"] for record in job.training["replicas"])
    assert first.items() >= THREADS.items()
    assert all(other == first for other in others)


@pytest.mark.skipif(not Path("/proc/self/schedstat").exists(), reason="Linux tells")
def test_what_disturbed_a_replica_is_of_the_time_in_which_it_trained(job: Job) -> None:
    training = job.training
    for record in training["replicas"]:
        assert 0 <= record["waited_seconds"] <= record["waited_all_seconds"]
        assert record["waited_seconds"] <= training["train_seconds"] + 0.5
        assert record["steal_seconds"] >= 0
    # All share the machine's cores here, and take what they computed off each other's.
    others = [record["others_cpu_seconds"] for record in training["replicas"]]
    assert all(0 <= seconds <= (os.cpu_count() or 1) * (training["train_seconds"] + 0.5) for seconds in others)


def test_the_record_says_what_was_trained(job: Job, mnist: PreparedDataset) -> None:
    training = job.training
    expected = {
        "schema_version": 1,
        "scaling": "strong",
        "seed": 0,
        "model": "resnet8",
        "model_arguments": '{"width": 4, "stem_stride": 4}',
        "num_parameters": 5142,
        "dataset": "mnist",
        "dataset_sha256": mnist.sha256,
        "global_batch_size": 32,
        "per_replica_batch_size": 32 // training["num_workers"],
        "same_batch_norm": True,
        "batch_norm_group_size": 16,
        "learning_rate": 0.1,
        "epochs": 3,
        "steps": STEPS,
        "images_seen": 32 * STEPS,
        "target_accuracy": TrainingConfig().target_accuracy,
    }
    assert {key: training[key] for key in expected} == expected
    assert [(point["epoch"], point["step"]) for point in training["curve"]] == [(1, 63), (2, 126), (3, 189)]


def test_the_clocks_are_plausible(job: Job) -> None:
    training = job.training
    assert all(training[name] >= 0 for name in CLOCKS if name != SERVING)
    assert training["communication_seconds"] < training["train_seconds"]
    assert (training["communication_seconds"] > 0) == (training["strategy"] != "single")
    assert training["images_per_second"] == pytest.approx(32 * STEPS / training["train_seconds"])
    assert 0 < training["step_seconds"]["p50"] <= training["step_seconds"]["p90"] <= training["step_seconds"]["p99"]
    seconds = [point["train_seconds"] for point in training["curve"]]
    assert seconds == sorted(seconds)
    assert seconds[-1] == training["train_seconds"]


def test_the_clocks_of_a_replica_explain_its_age(job: Job) -> None:
    for record in job.training["replicas"]:
        in_updates = {"train_seconds"} if SERVING in record["clocks"] else set()
        additive = [name for name, span in CLOCKS.items() if span.part_of is None and name not in in_updates]
        told = sum(record["clocks"].get(name, 0.0) for name in additive)
        assert 0.95 * record["age_seconds"] < told <= record["age_seconds"] + 0.02, record


def test_waiting_is_told_from_transfer_and_the_slowest_from_the_mean(job: Job) -> None:
    training = job.training
    if training["num_ps"]:
        assert training["transfer_seconds"] is None
        workers = [record for record in training["replicas"] if record["type"] == "worker"]
        assert sum(record["num_steps"] for record in workers) == 2 * STEPS
        assert all(record["clocks"]["communication_seconds"] > 0 for record in workers)
        assert all(record["clocks"]["train_seconds"] < record["clocks"]["serve_seconds"] for record in workers)
    else:
        communication = [record["clocks"]["communication_seconds"] for record in training["replicas"]]
        assert 0 <= training["transfer_seconds"] <= min(communication) + 1e-3
        assert 0 < training["mean_compute_seconds"] <= training["slowest_compute_seconds"] < training["train_seconds"]


def test_it_learns(job: Job) -> None:
    assert job.losses == sorted(job.losses, reverse=True)
    assert job.losses[-1] < 0.75 * job.losses[0]
    assert job.training["curve"][-1]["validation_accuracy"] > 0.6


def test_each_replica_leaves_its_record(job: Job) -> None:
    records = {(record["type"], record["index"]): record for record in job.training["replicas"]}
    assert set(records) == set(job.names)
    assert all(record["cpu_seconds"] > 1 and record["peak_rss_bytes"] > 2**27 for record in records.values())
    holders = {name for name, record in records.items() if record["weights_sha256"] is not None}
    assert holders == ({("chief", 0)} if job.training["num_ps"] else set(job.names))
    assert {records[name]["weights_sha256"] for name in holders} == {job.training["weights_sha256"]}
    assert {records[name]["restored_step"] for name in holders} == {0}


def test_it_leaves_the_model_and_its_two_newest_checkpoints(job: Job) -> None:
    assert (job.output_dir / "model.keras").exists()
    assert job.checkpoints() == [126, 189]
    assert not list(job.output_dir.rglob("*partial*"))


def test_all_strategies_start_from_the_same_weights(
    singles: list[Job], all_reduces: list[Job], parameter_server: Job
) -> None:
    jobs = [*singles, *all_reduces, parameter_server]
    assert len({job.training["initial_weights_sha256"] for job in jobs}) == 1


def test_one_seed_gives_the_same_bits_twice(singles: list[Job], all_reduces: list[Job]) -> None:
    for first, second in (singles, all_reduces):
        assert first.training["weights_sha256"] == second.training["weights_sha256"]
        assert first.losses == second.losses


def test_with_the_same_groups_two_workers_end_with_the_bits_of_one(singles: list[Job], all_reduces: list[Job]) -> None:
    assert all_reduces[0].training["weights_sha256"] == singles[0].training["weights_sha256"]


@pytest.mark.parametrize("sizes", [{}, {"worker": 2}])
def test_steps_in_calls_of_several_end_with_the_same_bits_through_checkpoints(
    make_job: Callable[..., Job], singles: list[Job], sizes: dict[str, int]
) -> None:
    options = (*WITH_CHECKPOINTS, "--steps-per-call=7")  # of 63 steps an epoch, cut after each ten
    job = make_job(*options, cluster=make_cluster(**sizes) if sizes else None).run()
    training = job.training
    assert training["weights_sha256"] == singles[0].training["weights_sha256"]
    assert job.losses == singles[0].losses
    assert (training["steps_per_call"], training["traced_steps"], training["steps"]) == (7, 20, STEPS)
    parts = [training[f"{name}_seconds"] for name in ("input", "communication", "update", "mean_compute")]
    if not sizes:
        assert sum(parts) == pytest.approx(training["train_seconds"], abs=1e-3)
        return
    assert 0 < training["transfer_seconds"] <= min(r["clocks"]["communication_seconds"] for r in training["replicas"])
    assert 0 < sum(parts) < 1.5 * training["train_seconds"]


def test_a_worker_of_parameter_servers_makes_every_step_of_a_call_and_tells_each(make_job: Callable[..., Job]) -> None:
    cluster = make_cluster(chief=1, worker=2, ps=1)
    training = make_job(*SETTINGS, "--steps-per-call=7", cluster=cluster).run().training
    workers = [record for record in training["replicas"] if record["type"] == "worker"]
    assert sum(record["num_steps"] for record in workers) == 2 * STEPS
    assert all(record["clocks"]["communication_seconds"] > 0 for record in workers)
    assert (training["steps_per_call"], training["traced_steps"], training["steps"]) == (7, None, STEPS)
    losses = [point["train_loss"] for point in training["curve"]]
    assert losses[-1] < 0.75 * losses[0]


def test_in_half_precision_two_workers_end_with_the_bits_of_one_and_the_record_says_so(
    make_job: Callable[..., Job], singles: list[Job]
) -> None:
    options = (*SETTINGS, "--precision=bfloat16", "--epochs=1")
    one = make_job(*options).run()
    two = make_job(*options, cluster=make_cluster(worker=2)).run()
    assert two.training["weights_sha256"] == one.training["weights_sha256"]
    assert one.training["precision"] == two.training["precision"] == "bfloat16"
    exact = singles[0].losses[0]  # of a longer training, whose learning rate rises more slowly
    assert one.losses[0] == pytest.approx(exact, rel=0.2)


def test_two_workers_learn_what_one_does(singles: list[Job], all_reduces: list[Job]) -> None:
    one, two = singles[0].training["curve"], all_reduces[0].training["curve"]
    for name in ("train_loss", "validation_accuracy"):
        assert [point[name] for point in two] == pytest.approx([point[name] for point in one], rel=1e-4)


def test_a_single_process_that_was_killed_goes_on_to_the_same_bits(
    singles: list[Job], make_job: Callable[..., Job]
) -> None:
    job = make_job(*WITH_CHECKPOINTS)
    with job.start_and_hold() as (replica,):
        replica.kill()
    resumed_at = job.checkpoints()[-1]
    assert 0 < resumed_at < 63  # in the first epoch
    training = job.run().training
    assert training["replicas"][0]["restored_step"] == resumed_at
    assert training["weights_sha256"] == singles[0].training["weights_sha256"]
    assert job.losses == singles[0].losses
    assert training["compile_seconds"] > 0
    assert f"resumed from the checkpoint at step {resumed_at}" in (job.output_dir / "worker-0.log").read_text()


@pytest.mark.parametrize("victim", [0, 1])
def test_workers_of_which_one_was_killed_go_on_together_to_the_same_bits(
    all_reduces: list[Job], make_job: Callable[..., Job], victim: int
) -> None:
    job = make_job(*WITH_CHECKPOINTS, cluster=make_cluster(worker=2))
    with job.start_and_hold() as replicas:
        replicas[victim].kill()
        job.go_on()
        assert replicas[1 - victim].wait() == ExitCode.PEER_LOST
    assert "error: lost contact with another replica: " in replicas[1 - victim].log.read_text()
    resumed_at = job.checkpoints()[-1]
    assert 0 < resumed_at < STEPS
    training = job.run().training
    assert [record["restored_step"] for record in training["replicas"]] == [resumed_at] * 2
    assert [record["weights_sha256"] for record in training["replicas"]] == [training["weights_sha256"]] * 2
    assert training["weights_sha256"] == all_reduces[0].training["weights_sha256"]
    assert job.losses == all_reduces[0].losses


def test_workers_of_which_one_was_asked_to_end_do_so_at_once_and_go_on_to_the_same_bits(
    all_reduces: list[Job], make_job: Callable[..., Job]
) -> None:
    job = make_job(*WITH_CHECKPOINTS, cluster=make_cluster(worker=2))
    with job.start_and_hold() as replicas:
        replicas[1].process.terminate()
        assert replicas[1].wait() == -signal.SIGTERM  # though it waits for its peer, which goes on only then
        job.go_on()
        assert replicas[0].wait() == ExitCode.PEER_LOST
    assert job.run().training["weights_sha256"] == all_reduces[0].training["weights_sha256"]


def test_the_chief_of_a_parameter_server_job_goes_on_from_its_checkpoint(make_job: Callable[..., Job]) -> None:
    job = make_job(*WITH_CHECKPOINTS, cluster=make_cluster(chief=1, worker=1, ps=1))
    with job.start_and_hold() as (chief, worker, ps):
        chief.kill()
        job.go_on()
        resumed_at = job.checkpoints()[-1]
        with job.start_replica("chief", 0) as again:
            assert [replica.wait() for replica in (again, worker, ps)] == [0, 0, 0], again.log.read_text()
    assert job.training["steps"] == STEPS
    assert job.training["replicas"][0]["restored_step"] == resumed_at
    assert job.losses[-1] < job.losses[0]


def test_a_replica_that_waits_for_another_in_vain_ends_once_its_launcher_is_gone(make_job: Callable[..., Job]) -> None:
    impatient = "import sys; from model import train; train.PATIENCE_SECONDS = 20; sys.exit(train.main())"
    job = make_job("--heartbeat-file=none", cluster=make_cluster(worker=2))
    with job.start_replica("worker", 0, program=("-c", impatient)) as lonely:
        assert lonely.wait() == ExitCode.LAUNCHER_GONE
    assert "error: the launcher has not renewed none for 20 s" in lonely.log.read_text()


def test_what_stops_a_training_is_told_in_one_line_with_its_exit_code(make_job: Callable[..., Job]) -> None:
    jobs = [
        make_job(*SETTINGS, "--learning-rate=1e30"),
        make_job("--model=tests.model.builders:wrong_output"),
    ]
    with ExitStack() as stack:
        replicas = [stack.enter_context(job.start())[0] for job in jobs]
        codes = [replica.wait() for replica in replicas]
    assert codes == [ExitCode.DIVERGED, ExitCode.USER_ERROR] == [3, 2]
    diverged, wrong_output = (replica.log.read_text() for replica in replicas)
    assert re.search(
        r"^error: The loss became (nan|inf) at step \d+\. Try a lower learning_rate", diverged, re.MULTILINE
    )
    assert re.search(r"^error: Model '.*' must return logits of shape \(None, 10\)", wrong_output, re.MULTILINE)
    for log in (diverged, wrong_output):
        assert "Traceback" not in log
        assert len(re.findall("^error: ", log, re.MULTILINE)) == 1
    assert not [path for job in jobs for path in job.output_dir.glob("training.json")]


@pytest.mark.parametrize("sizes", [{}, {"worker": 2}, {"chief": 1, "worker": 1, "ps": 1}])
def test_a_subclassed_model_of_a_module_that_runs_tensorflow_when_it_is_imported_is_trained(
    make_job: Callable[..., Job], sizes: dict[str, int]
) -> None:
    options = ("--model=tests.model.eager:build", "--global-batch-size=256", "--epochs=1")
    job = make_job(*options, cluster=make_cluster(**sizes) if sizes else None).run()
    assert job.training["steps"] == 2017 // 256
    assert (job.output_dir / "model.keras").exists()


def test_what_a_builder_raises_is_one_line_before_anything_is_trained(make_job: Callable[..., Job]) -> None:
    job = make_job("--model=tests.model.builders:raising")
    with job.start() as (replica,):
        assert replica.wait() == ExitCode.USER_ERROR
    log = replica.log.read_text()
    assert "error: Model 'tests.model.builders:raising' could not be built with {}: RuntimeError: no weights" in log
    assert "Traceback" not in log
