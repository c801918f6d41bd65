import copy
import json
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes.client import ApiClient, Configuration

from tfjob.preflight import main, render_finding, report
from tfjob.preflight_api import ApiServer, Json, Refused, Unreachable, connect
from tfjob.preflight_checks import CHECKS, NEEDED_RIGHTS, run_checks
from tfjob.preflight_finding import Finding, Options, Status

NAMESPACE = "/api/v1/namespaces/team-a"
PODS, CLAIMS = f"{NAMESPACE}/pods", f"{NAMESPACE}/persistentvolumeclaims"
TFJOBS = "/apis/kubeflow.org/v1/namespaces/team-a/tfjobs"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
OPERATORS = "/apis/apps/v1/deployments?labelSelector=control-plane=kubeflow-training-operator"
SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KUEUE = "/apis/kueue.x-k8s.io"
HEALTH = "http://kfp.example:8888/apis/v2beta1/healthz"

OPTIONS = Options(namespace="team-a")
TRYING = replace(OPTIONS, image="registry.example/speedup:1", is_trying=True, timeout_seconds=30.0)
OPERATOR = {
    "metadata": {"namespace": "kubeflow", "name": "training-operator"},
    "spec": {
        "replicas": 1,
        "template": {"spec": {"containers": [{"image": "ghcr.io/kubeflow/training-v1/training-operator:v1-d6eb98e"}]}},
    },
    "status": {"readyReplicas": 1},
}
NO_RIGHT = Refused(
    403, 'things is forbidden: User "me" cannot list resource "things" in API group "" in the namespace "n"'
)
NO_SUCH = Refused(404, "not found")
PENDING = {"status": {"phase": "Pending"}}
DONE = {"status": {"phase": "Succeeded"}}


class FakeApi:
    """A healthy cluster whose answers a test changes; a list of answers is given one by one, the last for ever."""

    def __init__(self) -> None:
        self.gets: dict[str, Any] = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.3"},
            NAMESPACE: {"metadata": {"name": "team-a"}},
            "/apis/kubeflow.org/v1": {"resources": [{"name": "tfjobs"}, {"name": "tfjobs/status"}]},
            OPERATORS: {"items": [copy.deepcopy(OPERATOR)]},
            CLASSES: {"items": [storage_class("nfs", "nfs.csi.k8s.io", is_default=True)]},
            f"{NAMESPACE}/serviceaccounts/launcher": {},
            f"{PODS}/PROBE": [PENDING, DONE],
            f"{CLAIMS}/PROBE": {"status": {"phase": "Bound"}},
        }
        self.creates: dict[str, Any] = {
            "/apis/authentication.k8s.io/v1/selfsubjectreviews": {"status": {"userInfo": {"username": "ada"}}}
        }
        self.forbidden: set[tuple[str, str]] = set()
        self.reviews: list[Json] = []
        self.made: list[Json] = []
        self.left: list[str] = []
        self.deletion: Exception | None = None
        self.seconds = 0.0

    def get(self, path: str) -> Json:
        return answer(self.gets, re.sub("tfjob-preflight-[0-9a-f]{8}", "PROBE", path))

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        if path in (REVIEWS, SELF_REVIEWS):
            self.reviews.append(body)
        if path not in self.creates and path in (REVIEWS, SELF_REVIEWS):
            right = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (right["resource"], right["subresource"])))
            return {"status": {"allowed": (right["verb"], resource) not in self.forbidden}}
        if path not in self.creates and path == TFJOBS and "nobody" in json.dumps(body):
            raise Refused(403, 'admission webhook "validator.tfjob" denied the request: no container tensorflow')
        created = answer(self.creates, path) if path in self.creates else body
        if not dry_run and "name" in body.get("metadata", {}):
            self.made.append(body)
            self.left.append(f"{path}/{body['metadata']['name']}")
        return created

    def delete(self, path: str) -> None:
        if self.deletion is not None:
            raise self.deletion
        self.left.remove(path)

    def fetch(self, url: str) -> Json:
        return answer(self.gets, url)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def answer(answers: dict[str, Any], key: str) -> Json:
    if key not in answers:
        raise NO_SUCH
    value = answers[key]
    if isinstance(value, list):
        value = value.pop(0) if len(value) > 1 else value[0]
    if isinstance(value, BaseException):
        raise value
    assert isinstance(value, dict)
    return value


