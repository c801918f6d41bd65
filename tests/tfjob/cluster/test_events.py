from typing import Any

import pytest

from tfjob.cluster.events import PullBegan, PullEnded, Trouble, parse_pull_seconds, read_event

JOB = "mnist"


def make_event(kind: str, name: str, reason: str, message: str = "so", *, is_warning: bool = False) -> dict[str, Any]:
    about, level = {"kind": kind, "name": name}, "Warning" if is_warning else "Normal"
    return {"involvedObject": about, "reason": reason, "message": message, "type": level}


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ('Successfully pulled image "x:1" in 1m2.5s (1m3s including waiting). Image size: 5 bytes.', 62.5),
        ('Successfully pulled image "x:1" in 431ms (431ms including waiting). Image size: 5 bytes.', 0.431),
        ('Successfully pulled image "x:1" in 1h0m1s', 3601.0),
        ('Container image "x:1" already present on machine', None),
    ],
)
def test_the_kubelet_tells_how_long_a_pull_took(message: str, seconds: float | None) -> None:
    assert parse_pull_seconds(message) == pytest.approx(seconds)


def test_events_tell_of_a_replicas_image() -> None:
    pulled = make_event("Pod", "mnist-worker-0", "Pulled", 'Successfully pulled image "x:1" in 3s')
    present = make_event("Pod", "mnist-worker-0", "Pulled", 'Container image "x:1" already present on machine')

    assert read_event(make_event("Pod", "mnist-worker-0", "Pulling"), JOB) == PullBegan("worker-0", "so")
    assert read_event(pulled, JOB) == PullEnded("worker-0", 3.0)
    assert read_event(present, JOB) == PullEnded("worker-0", None)


@pytest.mark.parametrize(
    ("kind", "name", "reason", "told"),
    [
        ("Pod", "mnist-worker-0", "FailedMount", Trouble("worker-0", "so")),
        ("Pod", "mnist-worker-0", "FailedScheduling", None),
        ("TFJob", "mnist", "FailedCreatePod", Trouble("", "so")),
        ("TFJob", "mnist", "TFJobFailed", None),
    ],
)
def test_a_warning_is_trouble_where_nothing_else_tells_of_it(
    kind: str, name: str, reason: str, told: Trouble | None
) -> None:
    assert read_event(make_event(kind, name, reason, is_warning=True), JOB) == told
    assert read_event(make_event(kind, name, reason), JOB) is None


@pytest.mark.parametrize(
    ("kind", "name"),
    [("Pod", "other-worker-0"), ("Pod", "mnist"), ("Pod", "mnist-"), ("Service", "mnist-worker-0"), ("TFJob", "other")],
)
def test_events_of_others_tell_nothing(kind: str, name: str) -> None:
    for reason in ("Pulling", "Pulled", "FailedMount", "FailedCreatePod"):
        assert read_event(make_event(kind, name, reason, is_warning=True), JOB) is None
