from functools import partial
from pathlib import Path

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import (
    AWAY,
    JOB,
    ended,
    job_json,
    pod_event,
    pod_json,
    refusal,
    running,
    unschedulable,
    waiting,
)
from tfjob.backend import LogLine
from tfjob.cluster.submission import own_manifest
from tfjob.errors import (
    ClusterRefused,
    JobDeadlineExceeded,
    JobNotStarted,
    ReplicaLost,
    SpecError,
)
from tfjob.job import FOREIGN_ANNOTATION
from tfjob.launcher import read_boot_id
from tfjob.settings import Overlay
from tfjob.signs import SIGNS_VARIABLE
from tfjob.spec import ReplicaSpec

PULLED = 'Successfully pulled image "x:1" in 12.5s (12.5s including waiting). Image size: 5 bytes.'


def test_a_job_that_succeeds_tells_each_step_and_leaves_nothing(run: ClusterRun) -> None:
    run.pass_seconds("Pulling", 30)
    run.cluster.say_job("Created")
    run.say(unschedulable("worker-0"), waiting("worker-1", "ContainerCreating"))
    run.say(waiting("worker-0", "ContainerCreating"))
    run.cluster.say("events", pod_event("worker-1", "Pulling", 'Pulling image "x:1"'))
    run.cluster.say("events", pod_event("worker-1", "Pulled", PULLED))
    run.say(running("worker-1"), running("worker-0"))
    run.log("worker-0", "hello")
    run.log("worker-1", "there")
    run.succeed()
    result = run()
    assert run.messages() == [
        "job mnist in namespace default: worker-0, worker-1",
        "worker-0: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu.",
        'worker-1: Pulling image "x:1"',
        "2/2 replicas of job mnist run",
        "job mnist succeeded in 30.0 s",
    ]
    assert run.statuses() == ["Created", "Queued", "Pulling", "Running", "Succeeded"]
    assert (run.log_dir / "worker-0.log").read_text() == "hello\n"
    assert (result.backend, result.pull_seconds, result.total_seconds) == ("kubernetes", 12.5, 30.0)
    assert [(replica.name, replica.exit_code, replica.restarts) for replica in result.replicas] == [
        ("worker-0", 0, 0),
        ("worker-1", 0, 0),
    ]
    assert result.replicas[0].ended_at - result.replicas[0].started_at == 8.0
    assert run.cluster.jobs == {}


def test_a_result_has_each_replicas_node_the_images_digest_and_two_readings_of_a_clock_that_nobody_sets(
    run: ClusterRun,
) -> None:
    run.pass_seconds("Running", 30)
    run.say(running("worker-0", node="node-1"), running("worker-1", node="node-2"))
    run.say(ended("worker-0", node="node-1"), ended("worker-1", node="node-2"))
    run.cluster.say_job("Succeeded")
    result = run()
    assert [replica.node for replica in result.replicas] == ["node-1", "node-2"]
    assert (result.image_digest, result.warnings) == ("sha256:1234", [])
    assert (result.started_monotonic, result.ended_monotonic) == (1000.0, 1030.0)
    assert (result.boot_id, result.gpus_held) == (read_boot_id(), 0)


def test_replicas_of_different_images_are_told_of(run: ClusterRun) -> None:
    moved = "registry.example/x@sha256:5678"  # a tag that was moved between two pulls
    run.say(running("worker-0"), running("worker-1", image_id=moved))
    run.say(ended("worker-0"), ended("worker-1", image_id=moved))
    run.cluster.say_job("Succeeded")
    result = run()
    assert result.image_digest == "sha256:1234, sha256:5678"
    assert result.warnings == ["the replicas ran different images: sha256:1234, sha256:5678"]


def test_logs_of_an_earlier_try_are_replaced(single: ClusterRun) -> None:
    single.log_dir.mkdir()
    (single.log_dir / "worker-0.log").write_text("old\n")
    single.say(running("worker-0"))
    single.log("worker-0", "new")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert (single.log_dir / "worker-0.log").read_text() == "new\n"