def storage_class(name: str, provisioner: str, *, is_default: bool = False) -> Json:
    annotations = {"storageclass.kubernetes.io/is-default-class": "true"} if is_default else {}
    return {"metadata": {"name": name, "annotations": annotations}, "provisioner": provisioner}


def look(api: FakeApi, options: Options = OPTIONS) -> dict[str, Finding]:
    return {finding.what: finding for finding in run_checks(api, options)}


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def test_a_healthy_cluster_passes_every_check(api: FakeApi) -> None:
    api.gets[HEALTH] = {"tag_name": "2.17.0"}
    api.gets[KUEUE] = {"preferredVersion": {"version": "v1beta1"}}
    api.gets[f"{KUEUE}/v1beta1/namespaces/team-a/localqueues/team"] = {}
    api.gets["/api/v1/nodes"] = {
        "items": [{"metadata": {"name": "a"}, "status": {"allocatable": {"nvidia.com/gpu": "2"}}}]
    }
    api.creates[TFJOBS] = [{}, Refused(403, "denied the request"), {"spec": {"runPolicy": {"suspend": True}}}]
    options = replace(TRYING, kfp_endpoint="http://kfp.example:8888/", queue="team", gpus=2)
    findings = look(api, options)
    assert {finding.status for finding in findings.values()} == {Status.OK}
    assert list(findings) == [check.what for check in CHECKS]


def test_what_is_not_asked_for_is_not_looked_at(api: FakeApi) -> None:
    assert {"image", "volume", "Kubeflow Pipelines", "Kueue", "GPUs"}.isdisjoint(look(api))


def test_without_an_api_server_nothing_else_is_told(api: FakeApi) -> None:
    api.gets["/version"] = Unreachable("https://10.0.0.1: refused")
    (finding,) = run_checks(api, OPTIONS)
    assert (finding.what, finding.status, finding.fix) == ("API server", Status.FAILED, "kubectl cluster-info")


@pytest.mark.parametrize(
    ("minor", "status"), [("27", Status.WARNING), ("28", Status.OK), ("34+", Status.OK), ("104", Status.OK)]
)
def test_an_old_kubernetes_is_warned_of(api: FakeApi, minor: str, status: Status) -> None:
    api.gets["/version"] = {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}
    assert look(api)["Kubernetes version"].status is status


def test_a_missing_namespace_is_told_once_and_what_needs_it_is_left_out(api: FakeApi) -> None:
    api.gets[NAMESPACE] = NO_SUCH
    findings = look(api)
    assert findings["namespace"].fix == "kubectl create namespace team-a"
    assert [finding.what for finding in findings.values() if finding.status is Status.FAILED] == ["namespace"]
    assert findings["rights"].detail == "not looked at, for want of: namespace"
    assert findings["storage class"].status is Status.OK


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


def test_rights_that_are_missing_are_named_with_the_command_that_grants_them(api: FakeApi) -> None:
    api.forbidden = {("create", "tfjobs"), ("patch", "tfjobs"), ("get", "pods/log")}
    finding = look(api)["rights"]
    assert finding.detail == "ada may not create, patch tfjobs.kubeflow.org; get pods/log"
    assert finding.fix == (
        "kubectl --namespace team-a apply -f manifests/base/role.yaml && kubectl --namespace team-a create rolebinding "
        "tfjob-speedup-ada --role tfjob-speedup --user ada"
    )


