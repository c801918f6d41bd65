from dataclasses import replace

import pytest

from tests.tfjob.fake_api import KUEUE, NAMESPACE, NO_SUCH, OPTIONS, PODS, FakeApi, look
from tfjob.preflight.api import Refused
from tfjob.preflight.finding import Status


def test_a_missing_namespace_is_told_once_and_what_needs_it_is_left_out(api: FakeApi) -> None:
    api.gets[NAMESPACE] = NO_SUCH
    findings = look(api)
    assert findings["namespace"].fix == "kubectl create namespace team-a"
    assert [finding.what for finding in findings.values() if finding.status is Status.FAILED] == ["namespace"]
    assert findings["rights"].detail == "not looked at, for want of: namespace"
    assert findings["storage class"].status is Status.OK


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
