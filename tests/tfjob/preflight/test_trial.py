import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_api import CLAIMS, NAMESPACE, NO_SUCH, TRYING, FakeApi, look
from tests.tfjob.fake_cluster import refusal
from tfjob.errors import JobFailed, JobNotStarted
from tfjob.preflight.finding import Status


def not_started(reason: str) -> JobNotStarted:
    return JobNotStarted("tfjob-preflight", 60, [f"worker-0: {reason}"])


def test_a_trial_runs_a_job_with_a_claim_and_leaves_nothing(api: FakeApi) -> None:
    finding = look(api, TRYING)["trial"]
    assert finding.status is Status.OK
    (claim,), (job,) = api.made, api.jobs
    assert api.left == []
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "storageClassName" not in claim["spec"]
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    pod = worker["template"]["spec"]
    assert worker["replicas"] == 2
    assert pod["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["image"] == "registry.example/speedup:1"
    assert job["spec"]["runPolicy"]["ttlSecondsAfterFinished"] == 60


@pytest.mark.parametrize(
    ("reason", "fix"),
    [
        ("ErrImagePull: pull access denied", "create secret docker-registry"),
        ("ImagePullBackOff: no such host", "docker tag registry.example/speedup:1 HOST/speedup:1 && docker push"),
        ("CreateContainerConfigError: container has runAsNonRoot and image will run as root", "USER 1000"),
        ("Unschedulable: 0/3 nodes", "kubectl --namespace team-a get events --sort-by .lastTimestamp"),
    ],
)
def test_a_job_that_does_not_start_fails_with_what_it_waits_for(api: FakeApi, reason: str, fix: str) -> None:
    api.job_error = not_started(reason)
    api.gets[f"{CLAIMS}/PROBE"] = {"status": {"phase": "Bound"}}
    finding = look(api, TRYING)["trial"]
    assert (finding.status, finding.detail) == (
        Status.FAILED,
        f"Job tfjob-preflight did not start within 60 s. worker-0: {reason}",
    )
    assert fix in str(finding.fix)
    assert api.left == []


def test_a_program_that_fails_in_the_image_is_quoted(api: FakeApi) -> None:
    api.job_error = JobFailed(
        "job", replica="worker-1", exit_code=1, reason="exit code 1", last_lines=["PermissionError: /tfjob-preflight/x"]
    )
    assert "PermissionError: /tfjob-preflight/x" in look(api, TRYING)["trial"].detail


def test_a_claim_that_gets_no_volume_fails_with_the_provisioners_words(api: FakeApi) -> None:
    api.job_error = not_started("Unschedulable")
    api.gets[f"{CLAIMS}/PROBE"] = {"status": {"phase": "Pending"}}
    about = {"kind": "PersistentVolumeClaim"}
    api.gets[f"{NAMESPACE}/events?fieldSelector=involvedObject.name=PROBE"] = {
        "items": [{"message": "only ReadWriteOnce", "involvedObject": about}]
    }
    finding = look(api, TRYING)["trial"]
    assert finding.detail.endswith("The claim with ReadWriteMany got no volume: only ReadWriteOnce")
    assert api.left == []


def test_an_interrupted_trial_leaves_nothing(api: FakeApi) -> None:
    api.job_error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        look(api, TRYING)
    assert (len(api.made), api.left) == (1, [])


def test_a_trial_whose_api_server_goes_away_leaves_nothing(api: FakeApi) -> None:
    api.job_error = ProtocolError("gone")
    assert look(api, TRYING)["trial"].detail == "no answer: gone"
    assert (len(api.made), api.left) == (1, [])


def test_a_claim_that_is_not_admitted_is_not_deleted(api: FakeApi) -> None:
    api.creates[CLAIMS] = refusal(403, "exceeded quota")
    assert look(api, TRYING)["trial"].detail == "the answer was 403: exceeded quota"
    assert (api.made, api.jobs) == ([], [])


@pytest.mark.parametrize("error", [refusal(403, "not you"), ProtocolError("gone")])
def test_what_could_not_be_deleted_is_named(api: FakeApi, error: Exception) -> None:
    api.deletion = error
    finding = look(api, TRYING)["trial"]
    assert finding.status is Status.FAILED
    assert f"{api.left[0]} could not be deleted, do it by hand" in finding.detail


def test_what_is_gone_already_needs_no_deletion(api: FakeApi) -> None:
    api.deletion = NO_SUCH
    assert look(api, TRYING)["trial"].status is Status.OK