def test_every_right_is_asked_for_once(api: FakeApi) -> None:
    look(api)
    asked = [tuple(review["spec"]["resourceAttributes"].values()) for review in api.reviews]
    assert asked == [
        ("team-a", verb, group, *(*resource.split("/"), "")[:2])
        for group, resource, verbs in NEEDED_RIGHTS
        for verb in verbs
    ]


def test_the_rights_of_a_service_account_are_asked_for_with_its_groups(api: FakeApi) -> None:
    api.forbidden = {("list", "events")}
    finding = look(api, replace(OPTIONS, service_account="launcher"))["rights"]
    assert finding.detail == "system:serviceaccount:team-a:launcher may not list events"
    assert str(finding.fix).endswith("tfjob-speedup-launcher --role tfjob-speedup --serviceaccount team-a:launcher")
    assert {review["spec"]["user"] for review in api.reviews} == {"system:serviceaccount:team-a:launcher"}
    assert "system:serviceaccounts:team-a" in api.reviews[0]["spec"]["groups"]


def test_a_service_account_that_is_not_there_fails(api: FakeApi) -> None:
    finding = look(api, replace(OPTIONS, service_account="nobody"))["rights"]
    assert (finding.status, finding.fix) == (
        Status.FAILED,
        "kubectl --namespace team-a create serviceaccount nobody",
    )


def test_rights_that_may_not_be_asked_for_are_unknown(api: FakeApi) -> None:
    api.creates[REVIEWS] = NO_RIGHT
    finding = look(api, replace(OPTIONS, service_account="launcher"))["rights"]
    assert finding.status is Status.UNKNOWN
    assert finding.detail == "those of system:serviceaccount:team-a:launcher: this user may not list things"


def test_what_a_user_may_not_look_at_is_unknown_and_no_failure(api: FakeApi) -> None:
    api.gets |= dict.fromkeys((NAMESPACE, OPERATORS, CLASSES), NO_RIGHT)
    api.creates |= dict.fromkeys((TFJOBS, PODS), NO_RIGHT)
    findings = look(api, TRYING)
    unknown = [finding.what for finding in findings.values() if finding.status is Status.UNKNOWN]
    assert {finding.status for finding in findings.values()} == {Status.OK, Status.UNKNOWN}
    assert unknown == [
        "namespace",
        "training operator",
        "operator's version",
        "webhook",
        "webhook's refusal",
        "pod security",
        "storage class",
        "image",
        "volume",
        "Istio",
    ]


@pytest.mark.parametrize(
    ("message", "fix"),
    [
        (
            'violates PodSecurity "restricted:latest": runAsNonRoot',
            "kubectl get mutatingwebhookconfigurations",
        ),
        ("exceeded quota: small", "kubectl --namespace team-a describe resourcequotas,limitranges"),
    ],
)
def test_a_pod_that_is_not_admitted_fails(api: FakeApi, message: str, fix: str) -> None:
    api.creates[PODS] = Refused(403, f'pods "tfjob-preflight" is forbidden: {message}')
    finding = look(api)["pod security"]
    assert (finding.status, finding.fix) == (Status.FAILED, fix)


def test_the_level_of_pod_security_is_told(api: FakeApi) -> None:
    api.gets[NAMESPACE] = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    assert look(api)["pod security"].detail == "restricted; a pod like the replicas is admitted (dry run)"


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
            [storage_class("a", "nfs.csi.k8s.io")],
            OPTIONS,
            Status.FAILED,
            "kubectl annotate storageclass a storageclass.kubernetes.io/is-default-class=true",
        ),
        ([storage_class("a", "nfs.csi.k8s.io")], replace(OPTIONS, storage_class="a"), Status.OK, None),
        (
            [storage_class("a", "nfs.csi.k8s.io", is_default=True)],
            replace(OPTIONS, storage_class="b"),
            Status.FAILED,
            "kubectl get storageclasses",
        ),
        ([storage_class("a", "example.com/own", is_default=True)], OPTIONS, Status.UNKNOWN, None),
        (
            [storage_class("a", "rancher.io/local-path", is_default=True)],
            OPTIONS,
            Status.WARNING,
            "kubectl get storageclasses",
        ),
        (
            [storage_class("a", "rancher.io/local-path", is_default=True)],
            replace(OPTIONS, access_mode="ReadWriteOnce"),
            Status.OK,
            None,
        ),
    ],
)
def test_a_storage_class_is_judged_by_its_provisioner(
    api: FakeApi, classes: list[Json], options: Options, status: Status, fix: str | None
) -> None:
    api.gets[CLASSES] = {"items": classes}
    finding = look(api, options)["storage class"]
    assert (finding.status, finding.fix) == (status, fix)


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


