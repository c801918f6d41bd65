from dataclasses import replace

import pytest
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_api import TRYING, FakeApi, look
from tfjob.errors import JobFailed, JobNotStarted
from tfjob.preflight.finding import Status


def not_started(reason: str) -> JobNotStarted:
    return JobNotStarted("tfjob-preflight", 60, [f"worker-0: {reason}"])


def test_a_trial_runs_a_job_whose_claims_go_with_its_pods(api: FakeApi) -> None:
    assert look(api, TRYING)["trial"].status is Status.OK
    (job,) = api.jobs
    worker = job["spec"]["tfReplicaSpecs"]["Worker"]
    pod = worker["template"]["spec"]
    assert worker["replicas"] == 2
    claim = pod["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert claim == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Mi"}}}
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["image"] == "registry.example/speedup:1"
    assert job["spec"]["runPolicy"]["ttlSecondsAfterFinished"] == 60


def test_replicas_that_get_gpus_ask_for_them_in_a_trial(api: FakeApi) -> None:
    look(api, replace(TRYING, gpus=2))
    container = api.jobs[0]["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "2"


def test_a_trials_claims_are_of_the_class_that_was_named(api: FakeApi) -> None:
    look(api, replace(TRYING, storage_class="nfs", access_mode="ReadWriteOnce"))
    pod = api.jobs[0]["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]
    claim = pod["volumes"][0]["ephemeral"]["volumeClaimTemplate"]["spec"]
    assert (claim["storageClassName"], claim["accessModes"]) == ("nfs", ["ReadWriteOnce"])


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
    finding = look(api, TRYING)["trial"]
    assert (finding.status, finding.detail) == (
        Status.FAILED,
        f"Job tfjob-preflight did not start within 60 s. worker-0: {reason}",
    )
    assert fix in str(finding.fix)


def test_a_program_that_fails_in_the_image_is_quoted(api: FakeApi) -> None:
    api.job_error = JobFailed(
        "job", replica="worker-1", exit_code=1, reason="exit code 1", last_lines=["PermissionError: /tfjob-preflight/x"]
    )
    assert "PermissionError: /tfjob-preflight/x" in look(api, TRYING)["trial"].detail


def test_a_trial_whose_api_server_goes_away_is_told(api: FakeApi) -> None:
    api.job_error = ProtocolError("gone")
    assert look(api, TRYING)["trial"].detail == "no answer: gone"
