from dataclasses import replace

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from tests.tfjob.fake_api import (
    CLASSES,
    KUEUE,
    NO_RIGHT,
    OPTIONS,
    PODS,
    TFJOBS,
    TRYING,
    FakeApi,
    look,
    storage_class,
)
from tests.tfjob.fake_cluster import refusal
from tfjob.preflight.api import Json
from tfjob.preflight.checks import CHECKS, run_checks
from tfjob.preflight.finding import Options, Status

NODES = "/api/v1/nodes"


def make_node(name: str, allocatable: dict[str, str]) -> Json:
    return {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", **allocatable}}}


INSTALL_OPERATOR = "kubectl apply --server-side -k manifests/operator"


def test_a_healthy_cluster_passes_every_check(api: FakeApi) -> None:
    api.gets[KUEUE] = {"preferredVersion": {"version": "v1beta1"}}
    api.gets[f"{KUEUE}/v1beta1/namespaces/team-a/localqueues/team"] = {}
    api.creates[TFJOBS] = [{}, refusal(403, "denied the request"), {"spec": {"runPolicy": {"suspend": True}}}]
    api.gets[NODES] = {"items": [make_node("a", {"nvidia.com/gpu": "2"})]}
    findings = look(api, replace(TRYING, queue="team", gpus=1))
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert list(findings) == [check.what for check in CHECKS]


def test_what_is_not_asked_for_is_not_looked_at(api: FakeApi) -> None:
    assert {"GPUs", "Kueue", "trial"}.isdisjoint(look(api))


@pytest.mark.parametrize(
    ("nodes", "status", "detail"),
    [
        ([{}, {"nvidia.com/gpu": "0"}], Status.FAILED, "none of 2 nodes offers nvidia.com/gpu"),
        ([{"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"}], Status.FAILED, "a replica asks for 2"),
        ([{}, {"nvidia.com/gpu": "4"}], Status.OK, "4 on 1 of 2 nodes, at most 4 on one"),
    ],
)
def test_a_node_must_offer_the_gpus_of_a_replica(
    api: FakeApi, nodes: list[dict[str, str]], status: Status, detail: str
) -> None:
    api.gets[NODES] = {"items": [make_node(f"node-{number}", own) for number, own in enumerate(nodes)]}
    finding = look(api, replace(OPTIONS, gpus=2))["GPUs"]
    assert finding.status is status
    assert detail in finding.detail


@pytest.mark.parametrize("error", [ProtocolError("refused"), ApiException(0, "SSLError: certificate verify failed")])
def test_without_an_api_server_nothing_else_is_told(api: FakeApi, error: Exception) -> None:
    api.gets["/version"] = error
    (finding,) = run_checks(api, OPTIONS)
    assert (finding.what, finding.status, finding.fix) == ("API server", Status.FAILED, "kubectl cluster-info")
    assert finding.detail.startswith("no answer: ")


def test_what_a_user_may_not_look_at_is_unknown_and_no_failure(api: FakeApi) -> None:
    api.gets[CLASSES] = NO_RIGHT
    api.creates |= dict.fromkeys((TFJOBS, PODS), NO_RIGHT)
    findings = look(api)
    unknown = [finding.what for finding in findings.values() if finding.status is Status.UNKNOWN]
    assert {finding.status for finding in findings.values()} == {Status.OK, Status.UNKNOWN}
    assert unknown == ["training operator", "pods", "storage class"]
    assert findings["pods"].detail == "this user may not list things"


def test_an_answer_that_nobody_expects_is_a_failure(api: FakeApi) -> None:
    api.gets[CLASSES] = refusal(500, "etcd is away")
    finding = look(api)["storage class"]
    assert (finding.status, finding.detail) == (Status.FAILED, "the answer was 500: etcd is away")


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (refusal(404, "namespaces 'team-a' not found"), "kubectl create namespace team-a"),
        (ApiException(404, "Not Found"), INSTALL_OPERATOR),
        (
            refusal(500, "failed calling webhook 'validator.tfjob': connection refused"),
            "kubectl get deployments --all-namespaces --selector control-plane=kubeflow-training-operator",
        ),
        (refusal(403, "exceeded quota: count/tfjobs"), None),
    ],
)
def test_a_refused_job_fails_and_what_needs_the_operator_is_left_out(
    api: FakeApi, error: Exception, fix: str | None
) -> None:
    api.creates[TFJOBS] = error
    findings = look(api, TRYING)
    assert (findings["training operator"].status, findings["training operator"].fix) == (Status.FAILED, fix)
    assert findings["training operator"].detail.startswith("a valid TFJob is refused: ")
    assert findings["trial"].detail == "not looked at, for want of: training operator, pods"
    assert findings["storage class"].status is Status.OK


def test_an_operator_whose_webhook_admits_nonsense_is_warned_of(api: FakeApi) -> None:
    api.creates[TFJOBS] = {}
    finding = look(api)["training operator"]
    assert (finding.status, finding.fix) == (Status.WARNING, INSTALL_OPERATOR)


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        ("violates PodSecurity 'restricted:latest': runAsNonRoot", "kubectl get mutatingwebhookconfigurations"),
        ("exceeded quota: small", "kubectl --namespace team-a describe resourcequotas,limitranges"),
    ],
)
def test_a_pod_that_is_not_admitted_fails(api: FakeApi, message: str, fix: str) -> None:
    api.creates[PODS] = refusal(403, f"pods 'tfjob-preflight' is forbidden: {message}")
    finding = look(api)["pods"]
    assert (finding.status, finding.fix) == (Status.FAILED, fix)


def test_a_queue_needs_kueue_the_queue_and_kueues_care_for_tfjobs(api: FakeApi) -> None:
    options = replace(OPTIONS, queue="team")
    assert look(api, options)["Kueue"].detail == "Kueue is not installed"
    api.gets[KUEUE] = {"preferredVersion": {"version": "v1beta1"}}
    assert look(api, options)["Kueue"].detail == "there is no LocalQueue team"
    api.gets[f"{KUEUE}/v1beta1/namespaces/team-a/localqueues/team"] = {}
    finding = look(api, options)["Kueue"]
    assert finding.status is Status.FAILED
    assert "leaves TFJobs alone" in finding.detail


DEFAULT, OTHER = storage_class("a", "nfs.csi.k8s.io", is_default=True), storage_class("b", "nfs.csi.k8s.io")


@pytest.mark.parametrize(
    ("classes", "options", "status", "fix"),
    [
        (
            [],
            OPTIONS,
            Status.FAILED,
            "kubectl annotate storageclass NAME storageclass.kubernetes.io/is-default-class=true",
        ),
        (
            [OTHER],
            OPTIONS,
            Status.FAILED,
            "kubectl annotate storageclass b storageclass.kubernetes.io/is-default-class=true",
        ),
        ([DEFAULT], replace(OPTIONS, storage_class="b"), Status.FAILED, "kubectl get storageclasses"),
        ([DEFAULT, OTHER], replace(TRYING, storage_class="b"), Status.OK, None),
        ([DEFAULT], TRYING, Status.OK, None),
        ([DEFAULT], OPTIONS, Status.UNKNOWN, None),
    ],
)
def test_a_storage_class_must_be_there_and_only_a_trial_tells_what_it_can_do(
    api: FakeApi, classes: list[Json], options: Options, status: Status, fix: str | None
) -> None:
    api.gets[CLASSES] = {"items": classes}
    finding = look(api, options)["storage class"]
    assert (finding.status, finding.fix) == (status, fix)
