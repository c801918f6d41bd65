import pytest

from tests.tfjob.fake_api import NO_SUCH, OPERATORS, TFJOBS, FakeApi, look
from tfjob.preflight.api import Refused
from tfjob.preflight.finding import Status


@pytest.mark.parametrize("served", [NO_SUCH, {"resources": [{"name": "pytorchjobs"}]}])
def test_a_cluster_without_tfjobs_is_told_how_to_get_them(api: FakeApi, served: object) -> None:
    api.gets["/apis/kubeflow.org/v1"] = served
    finding = look(api)["TFJob API"]
    assert (finding.status, finding.fix) == (Status.FAILED, "kubectl apply --server-side -k manifests/operator")


@pytest.mark.parametrize(
    ("wanted", "ready", "fix"),
    [
        (0, 0, "kubectl --namespace kubeflow scale deployment training-operator --replicas 1"),
        (1, 0, "kubectl --namespace kubeflow describe pods --selector control-plane=kubeflow-training-operator"),
    ],
)
def test_an_operator_that_does_not_run_fails(api: FakeApi, wanted: int, ready: int, fix: str) -> None:
    operator = api.gets[OPERATORS]["items"][0]
    operator["spec"]["replicas"], operator["status"] = wanted, {"readyReplicas": ready}
    finding = look(api)["training operator"]
    assert (finding.status, finding.fix) == (Status.FAILED, fix)


@pytest.mark.parametrize(
    ("image", "status", "told"),
    [
        ("ghcr.io/kubeflow/training-v1/training-operator:v1-d6eb98e", Status.OK, "v1.9.3 ("),
        ("mirror.example:5000/training-operator:v1-93c5489", Status.WARNING, "v1.9.4 ("),
        ("mirror.example:5000/training-operator:v1.8.1", Status.WARNING, "v1.8.1 ("),
        ("mirror.example:5000/training-operator:v1.9.3@sha256:00", Status.OK, "v1.9.3 ("),
        ("mirror.example:5000/training-operator:7", Status.UNKNOWN, "does not tell it"),
        ("mirror.example:5000/training-operator", Status.UNKNOWN, "does not tell it"),
    ],
)
def test_the_operators_version_is_read_from_its_images_tag(api: FakeApi, image: str, status: Status, told: str) -> None:
    api.gets[OPERATORS]["items"][0]["spec"]["template"]["spec"]["containers"][0]["image"] = image
    finding = look(api)["operator's version"]
    assert finding.status is status
    assert told in finding.detail


def test_an_operator_under_another_label_is_unknown_not_failed(api: FakeApi) -> None:
    api.gets[OPERATORS] = {"items": []}
    findings = look(api)
    assert (findings["training operator"].status, findings["operator's version"].status) == ("unknown", "unknown")


@pytest.mark.parametrize(("wanted", "verb"), [(0, "scale --replicas 1"), (1, "rollout restart")])
def test_a_webhook_that_does_not_answer_fails_with_the_command_for_its_operator(
    api: FakeApi, wanted: int, verb: str
) -> None:
    api.gets[OPERATORS]["items"][0]["spec"]["replicas"] = wanted
    api.creates[TFJOBS] = Refused(500, 'failed calling webhook "validator.tfjob": connection refused')
    findings = look(api)
    assert findings["webhook"].fix == f"kubectl --namespace kubeflow {verb} deployment training-operator"
    assert findings["webhook's refusal"].status is Status.UNKNOWN


def test_a_webhook_that_admits_nonsense_is_warned_of(api: FakeApi) -> None:
    api.creates[TFJOBS] = {}
    finding = look(api)["webhook's refusal"]
    assert (finding.status, finding.fix) == (Status.WARNING, "kubectl apply --server-side -k manifests/operator")
