from dataclasses import replace

import pytest

from tests.tfjob.fake_api import HEALTH, OPTIONS, FakeApi, look
from tfjob.preflight.api import Json, Refused, Unreachable
from tfjob.preflight.finding import Status


@pytest.mark.parametrize(
    ("minor", "status"), [("27", Status.WARNING), ("28", Status.OK), ("34+", Status.OK), ("104", Status.OK)]
)
def test_an_old_kubernetes_is_warned_of(api: FakeApi, minor: str, status: Status) -> None:
    api.gets["/version"] = {"major": "1", "minor": minor, "gitVersion": f"v1.{minor}.0"}
    assert look(api)["Kubernetes version"].status is status


@pytest.mark.parametrize(("gpus", "status"), [(1, Status.OK), (2, Status.FAILED)])
def test_a_replicas_gpus_must_be_on_one_node(api: FakeApi, gpus: int, status: Status) -> None:
    allocatable: list[Json] = [{"nvidia.com/gpu": "1"}, {"nvidia.com/gpu": "1"}, {}]
    nodes = [{"metadata": {"name": str(i)}, "status": {"allocatable": it}} for i, it in enumerate(allocatable)]
    api.gets["/api/v1/nodes"] = {"items": nodes}
    assert look(api, replace(OPTIONS, gpus=gpus))["GPUs"].status is status


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
