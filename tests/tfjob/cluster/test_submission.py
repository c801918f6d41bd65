from collections.abc import Callable
from typing import Any

import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_cluster import JOB, JOB_UID, FakeClock, FakeCluster, job_json, refusal, running
from tfjob.cluster.submission import (
    MANIFEST_ANNOTATION,
    Submission,
    delete_left_jobs,
    list_unfinished_jobs,
    own_manifest,
)
from tfjob.errors import ClusterRefused, JobExists, SpecError

MakeJob = Callable[..., dict[str, Any]]
OWNER = {"apiVersion": "v1", "kind": "Pod", "name": "step", "uid": "step-1"}
AWAY = ProtocolError("connection refused")


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def manifest(make_job: MakeJob) -> dict[str, Any]:
    return make_job("pass")


@pytest.fixture
def submission(cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock) -> Submission:
    return make_submission(cluster, manifest, clock)


def make_submission(
    cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock, pause: Callable[[float], object] | None = None
) -> Submission:
    return Submission(cluster, manifest, OWNER, clock=clock, pause=pause or clock.sleep, sleep=clock.sleep)


def existing_job(manifest: dict[str, Any], *conditions: str, **more: Any) -> dict[str, Any]:
    annotations = own_manifest(manifest, OWNER)["metadata"]["annotations"]
    return job_json(*conditions, uid="job-0", **{"annotations": annotations, **more})


def test_a_new_job_is_created_with_its_digest_and_owner(submission: Submission, cluster: FakeCluster) -> None:
    assert not submission.submit()
    assert submission.uid == JOB_UID
    metadata = cluster.jobs[JOB]["metadata"]
    assert len(metadata["annotations"][MANIFEST_ANNOTATION]) == 64
    assert metadata["ownerReferences"] == [OWNER]


def test_a_job_without_an_owner_has_none(manifest: dict[str, Any]) -> None:
    assert "ownerReferences" not in own_manifest(manifest, None)["metadata"]
    assert "ownerReferences" not in manifest["metadata"]


def test_two_manifests_have_two_digests(make_job: MakeJob) -> None:
    first, second = (own_manifest(make_job(code), OWNER) for code in ("pass", "print()"))
    assert first["metadata"]["annotations"] != second["metadata"]["annotations"]


def test_an_earlier_trys_job_is_taken_over_and_gets_this_step_as_another_owner(
    submission: Submission, cluster: FakeCluster, manifest: dict[str, Any]
) -> None:
    earlier = {**OWNER, "uid": "step-0"}
    cluster.jobs[JOB] = existing_job(manifest, "Running", ownerReferences=[earlier])
    assert submission.submit()
    assert submission.uid == "job-0"
    assert cluster.called("patch_job") == [[JOB, {"metadata": {"uid": "job-0", "ownerReferences": [earlier, OWNER]}}]]


def test_a_job_whose_creation_was_answered_by_nobody_is_taken_over_as_it_is(
    submission: Submission, cluster: FakeCluster, manifest: dict[str, Any]
) -> None:
    cluster.jobs[JOB] = existing_job(manifest, ownerReferences=[OWNER])
    cluster.fail("create_job", AWAY)
    assert submission.submit()
    assert cluster.called("patch_job") == []


def test_another_job_of_that_name_is_left_alone(submission: Submission, cluster: FakeCluster) -> None:
    cluster.jobs[JOB] = job_json("Running", uid="job-0", annotations={MANIFEST_ANNOTATION: "other"})
    with pytest.raises(JobExists, match="kubectl --namespace default delete tfjob mnist"):
        submission.submit()
    assert submission.delete()
    assert JOB in cluster.jobs


def test_a_job_that_is_being_deleted_is_waited_for(
    cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock
) -> None:
    cluster.jobs[JOB] = existing_job(manifest, deletionTimestamp="2026-11-23T12:00:00Z")
    submission = make_submission(cluster, manifest, clock, pause=lambda _: cluster.jobs.clear())
    assert not submission.submit()
    assert submission.uid == JOB_UID


def test_a_job_whose_deletion_never_ends_is_waited_for_a_while(
    submission: Submission, cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock
) -> None:
    cluster.jobs[JOB] = existing_job(manifest, deletionTimestamp="2026-11-23T12:00:00Z")
    with pytest.raises(ClusterRefused, match="TFJob mnist is being deleted and does not go"):
        submission.submit()
    assert clock.now == 1090.0


def test_an_earlier_trys_job_that_failed_is_replaced(
    submission: Submission, cluster: FakeCluster, manifest: dict[str, Any]
) -> None:
    cluster.jobs[JOB] = existing_job(manifest, "Failed")
    assert not submission.submit()
    assert submission.uid == JOB_UID
    assert cluster.called("delete_job") == [[JOB, "job-0"]]


