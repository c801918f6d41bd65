from dataclasses import replace

from tests.tfjob.fake_api import (
    CLASSES,
    HEALTH,
    KUEUE,
    NAMESPACE,
    NO_RIGHT,
    OPERATORS,
    OPTIONS,
    PODS,
    TFJOBS,
    TRYING,
    FakeApi,
    look,
)
from tfjob.preflight.api import Refused, Unreachable
from tfjob.preflight.checks import CHECKS, run_checks
from tfjob.preflight.finding import Status


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