@pytest.mark.parametrize(
    ("health", "status"),
    [
        ({"tag_name": "2.15.0"}, Status.OK),
        ({"apiServerTagName": "2.17.0"}, Status.OK),
        ({"tag_name": "v3.0.0-rc.1"}, Status.OK),
        ({"tag_name": "2.14.4"}, Status.FAILED),
        ({"tag_name": "unknown"}, Status.UNKNOWN),
        ({}, Status.UNKNOWN),
        (Refused(302, "Found"), Status.UNKNOWN),
        (Unreachable("refused"), Status.FAILED),
    ],
)
def test_the_version_of_pipelines_is_judged(api: FakeApi, health: object, status: Status) -> None:
    api.gets[HEALTH] = health
    finding = look(api, replace(OPTIONS, kfp_endpoint="http://kfp.example:8888"))["Kubeflow Pipelines"]
    assert finding.status is status


@pytest.mark.parametrize("labels", [{"istio-injection": "enabled"}, {"istio.io/rev": "stable"}])
def test_istios_injection_is_told(api: FakeApi, labels: dict[str, str]) -> None:
    assert look(api)["Istio"].detail == "no injection in this namespace"
    api.gets[NAMESPACE] = {"metadata": {"labels": labels}}
    assert look(api)["Istio"].detail == "injects sidecars into this namespace; replicas opt out by label"


def test_a_queue_needs_kueue_the_queue_and_kueues_care_for_tfjobs(api: FakeApi) -> None:
    options = replace(OPTIONS, queue="team")
    assert look(api, options)["Kueue"].detail == "Kueue is not installed"
    api.gets[KUEUE] = {"preferredVersion": {"version": "v1beta1"}}
    assert look(api, options)["Kueue"].detail == "there is no LocalQueue team"
    api.gets[f"{KUEUE}/v1beta1/namespaces/team-a/localqueues/team"] = {}
    finding = look(api, options)["Kueue"]
    assert finding.status is Status.FAILED
    assert "leaves TFJobs alone" in finding.detail


@pytest.mark.parametrize(("gpus", "status"), [(1, Status.OK), (2, Status.FAILED)])
def test_a_replicas_gpus_must_be_on_one_node(api: FakeApi, gpus: int, status: Status) -> None:
    allocatable: list[Json] = [{"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"}, {}]
    nodes = [{"metadata": {"name": str(i)}, "status": {"allocatable": it}} for i, it in enumerate(allocatable)]
    api.gets["/api/v1/nodes"] = {"items": nodes}
    assert look(api, replace(OPTIONS, gpus=gpus))["GPUs"].status is status


def test_a_finding_is_a_line_and_its_fix_another() -> None:
    finding = Finding(Status.FAILED, "namespace", "there is\n none", "kubectl create namespace a")
    assert render_finding(finding) == "FAILED   namespace – there is none\n         fix: kubectl create namespace a"
    assert render_finding(Finding(Status.OK, "namespace", "a")) == "ok       namespace – a"