@pytest.mark.parametrize("call", ["get_job", "delete_job", "patch_job"])
def test_a_job_that_goes_while_it_is_looked_at_is_created(
    call: str, cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock
) -> None:
    conditions = ["Failed"] if call == "delete_job" else []
    cluster.jobs[JOB] = existing_job(manifest, *conditions)
    cluster.fail(call, refusal(404, "not found"))
    assert not make_submission(cluster, manifest, clock, pause=lambda _: cluster.jobs.clear()).submit()


@pytest.mark.parametrize(
    "error",
    [
        refusal(400, "spec.tfReplicaSpecs is invalid"),
        refusal(422, "spec.tfReplicaSpecs is invalid"),
        refusal(403, "admission webhook denied the request: spec.tfReplicaSpecs is invalid"),
    ],
)
def test_a_job_that_is_rejected_is_wrong(error: Exception, submission: Submission, cluster: FakeCluster) -> None:
    cluster.fail("create_job", error)
    with pytest.raises(SpecError, match=r"The cluster rejected job mnist: .*spec.tfReplicaSpecs is invalid"):
        submission.submit()


@pytest.mark.parametrize("status", [401, 403])
def test_a_step_without_rights_is_told_where_they_are(
    status: int, submission: Submission, cluster: FakeCluster
) -> None:
    cluster.fail("create_job", refusal(status, "cannot create resource tfjobs"))
    with pytest.raises(ClusterRefused, match=r"cannot create resource tfjobs.*manifests/") as caught:
        submission.submit()
    assert "python -m tfjob.preflight" in str(caught.value)


def test_a_cluster_without_the_operator_is_told_how_to_install_it(submission: Submission, cluster: FakeCluster) -> None:
    cluster.fail("create_job", refusal(404, "page not found"))
    with pytest.raises(ClusterRefused, match=r"page not found\). Install the training operator: kubectl apply"):
        submission.submit()


@pytest.mark.parametrize("error", [AWAY, refusal(500, "failed calling webhook"), refusal(429, "slow down")])
def test_what_may_pass_is_tried_again(
    error: Exception, submission: Submission, cluster: FakeCluster, clock: FakeClock
) -> None:
    cluster.fail("create_job", error, times=4)
    assert not submission.submit()
    assert clock.now == 1002.0


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (refusal(500, "failed calling webhook"), "The cluster did not take job mnist: failed calling webhook"),
        (AWAY, "The API server cannot be reached: connection refused"),
    ],
)
def test_what_does_not_pass_is_told(
    error: Exception, message: str, submission: Submission, cluster: FakeCluster, clock: FakeClock
) -> None:
    cluster.fail("create_job", error, times=1000)
    with pytest.raises(ClusterRefused, match=message):
        submission.submit()
    assert clock.now == 1090.0


def test_a_signal_ends_the_tries(cluster: FakeCluster, manifest: dict[str, Any], clock: FakeClock) -> None:
    def pause(_seconds: float) -> None:
        raise KeyboardInterrupt

    cluster.fail("create_job", AWAY)
    with pytest.raises(KeyboardInterrupt):
        make_submission(cluster, manifest, clock, pause).submit()


def test_a_job_that_was_never_created_needs_no_deletion(submission: Submission, cluster: FakeCluster) -> None:
    assert submission.delete()
    assert cluster.calls == []