def test_an_earlier_trys_job_is_taken_over(run: ClusterRun) -> None:
    annotations = own_manifest(run.manifest, None)["metadata"]["annotations"]
    run.cluster.jobs[JOB] = job_json("Running", uid="job-0", annotations=annotations)
    for name in ("worker-0", "worker-1"):
        run.cluster.pods[f"pod-{name}"] = running(name, job_uid="job-0")
    run.log("worker-0", "hello")
    run.say(ended("worker-0", job_uid="job-0"), ended("worker-1", job_uid="job-0"))
    run.cluster.say_job("Succeeded", uid="job-0")
    run()
    assert run.messages()[0] == "job mnist exists from an earlier try of this step; taken over: worker-0, worker-1"
    assert run.statuses() == ["Created", "Running", "Succeeded"]
    assert run.cluster.called("delete_job") == [[JOB, "job-0"]]


def test_a_rejected_job_fails_at_once(run: ClusterRun) -> None:
    run.cluster.fail("create_job", refusal(400, "spec is invalid"))
    with pytest.raises(SpecError):
        run()
    assert run.messages() == ["The cluster rejected job mnist: spec is invalid"]
    assert run.statuses() == ["Failed"]


def test_pods_of_an_earlier_job_of_that_name_are_ignored(run: ClusterRun) -> None:
    run.cluster.pods["old"] = ended("worker-0", 137, reason="OOMKilled", uid="old", job_uid="job-0")
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "hello")
    run.succeed()
    assert [replica.restarts for replica in run().replicas] == [0, 0]
    assert [arguments[0] for arguments in run.cluster.called("follow_log")].count("mnist-worker-0") <= 2


