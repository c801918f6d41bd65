"""What goes wrong on clusters: each ends in an error that says so, soon, and leaves nothing behind."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.cluster.site import ClusterSite, Namespace
from tests.conformance.job_run import JobRun
from tfjob.backend import Event, StatusChanged
from tfjob.cluster.api import Cluster
from tfjob.cluster.backend import KubernetesBackend
from tfjob.errors import JobCancelled, JobDeadlineExceeded, JobExists, JobFailed, JobNotStarted, SpecError
from tfjob.spec import ReplicaSpec

FOREVER = "print('pid', os.getpid()); time.sleep(600)"


@pytest.fixture
def cluster(namespace: Namespace) -> Cluster:
    return namespace.cluster()


@pytest.fixture
def run_impatiently(cluster_site: ClusterSite, tmp_path: Path) -> JobRun:
    """Runs a job that cannot start, and is given up sooner than others."""
    return JobRun(replace(cluster_site, pending_seconds=40.0), tmp_path / "logs")


def test_an_image_that_is_missing_is_told_with_the_kubelets_words(run_impatiently: JobRun, cluster: Cluster) -> None:
    with pytest.raises(JobNotStarted, match=r"worker-0: (ErrImagePull|ImagePullBackOff).*registry\.invalid"):
        run_impatiently("", image="registry.invalid/nobody/nothing:1")
    assert cluster.list_objects("tfjobs")["items"] == []


def test_an_image_name_that_is_none_is_told_at_once(
    cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path
) -> None:
    manifest = cluster_site.make("", image="Not A Name")
    began = time.monotonic()
    with pytest.raises(JobNotStarted, match="InvalidImageName"):
        KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path, on_event=print)
    assert time.monotonic() - began < 50  # a doubt is borne for a minute


def test_a_replica_that_fits_no_node_is_told_with_the_schedulers_words(
    run_impatiently: JobRun, cluster: Cluster
) -> None:
    with pytest.raises(JobNotStarted, match=r"worker-0: Unschedulable: .*Insufficient cpu"):
        run_impatiently("", replicas={"Worker": ReplicaSpec(cpus=500)})
    assert "Queued" in run_impatiently.statuses()
    assert cluster.list_objects("tfjobs")["items"] == []


def test_a_replica_that_needs_too_much_memory_is_told_of_its_limit(run_job: JobRun) -> None:
    code = "print('filling', flush=True); data = [b'x' * 2**20 for _ in range(300)]; time.sleep(60)"
    with pytest.raises(JobFailed, match=r"worker-0: OOMKilled: it needed more than its memory limit 64Mi") as caught:
        run_job(code, replicas={"Worker": ReplicaSpec(cpus=0.1, memory="64Mi")}, restart_policy="ExitCode")
    assert caught.value.exit_code == 137
    assert caught.value.last_lines[-1:] == ("filling",)


def test_a_volume_that_is_missing_is_told(run_impatiently: JobRun) -> None:
    volume = {"name": "kfp-workspace", "persistentVolumeClaim": {"claimName": "nothing"}}
    with pytest.raises(JobNotStarted, match='persistentvolumeclaim "nothing" not found'):
        run_impatiently("", volumes=(volume,))


def test_a_pod_that_the_namespace_forbids_is_told_at_once(
    cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path
) -> None:
    manifest = cluster_site.make("")
    manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0].pop("securityContext")
    began = time.monotonic()
    with pytest.raises(JobNotStarted, match="violates PodSecurity"):
        KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path, on_event=print)
    assert time.monotonic() - began < 50  # a doubt is borne for a minute


def test_a_bad_job_is_refused_before_it_is_sent(cluster_site: ClusterSite, cluster: Cluster) -> None:
    with pytest.raises(SpecError, match="name must be a DNS-1035 label"):
        cluster_site.make("", name="Not-A-Label")
    assert cluster.list_objects("tfjobs")["items"] == []


def test_what_only_the_webhook_finds_is_a_bad_job_too(
    cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path
) -> None:
    manifest = cluster_site.make("")
    manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]["name"] = "other"
    manifest["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"].append(
        {"name": "tensorflow", "command": [], "env": [], "resources": {"limits": {"cpu": "1"}}}
    )
    with pytest.raises(SpecError, match="The cluster rejected job mnist"):
        KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path, on_event=print)


def test_a_foreign_job_of_the_same_name_is_left_alone(
    cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path
) -> None:
    manifest = cluster_site.make("time.sleep(600)")
    foreign = cluster.create_job(manifest)
    with pytest.raises(JobExists, match="Another TFJob named mnist exists"):
        KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path, on_event=print)
    assert cluster.get_job("mnist")["metadata"]["uid"] == foreign["metadata"]["uid"]


def test_a_job_that_failed_is_kept_where_that_was_asked_for(
    cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path
) -> None:
    manifest = cluster_site.make(FOREVER, active_deadline_seconds=12)
    events: list[Event] = []
    backend = KubernetesBackend(cluster=cluster, keep_failed=True)
    with pytest.raises(JobDeadlineExceeded):
        backend.run(manifest, log_dir=tmp_path, on_event=events.append)
    conditions = {item["type"] for item in cluster.get_job("mnist")["status"]["conditions"]}
    assert "Failed" in conditions
    cluster_site.namespace.wait_until_gone("pods", "training.kubeflow.org/job-name=mnist", 300)


def test_a_suspended_job_waits_for_its_queue_and_runs_once_admitted(run_job: JobRun, cluster: Cluster) -> None:
    def admit() -> None:
        while "Queued" not in run_job.statuses():
            time.sleep(0.2)
        time.sleep(3)
        cluster.patch_job("mnist", {"spec": {"runPolicy": {"suspend": False}}})

    thread = threading.Thread(target=admit)
    thread.start()
    result = run_job("print('admitted')", suspend=True)
    thread.join()
    assert run_job.lines("worker-0") == ["admitted"]
    assert result.queue_seconds > 2


def test_a_job_that_somebody_deletes_is_told(run_job: JobRun, namespace: Namespace) -> None:
    with pytest.raises(JobCancelled, match="was deleted by somebody else"):
        run_job(FOREVER, on_line=lambda _: namespace.kubectl("delete", "tfjob", "mnist", "--wait=false"))


def test_two_jobs_run_in_one_namespace_at_once(cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path) -> None:
    code = "print(role, json.dumps(config)); time.sleep(2)"

    def run(name: str) -> str:
        manifest = cluster_site.make(code, name=name, workers=2, success_policy="AllWorkers")
        events: list[Event] = []
        KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path / name, on_event=events.append)
        assert [event.status for event in events if isinstance(event, StatusChanged)][-1] == "Succeeded"
        return (tmp_path / name / "worker-1.log").read_text()

    with ThreadPoolExecutor() as pool:
        first, second = pool.map(run, ["first", "second"])
    assert "first-worker-0" in first
    assert "second" not in first
    assert "second-worker-0" in second


def test_an_adopted_job_is_followed_to_its_end(cluster_site: ClusterSite, cluster: Cluster, tmp_path: Path) -> None:
    code = "print('begun', flush=True); time.sleep(20); print('done')"
    manifest = cluster_site.make(code, active_deadline_seconds=600)
    first = KubernetesBackend(cluster=cluster)
    thread = threading.Thread(target=lambda: first.run(manifest, log_dir=tmp_path / "1", on_event=lambda _: None))
    thread.start()
    while not (tmp_path / "1" / "worker-0.log").exists():
        time.sleep(0.2)
    events: list[Event] = []
    KubernetesBackend(cluster=cluster).run(manifest, log_dir=tmp_path / "2", on_event=events.append)
    thread.join()
    assert "taken over" in getattr(events[0], "message", "")
    assert (tmp_path / "2" / "worker-0.log").read_text() == "begun\ndone\n"
