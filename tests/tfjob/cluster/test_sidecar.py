from collections.abc import Callable
from typing import Any

import pytest

from tests.tfjob.cluster_run import ClusterRun
from tests.tfjob.fake_cluster import end_json, ended, pod_json, running
from tfjob.backend import LogLine, Warned
from tfjob.cluster.pods import read_pod
from tfjob.cluster.sidecar import describe_hold
from tfjob.errors import JobFailed
from tfjob.settings import of_pods

Json = dict[str, Any]
LINKERD = (
    "its pod is kept running by the container linkerd-proxy, which something in the cluster injected; switch the "
    'injection off with job_settings {"annotations": {"linkerd.io/inject": "disabled"}}'
)


def held(replica: str, exit_code: int = 0, sidecar: str = "linkerd-proxy") -> Json:
    pod = pod_json(replica, "Running", state={"terminated": end_json(exit_code)})
    return beside(pod, sidecar)


def beside(pod: Json, sidecar: str = "linkerd-proxy") -> Json:
    beside_it = {"name": sidecar, "restartCount": 0, "state": {"running": {"startedAt": "2026-11-23T12:00:02Z"}}}
    pod["status"]["containerStatuses"].append(beside_it)
    return pod


def let_time_pass(run: ClusterRun, seconds: float) -> None:
    """Lets time pass while the launcher listens, with what it hears of a replica that has no matter."""
    run.pass_seconds("Pulling", seconds)
    event = {"kind": "Pod", "name": "mnist-worker-0"}
    run.cluster.say(
        "events",
        {
            "metadata": {"name": "e", "uid": "e", "resourceVersion": "9"},
            "involvedObject": event,
            "reason": "Pulling",
            "message": "x",
            "type": "Normal",
        },
    )


def warnings(run: ClusterRun) -> list[str]:
    return [event.message for event in run.events if isinstance(event, Warned)]


def test_a_job_whose_trainings_have_ended_well_is_done_whatever_else_runs_in_its_pods(run: ClusterRun) -> None:
    run.say(beside(running("worker-0")), beside(running("worker-1")))
    run.log("worker-0", "trained")
    run.say(held("worker-0"), held("worker-1"))
    let_time_pass(run, 31)
    result = run()
    assert warnings(run) == [f"worker-0 has ended (exit code 0), but {LINKERD}"]
    assert run.statuses()[-1] == "Succeeded"
    assert [replica.exit_code for replica in result.replicas] == [0, 0]
    assert result.total_seconds == 0.0  # the patience is no time of the job's
    assert run.cluster.jobs == {}


def test_a_replica_that_failed_beside_a_container_that_runs_on_ends_the_job_with_its_exit_code(run: ClusterRun) -> None:
    run.change(restart_policy="ExitCode")
    run.say(beside(running("worker-0")), beside(running("worker-1")))
    run.log("worker-1", "ValueError: wrong")
    run.say(held("worker-1", 2))
    let_time_pass(run, 31)
    with pytest.raises(JobFailed) as caught:
        run()
    assert str(caught.value) == (
        f"Job mnist failed: worker-1: exit code 2, restart policy ExitCode; {LINKERD}.\n"
        "Last lines of worker-1:\n  ValueError: wrong"
    )
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", 2)
    assert run.cluster.jobs == {}


def test_a_container_that_ends_a_little_later_is_no_matter(single: ClusterRun) -> None:
    single.say(beside(running("worker-0")), held("worker-0"))
    let_time_pass(single, 20)
    single.say(ended("worker-0"))
    single.cluster.say_job("Succeeded")
    assert single().total_seconds == 20.0
    assert warnings(single) == []


def test_a_replica_that_others_do_not_wait_for_may_be_held_while_they_train(run: ClusterRun) -> None:
    run.say(beside(running("worker-0")), beside(running("worker-1")), held("worker-1"))
    let_time_pass(run, 100)
    run.log("worker-0", "still training")
    run.say(held("worker-0"), ended("worker-0"), ended("worker-1"))
    run.cluster.say_job("Succeeded")
    assert run().total_seconds == 100.0
    assert warnings(run) == [f"worker-1 has ended (exit code 0), but {LINKERD}"]


@pytest.mark.parametrize("make_pod", [lambda: beside(running("worker-0")), lambda: ended("worker-0")])
def test_a_pod_is_held_only_while_its_own_container_has_ended_and_another_runs(make_pod: Callable[[], Json]) -> None:
    assert read_pod(make_pod()).held_by == ()


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        (["vault-agent"], 'job_settings {"annotations": {"vault.hashicorp.com/agent-inject": "false"}}'),
        (["fluent-bit"], "off by the label or annotation that the manual of what injects it names, in job_settings"),
        (
            ["istio-proxy", "fluent-bit"],
            'with job_settings {"labels": {"sidecar.istio.io/inject": "false"}}, for fluent-bit by the label',
        ),
    ],
)
def test_how_to_have_pods_without_a_container_is_told_by_its_name(containers: list[str], words: str) -> None:
    assert words in describe_hold(containers)


def test_a_container_of_the_manifest_itself_is_nothing_to_switch_off(run: ClusterRun) -> None:
    run.change(overlays=[of_pods(containers=[{"name": "log", "image": "log:1"}])])
    run.say(beside(running("worker-0"), "log"), beside(running("worker-1"), "log"))
    run.say(held("worker-0", sidecar="log"), held("worker-1", sidecar="log"))
    let_time_pass(run, 6)
    assert run().total_seconds == 0.0
    (told,) = warnings(run)
    assert told == "worker-0 has ended (exit code 0), but its pod is kept running by log, which goes with the job"


def test_a_measured_job_is_deleted_and_has_succeeded(run: ClusterRun) -> None:
    run.say(running("worker-0"), running("worker-1"))
    run.log("worker-0", "step 5")
    run.pass_seconds("step 5", 1)
    result = run(is_measured=lambda: any(isinstance(event, LogLine) for event in run.events))
    assert result.was_ended
    assert [replica.exit_code for replica in result.replicas] == [None, None]
    assert run.statuses()[-1] == "Succeeded"
    assert run.cluster.jobs == {}