def test_a_pod_of_a_replica_that_the_job_does_not_have_is_ignored(single: ClusterRun) -> None:
    single.say(running("worker-7"), running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert [replica.name for replica in single().replicas] == ["worker-0"]


def test_events_about_others_are_ignored(single: ClusterRun) -> None:
    other = pod_event("worker-0", "Pulling", "x")
    other["involvedObject"] = {"kind": "Pod", "name": "other-worker-0"}
    bare = pod_event("worker-0", "Odd", "an event without a type")
    del bare["type"]
    for event in (other, bare, {**other, "involvedObject": {}}):
        single.cluster.say("events", event)
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert single.statuses() == ["Created", "Running", "Succeeded"]


def test_of_many_replicas_that_run_longer_than_the_deadline_the_last_line_of_each_is_told(run: ClusterRun) -> None:
    run.change(replicas={"Worker": ReplicaSpec(count=64)})
    run.say(*(running(f"worker-{index}") for index in range(64)))
    for index in range(64):
        run.log(f"worker-{index}", f"{index} begins", 3)
        run.log(f"worker-{index}", f"{index} goes on", 4)
    run.pass_seconds("63 goes on", 900)
    with pytest.raises(JobDeadlineExceeded) as caught:
        run()
    (_, *quoted) = str(caught.value).splitlines()
    assert quoted[1::2] == [f"  {index} goes on" for index in range(64)]


def test_a_suspended_job_waits_without_limit_and_its_deadline_begins_with_its_admission(single: ClusterRun) -> None:
    single.pass_seconds("Queued", 1_000_000)
    single.pass_seconds("early", 899)
    single.pass_seconds("late", 1)
    single.cluster.say_job("Created", suspend=True)
    single.cluster.say_job("Created", "Suspended", suspend=True)
    single.cluster.say_job("Created", suspend=False)
    single.say(running("worker-0"))
    single.log("worker-0", "early", 1)
    single.log("worker-0", "still running", 2)
    single.log("worker-0", "late", 3)
    with pytest.raises(JobDeadlineExceeded) as caught:
        single()
    assert str(caught.value) == (
        "Job mnist ran longer than its deadline of 900 s.\nLast lines of worker-0:\n  early\n  still running\n  late"
    )
    assert single.statuses() == ["Created", "Queued", "Running", "Failed"]
    assert single.cluster.jobs == {}


def test_a_state_of_an_earlier_job_of_that_name_is_ignored(single: ClusterRun) -> None:
    single.cluster.say_job("Failed", uid="job-0")
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().job_name == JOB


def test_a_job_that_cannot_be_deleted_is_told(single: ClusterRun) -> None:
    single.cluster.fail("delete_job", AWAY, times=1000)
    single.say(running("worker-0"), ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert single.messages()[-1] == "job mnist could not be deleted: it goes with this step's pod, or by its TTL"


def test_an_api_server_that_is_away_meanwhile_is_no_matter(single: ClusterRun) -> None:
    single.cluster.fail("list tfjobs", AWAY)
    single.cluster.fail("delete_job", AWAY, refusal(503, "starting"))
    single.say(running("worker-0"))
    for stream in ("pods", "tfjobs", "events"):
        single.cluster.say(stream, AWAY)
    single.log("worker-0", "hello")
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    single()
    assert LogLine("worker-0", "hello") in single.events
    assert single.cluster.jobs == {}


def test_a_right_that_is_missing_names_the_manifests(single: ClusterRun) -> None:
    single.cluster.fail("list events", refusal(403, "cannot list resource events"), times=1000)
    with pytest.raises(ClusterRefused, match=r"watch events: cannot list resource events.*manifests/"):
        single(refusal_patience_seconds=0.0)
    assert single.cluster.jobs == {}


def test_a_persons_job_that_is_measured_without_one_of_its_replicas_has_not_run(run: ClusterRun) -> None:
    run.change(overlays=[Overlay(job={"metadata": {"annotations": {FOREIGN_ANNOTATION: "true"}}})])
    run.say(running("worker-0"), pod_json("worker-1", "Pending"))
    run.log("worker-0", "step 5")
    run.pass_seconds("step 5", 1)
    with pytest.raises(JobNotStarted, match=r"It ended without a replica that never ran \| worker-1: Pending"):
        run(is_measured=lambda: any(isinstance(event, LogLine) for event in run.events))
    assert run.cluster.jobs == {}


def test_a_replica_that_gives_no_sign_of_life_is_lost_by_name(run: ClusterRun, tmp_path: Path) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    run.change(env={SIGNS_VARIABLE: str(signs)})
    lines = [f"step {number}" for number in range(20)]

    def write_life(number: int) -> None:
        (signs / "worker-0.life").write_text(f"{number} running {number * 5}\n")
        (signs / "worker-1.life").write_text(f"{min(number, 2)} running {number * 5}\n")
        run.clock.sleep(5)

    run.say(running("worker-0", node="node-1"), running("worker-1", node="node-2"))
    for number, line in enumerate(lines):
        run.on(line, partial(write_life, number))
        run.log("worker-0", line, second=3 + number)
    with pytest.raises(ReplicaLost, match=r"worker-1: worker-1 on node node-2: no sign of life for 30 s; frozen, or "):
        run()
    assert run.cluster.jobs == {}


def test_who_ends_for_a_peer_that_gives_no_sign_of_life_is_told_with_the_peers_name(
    run: ClusterRun, tmp_path: Path
) -> None:
    signs = tmp_path / "signs"
    signs.mkdir()
    run.change(env={SIGNS_VARIABLE: str(signs)})

    def write_life(number: int) -> None:
        (signs / "worker-0.life").write_text(f"{number} running {number * 5}\n")
        (signs / "worker-1.life").write_text(f"7 {'stopped' if number else 'running'} 1\n")
        run.clock.sleep(5)

    run.say(running("worker-0"), running("worker-1"))
    for number in range(3):
        run.on(f"step {number}", partial(write_life, number))
        run.log("worker-0", f"step {number}", second=3 + number)
    run.say(ended("worker-0", 138), running("worker-0", uid="second", second=20))
    run.say(ended("worker-0", uid="second", second=20, at=30), ended("worker-1"))
    run.cluster.say_job("Succeeded")
    run()
    stopped = "worker-1 gave no sign of life for 10 s, its process is stopped"
    assert f"worker-0 ended (exit code 138; {stopped}); restart 1" in run.messages()