def test_a_deletion_waits_until_no_replica_runs(cluster: FakeCluster, manifest: dict[str, Any]) -> None:
    class Clock(FakeClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if self.now == 1003.0:
                cluster.pods.clear()

    clock = Clock()
    cluster.are_pods_left = True
    cluster.pods["p"] = running("worker-0")
    cluster.fail("list pods", AWAY, refusal(500, "etcd"))
    submission = make_submission(cluster, manifest, clock)
    submission.submit()
    assert submission.delete()
    assert cluster.jobs == {}
    assert clock.now == 1003.0


def test_a_replica_that_does_not_end_is_not_waited_for_longer_than_half_a_minute(
    submission: Submission, cluster: FakeCluster, clock: FakeClock
) -> None:
    cluster.are_pods_left = True
    cluster.pods["p"] = running("worker-0")
    submission.submit()
    assert submission.delete()
    assert clock.now == 1030.0


@pytest.mark.parametrize("error", [AWAY, refusal(500, "etcd"), refusal(429, "slow down")])
def test_a_deletion_is_tried_again(error: Exception, submission: Submission, cluster: FakeCluster) -> None:
    submission.submit()
    cluster.fail("delete_job", error, times=3)
    assert submission.delete()
    assert cluster.jobs == {}


@pytest.mark.parametrize("status", [404, 409])
def test_a_job_that_somebody_else_deleted_or_replaced_is_gone(
    status: int, submission: Submission, cluster: FakeCluster
) -> None:
    submission.submit()
    cluster.fail("delete_job", refusal(status, "gone"))
    assert submission.delete()
    assert len(cluster.called("delete_job")) == 1


def test_a_deletion_that_stays_impossible_is_given_up(
    submission: Submission, cluster: FakeCluster, clock: FakeClock
) -> None:
    submission.submit()
    cluster.fail("delete_job", AWAY, times=1000)
    assert not submission.delete()
    assert clock.now == 1030.0


def test_replicas_end_by_the_deadline_which_the_operator_reads_in_a_changed_job(
    submission: Submission, cluster: FakeCluster
) -> None:
    submission.submit()
    assert submission.end_replicas()
    ((_, patch),) = cluster.called("patch_job")
    assert patch == {"metadata": {"uid": JOB_UID}, "spec": {"runPolicy": {"activeDeadlineSeconds": 1}}}
    assert JOB in cluster.jobs


def test_the_job_that_somebody_else_made_under_the_name_since_is_not_ended(
    submission: Submission, cluster: FakeCluster
) -> None:
    submission.submit()
    cluster.jobs[JOB] = job_json("Running", uid="another")
    submission.end_replicas()
    assert cluster.jobs[JOB] == job_json("Running", uid="another")


def test_a_job_that_is_replaced_while_it_is_taken_over_is_looked_at_anew(
    submission: Submission, cluster: FakeCluster, manifest: dict[str, Any]
) -> None:
    cluster.jobs[JOB], before = existing_job(manifest), existing_job(manifest)
    before["metadata"]["uid"] = "deleted"
    answers = [before]
    cluster.get_job = lambda name: answers.pop() if answers else cluster.jobs[name]  # type: ignore[method-assign]
    assert submission.submit()
    assert submission.uid == "job-0"


def test_replicas_have_ended_once_the_operator_has_failed_the_job_or_a_clean_up_would_not_know_it_for_failed(
    submission: Submission, cluster: FakeCluster, clock: FakeClock
) -> None:
    submission.submit()
    cluster.fail("get_job", AWAY, refusal(500, "etcd"))
    assert submission.end_replicas()
    assert clock.now == 1001.0


def test_that_replicas_cannot_be_ended_is_told(submission: Submission, cluster: FakeCluster) -> None:
    submission.submit()
    cluster.fail("patch_job", AWAY, times=1000)
    assert not submission.end_replicas()


def left_jobs() -> dict[str, Any]:
    states = {"a": ["Running"], "b": ["Failed"]}
    return {name: job_json(*states[name], uid=f"job-{name}", name=name) for name in states}


def test_what_a_run_left_is_deleted(cluster: FakeCluster) -> None:
    cluster.jobs = left_jobs()
    lines = list(delete_left_jobs(cluster, "tfjob-speedup/run=r1", keep_failed=False))
    assert lines == ["TFJob a was left, and is deleted", "TFJob b was left, and is deleted"]
    assert cluster.called("list tfjobs") == [[{"label_selector": "tfjob-speedup/run=r1"}]]
    assert cluster.called("delete_job") == [["a", "job-a"], ["b", "job-b"]]


def test_what_failed_is_kept_on_request(cluster: FakeCluster) -> None:
    cluster.jobs = left_jobs()
    cluster.fail("delete_job", refusal(404, "gone by itself"))
    lines = list(delete_left_jobs(cluster, "tfjob-speedup/run=r1", keep_failed=True))
    assert lines == ["TFJob a was left, and is deleted", "TFJob b failed and is kept"]


def test_a_clean_up_without_rights_fails(cluster: FakeCluster) -> None:
    cluster.jobs = left_jobs()
    cluster.fail("delete_job", refusal(403, "cannot delete"))
    with pytest.raises(ClusterRefused, match=r"TFJobs may be left: .*cannot delete.*kubectl delete tfjobs --selector"):
        list(delete_left_jobs(cluster, "tfjob-speedup/run=r1", keep_failed=True))


def test_a_clean_up_that_gets_no_answer_says_what_may_be_left(cluster: FakeCluster) -> None:
    cluster.fail("list tfjobs", AWAY)
    with pytest.raises(ClusterRefused, match=r"TFJobs may be left: .*connection refused"):
        list(delete_left_jobs(cluster, "tfjob-speedup/run=r1", keep_failed=True))


def test_a_runs_unfinished_jobs_are_those_that_have_neither_succeeded_nor_failed(cluster: FakeCluster) -> None:
    cluster.jobs = left_jobs() | {"c": job_json(name="c"), "d": job_json("Succeeded", name="d")}
    assert list_unfinished_jobs(cluster, "tfjob-speedup/run=r1") == ["a", "c"]
    assert cluster.called("list tfjobs") == [[{"label_selector": "tfjob-speedup/run=r1"}]]


def test_an_api_server_that_does_not_answer_is_no_free_way(cluster: FakeCluster) -> None:
    cluster.fail("list tfjobs", AWAY)
    assert list_unfinished_jobs(cluster, "tfjob-speedup/run=r1") is None