@pytest.mark.parametrize(
    ("statuses", "code"), [([Status.OK], 0), ([Status.WARNING, Status.UNKNOWN], 0), ([Status.OK, Status.FAILED], 1)]
)
@pytest.mark.parametrize("is_json", [True, False])
def test_only_a_failure_gives_exit_code_1(
    statuses: list[Status], code: int, is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([Finding(status, "it", "so") for status in statuses], is_json) == code
    printed = capsys.readouterr().out
    if is_json:
        record = json.loads(printed)
        assert record["failed"] == code
        assert record["findings"][0] == {"status": statuses[0], "what": "it", "detail": "so", "fix": None}
    else:
        assert printed.count(" it – so\n") == len(statuses)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try"], "--try must come with --image"),
        (["--timeout", "0"], "must be at least 1. Received: 0"),
        (["--timeout", "nan"], "must be at least 1. Received: nan"),
        (["--gpus", "-1"], "must not be negative. Received: -1"),
        (["--access-mode", "RWX"], "invalid choice: 'RWX'"),
    ],
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments, {})
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.fixture
def serve() -> Iterator[Callable[[int, str], tuple[str, list[tuple[str, str, Any]]]]]:
    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: str) -> tuple[str, list[tuple[str, str, Any]]]:
        requests: list[tuple[str, str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                requests.append((self.command, self.path, json.loads(self.rfile.read(length) or "null")))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_DELETE = do_GET  # noqa: N815 - the server calls them by these names

            def log_message(self, *arguments: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return f"http://127.0.0.1:{server.server_port}", requests

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def make_api_server(url: str) -> ApiServer:
    configuration = Configuration(host=url)
    configuration.retries = False
    return ApiServer(ApiClient(configuration))


def test_calls_reach_the_api_server_as_they_are_meant(serve: Callable[..., Any]) -> None:
    url, requests = serve(200, '{"answer": 1}')
    server = make_api_server(url)
    assert server.get("/apis?labelSelector=a=b") == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}) == {"answer": 1}
    assert server.create("/pods", {"kind": "Pod"}, dry_run=True) == {"answer": 1}
    server.delete("/pods/a")
    assert server.fetch(f"{url}/healthz") == {"answer": 1}
    assert requests == [
        ("GET", "/apis?labelSelector=a=b", None),
        ("POST", "/pods", {"kind": "Pod"}),
        ("POST", "/pods?dryRun=All", {"kind": "Pod"}),
        ("DELETE", "/pods/a", {"gracePeriodSeconds": 0}),
        ("GET", "/healthz", None),
    ]


@pytest.mark.parametrize(("body", "message"), [('{"message": "no such pod"}', "no such pod"), ("<html>", "Not Found")])
def test_a_refusal_carries_what_the_api_server_said(serve: Callable[..., Any], body: str, message: str) -> None:
    url, _ = serve(404, body)
    with pytest.raises(Refused) as caught:
        make_api_server(url).get("/pods/a")
    assert (caught.value.status, caught.value.message) == (404, message)


@pytest.mark.parametrize(("status", "body"), [(302, "{}"), (200, "<html>a login</html>"), (200, "[]")])
def test_a_page_in_place_of_json_is_a_refusal(serve: Callable[..., Any], status: int, body: str) -> None:
    url, _ = serve(status, body)
    with pytest.raises(Refused) as caught:
        make_api_server(url).fetch(url)
    assert caught.value.status == status


def test_no_answer_is_told_as_that() -> None:
    server = make_api_server("http://127.0.0.1:9")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9: "):
        server.get("/version")
    with pytest.raises(Unreachable, match=r"http://127\.0\.0\.1:9/x: "):
        server.fetch("http://127.0.0.1:9/x")


def test_a_pod_without_a_service_account_has_no_api_server() -> None:
    with pytest.raises(Unreachable, match="Service"):
        connect({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


def test_no_cluster_at_all_is_a_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == 1
    assert capsys.readouterr().out.startswith("FAILED   API server – nothing says where it is: ")
