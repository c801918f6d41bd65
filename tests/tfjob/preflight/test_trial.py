from dataclasses import replace

import pytest

from tests.tfjob.fake_api import CLAIMS, DONE, NAMESPACE, NO_SUCH, OPTIONS, PENDING, PODS, TRYING, FakeApi, look
from tfjob.preflight.api import Json, Refused, Unreachable
from tfjob.preflight.finding import Status


def test_an_image_is_not_tried_unasked(api: FakeApi) -> None:
    finding = look(api, replace(OPTIONS, image="registry.example/speedup:1"))["image"]
    assert (finding.status, api.made) == (Status.UNKNOWN, [])


def test_a_trial_makes_pods_like_the_replicas_and_a_claim_and_leaves_nothing(api: FakeApi) -> None:
    findings = look(api, TRYING)
    assert (findings["image"].status, findings["volume"].status) == (Status.OK, Status.OK)
    assert [body["kind"] for body in api.made] == ["Pod", "PersistentVolumeClaim", "Pod"]
    assert api.left == []
    image_pod, claim, volume_pod = api.made
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert "storageClassName" not in claim["spec"]
    assert volume_pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    for pod in (image_pod, volume_pod):
        assert pod["spec"]["securityContext"]["runAsNonRoot"]
        assert pod["spec"]["activeDeadlineSeconds"] == 30
        assert pod["spec"]["containers"][0]["image"] == "registry.example/speedup:1"


@pytest.mark.parametrize(
    ("reason", "message", "fix"),
    [
        ("ErrImagePull", "pull access denied", "create secret docker-registry"),
        ("ImagePullBackOff", "no such host", "docker tag registry.example/speedup:1 HOST/speedup:1 && docker push"),
        ("CreateContainerConfigError", "container has runAsNonRoot and image will run as root", "USER 1000"),
        ("InvalidImageName", "couldn't parse image name", None),
    ],
)
def test_an_image_that_does_not_start_fails_with_the_kubelets_reason(
    api: FakeApi, reason: str, message: str, fix: str | None
) -> None:
    waiting = {"waiting": {"reason": reason, "message": message}}
    api.gets[f"{PODS}/PROBE"] = [PENDING, {"status": {"phase": "Pending", "containerStatuses": [{"state": waiting}]}}]
    findings = look(api, TRYING)
    assert (findings["image"].status, findings["image"].detail) == (Status.FAILED, f"{reason}: {message}")
    assert (fix is None) == (findings["image"].fix is None)
    assert (fix or "") in (findings["image"].fix or "")
    assert findings["volume"].detail == "not looked at, for want of: image"
    assert api.left == []


def test_a_program_that_fails_in_the_image_is_quoted(api: FakeApi) -> None:
    ended = {"terminated": {"reason": "Error", "exitCode": 1, "message": "No module named encodings"}}
    api.gets[f"{PODS}/PROBE"] = {"status": {"phase": "Failed", "containerStatuses": [{"state": ended}]}}
    assert look(api, TRYING)["image"].detail == "Error: No module named encodings"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
                ]
            },
            "Unschedulable: 0/3 nodes",
        ),
        ({"containerStatuses": [{"state": {"waiting": {"reason": "ContainerCreating"}}}]}, "ContainerCreating"),
        ({}, "phase Pending"),
    ],
)
def test_a_pod_that_does_not_start_in_time_fails_with_what_it_waits_for(api: FakeApi, status: Json, told: str) -> None:
    api.gets[f"{PODS}/PROBE"] = {"status": {"phase": "Pending", **status}}
    assert look(api, TRYING)["image"].detail == f"not started within 30 s: {told}"
    assert (api.seconds, api.left) == (30.0, [])


def test_a_claim_that_gets_no_volume_fails_with_the_provisioners_words(api: FakeApi) -> None:
    api.gets[f"{PODS}/PROBE"] = [DONE, PENDING]
    api.gets[f"{CLAIMS}/PROBE"] = PENDING
    api.gets[f"{NAMESPACE}/events?fieldSelector=involvedObject.name=PROBE"] = {
        "items": [{"message": "only ReadWriteOnce"}]
    }
    finding = look(api, TRYING)["volume"]
    assert finding.detail == "a claim with ReadWriteMany got no volume: only ReadWriteOnce"
    assert api.left == []


def test_a_volume_that_cannot_be_written_fails_with_the_programs_words(api: FakeApi) -> None:
    ended = {"terminated": {"reason": "Error", "message": "PermissionError: /tfjob-preflight/probe"}}
    failed = {"status": {"phase": "Failed", "containerStatuses": [{"state": ended}]}}
    api.gets[f"{PODS}/PROBE"] = [DONE, failed]
    assert look(api, TRYING)["volume"].detail == "Error: PermissionError: /tfjob-preflight/probe"


def test_an_interrupted_trial_leaves_nothing(api: FakeApi) -> None:
    api.gets[f"{PODS}/PROBE"] = [DONE, KeyboardInterrupt()]
    with pytest.raises(KeyboardInterrupt):
        look(api, TRYING)
    assert (len(api.made), api.left) == (3, [])


def test_a_trial_whose_api_server_goes_away_leaves_nothing(api: FakeApi) -> None:
    api.gets[f"{PODS}/PROBE"] = [DONE, Unreachable("gone")]
    assert look(api, TRYING)["volume"].detail == "no answer: gone"
    assert (len(api.made), api.left) == (3, [])


@pytest.mark.parametrize("error", [Refused(403, "not you"), Unreachable("gone")])
def test_what_could_not_be_deleted_is_named(api: FakeApi, error: Exception) -> None:
    api.deletion = error
    finding = look(api, TRYING)["image"]
    assert finding.status is Status.FAILED
    assert f"{api.left[0]} could not be deleted, do it by hand" in finding.detail


def test_what_is_gone_already_needs_no_deletion(api: FakeApi) -> None:
    api.deletion = NO_SUCH
    assert look(api, TRYING)["image"].status is Status.OK
