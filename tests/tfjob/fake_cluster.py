"""A cluster in memory that tells what a test lets happen in it, one thing after another."""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from tfjob.cluster.api import CONFLICT, NOT_FOUND, Cluster, Json, Kind
from tfjob.job import Manifest

JOB, JOB_UID = "mnist", "job-1"
# What comes of an API server that is not there.
AWAY = ProtocolError("connection refused")
Change = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]
_EPOCH = "2026-11-23T12:00:{:02d}Z"


@dataclass
class FakeClock:
    """Seconds that pass when somebody sleeps or a test says so."""

    # Not zero: no clock of a machine that runs is.
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeCluster(Cluster):
    """Holds jobs and pods. Its watches and logs give what was scripted, in that order over all of them.

    A script's next part comes when all before it has been handed over. So a test that needs the launcher to have seen
    something lets it hear of something else after, and acts on the event that follows.

    Args:
        are_pods_left: Whether a deleted job's pods stay.
    """

    are_pods_left: bool = False
    jobs: dict[str, Json] = field(default_factory=dict)
    pods: dict[str, Json] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    made_jobs: int = 0

    def __post_init__(self) -> None:
        self._failures: defaultdict[str, deque[Exception]] = defaultdict(deque)
        self._script: deque[tuple[str, Any]] = deque()
        self._turn = threading.Condition()
        self._is_handing_over = self._is_closed = False
        self._deleted_pods: set[str] = set()

    def fail(self, call: str, *errors: Exception, times: int = 1) -> None:
        """Lets the next calls of a method raise."""
        self._failures[call].extend(errors * times)

    def say(self, stream: str, item: Any, change: Change = "MODIFIED") -> None:
        """Adds to the script.

        Args:
            stream: `tfjobs`, `pods`, `events`, or the name of a pod for its log.
            item: An object that has changed, a line of a log, an error that ends the connection, None for its end,
                or something to do just before what follows.
            change: How an object has changed.
        """
        with self._turn:
            self._script.append((stream, {"type": change, "object": item} if isinstance(item, dict) else item))
            self._turn.notify_all()

    def say_job(self, *conditions: str, message: str = "", suspend: bool | None = None, uid: str = JOB_UID) -> None:
        """Adds a state of the job to the script."""
        self.say("tfjobs", job_json(*conditions, message=message, suspend=suspend, uid=uid))

    def close(self) -> None:
        """Ends all connections."""
        with self._turn:
            self._is_closed = True
            self._turn.notify_all()

    def called(self, call: str) -> list[list[Any]]:
        """Returns the arguments of each call of a method."""
        return [arguments for name, *arguments in self.calls if name == call]

    def create_job(self, manifest: Manifest) -> Json:
        self._note("create_job", manifest)
        name = manifest["metadata"]["name"]
        if name in self.jobs:
            raise ApiException(CONFLICT, "AlreadyExists")
        self.made_jobs += 1
        job = deepcopy(dict(manifest))
        job["metadata"]["uid"] = f"job-{self.made_jobs}"
        self.jobs[name] = job
        return job

    def get_job(self, name: str) -> Json:
        self._note("get_job", name)
        return self._existing(name)

    def patch_job(self, name: str, patch: Mapping[str, Any]) -> None:
        self._note("patch_job", name, patch)
        job = self._existing(name)
        if patch.get("metadata", {}).get("uid", job["metadata"]["uid"]) != job["metadata"]["uid"]:
            raise refusal(422, f"TFJob {name} is invalid: metadata.uid: Invalid value: field is immutable")
        if "spec" in patch:  # the operator sees that the deadline has passed
            job["status"] = job_json("Failed")["status"]
            self.pods.clear()

    def delete_job(self, name: str, uid: str) -> None:
        self._note("delete_job", name, uid)
        if self._existing(name)["metadata"]["uid"] != uid:
            raise ApiException(CONFLICT, "another uid")
        del self.jobs[name]
        if not self.are_pods_left:
            self.pods.clear()

    def list_objects(self, kind: Kind, **selector: Any) -> Json:
        self._note(f"list {kind}", selector)
        return _listing({"tfjobs": self.jobs, "pods": self.pods}.get(kind, {}))

    def watch_objects(self, kind: Kind, resource_version: str, **selector: Any) -> Iterator[Json]:
        self._note(f"watch {kind}", resource_version, selector)
        return self._hand_over(kind)

    def follow_log(self, pod_name: str, since_seconds: int | None) -> Iterator[str]:
        self._note("follow_log", pod_name, since_seconds)
        pod = self._find_pod(pod_name)
        if pod is None and pod_name in self._deleted_pods:
            raise ApiException(NOT_FOUND, "NotFound")
        if pod is not None and pod["status"]["phase"] == "Pending":
            raise ApiException(400, "container is waiting to start")
        uid = pod["metadata"]["uid"] if pod is not None else None
        return self._hand_over(pod_name, lambda: self._is_log_over(pod_name, uid))

    def _note(self, call: str, *arguments: Any) -> None:
        self.calls.append((call, *arguments))
        if self._failures[call]:
            raise self._failures[call].popleft()

    def _existing(self, name: str) -> Json:
        if name not in self.jobs:
            raise ApiException(NOT_FOUND, "NotFound")
        return self.jobs[name]

    def _find_pod(self, name: str) -> Json | None:
        return next((pod for pod in self.pods.values() if pod["metadata"]["name"] == name), None)

    def _is_log_over(self, pod_name: str, uid: str | None) -> bool:
        """Returns whether a pod is gone, or its container has ended and nothing of its log is still to come."""
        pod = self._find_pod(pod_name)
        if uid is not None and (pod is None or pod["metadata"]["uid"] != uid):
            return True
        statuses = pod["status"].get("containerStatuses", ()) if pod is not None else ()
        is_terminated = any((status["state"] or {}).get("terminated") for status in statuses)
        has_ended = pod is not None and (is_terminated or pod["status"]["phase"] in ("Succeeded", "Failed"))
        return has_ended and all(stream != pod_name for stream, _ in self._script)

    def _hand_over(self, stream: str, is_over: Callable[[], bool] = lambda: False) -> Iterator[Any]:
        while True:
            with self._turn:
                self._turn.wait_for(lambda: self._is_closed or is_over() or self._is_turn_of(stream))
                if self._is_closed or is_over():
                    return
                item = self._script.popleft()[1]
                self._is_handing_over = True
            try:
                if isinstance(item, Exception):
                    raise item
                if item is None:
                    return
                if callable(item):
                    item()
                else:
                    self._remember(stream, item)
                    yield item
            finally:
                with self._turn:
                    self._is_handing_over = False
                    self._turn.notify_all()

    def _is_turn_of(self, stream: str) -> bool:
        return bool(self._script) and self._script[0][0] == stream and not self._is_handing_over

    def _remember(self, stream: str, change: Any) -> None:
        if stream == "pods" and change["type"] != "BOOKMARK":
            name, uid = change["object"]["metadata"]["name"], change["object"]["metadata"]["uid"]
            self.pods = {known: pod for known, pod in self.pods.items() if pod["metadata"]["name"] != name}
            if change["type"] == "DELETED":
                self._deleted_pods.add(name)
            else:
                self.pods[uid] = change["object"]


def refusal(status: int, message: str) -> ApiException:
    """Returns the client's error for what an API server answers."""
    error = ApiException(status, "a reason")
    error.body = f'{{"kind": "Status", "message": "{message}"}}'
    return error


def job_json(*conditions: str, message: str = "", suspend: bool | None = None, uid: str = JOB_UID, **more: Any) -> Json:
    """Returns a TFJob as the operator leaves it, with the conditions that are true."""
    return {
        "metadata": {"name": JOB, "uid": uid, "resourceVersion": "9", **more},
        "spec": {"runPolicy": {} if suspend is None else {"suspend": suspend}},
        "status": {"conditions": [{"type": name, "status": "True", "message": message} for name in conditions]},
    }


def pod_json(
    replica: str,
    phase: str = "Pending",
    *,
    state: Json | None = None,
    last_state: Json | None = None,
    restarts: int = 0,
    uid: str = "",
    job_uid: str = JOB_UID,
    second: int = 0,
    is_scheduled: bool = True,
    node: str = "node-1",
    image_id: str = "registry.example/x@sha256:1234",
    **status: Any,
) -> Json:
    """Returns a replica's pod as the kubelet leaves it; without a state no kubelet has taken it yet."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": _EPOCH.format(second)}
    container = {
        "name": "tensorflow",
        "image": "x:1",
        "imageID": "" if state and "waiting" in state else image_id,
        "ready": False,
        "restartCount": restarts,
        "state": state,
        "lastState": last_state or {},
    }
    kind, _, index = replica.partition("-")
    return {
        "metadata": {
            "name": f"{JOB}-{replica}",
            "uid": uid or f"pod-{replica}",
            "resourceVersion": "9",
            "creationTimestamp": _EPOCH.format(second),
            "labels": {
                "training.kubeflow.org/job-name": JOB,
                "training.kubeflow.org/replica-type": kind,
                "training.kubeflow.org/replica-index": index,
            },
            "ownerReferences": [{"kind": "TFJob", "name": JOB, "uid": job_uid, "controller": True}],
        },
        "spec": {"nodeName": node} if is_scheduled else {},
        "status": {
            "phase": phase,
            **({"conditions": [scheduled]} if is_scheduled else {}),
            **({"containerStatuses": [container]} if state else {}),
            **status,
        },
    }


def unschedulable(replica: str, message: str = "0/1 nodes are available: 1 Insufficient cpu.") -> Json:
    """Returns a pod that finds no node."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": _EPOCH.format(0),
    }
    return pod_json(replica, is_scheduled=False, conditions=[condition])


def waiting(replica: str, reason: str, message: str = "", phase: str = "Pending", **fields: Any) -> Json:
    """Returns a pod whose container is to start."""
    words = {"message": message} if message else {}
    return pod_json(replica, phase, state={"waiting": {"reason": reason, **words}}, **fields)


def running(replica: str, **fields: Any) -> Json:
    """Returns a pod whose container runs."""
    second = fields.get("second", 0)
    return pod_json(replica, "Running", state={"running": {"startedAt": _EPOCH.format(second + 2)}}, **fields)


def ended(replica: str, exit_code: int = 0, *, at: int = 10, reason: str = "", **fields: Any) -> Json:
    """Returns a pod whose container has ended for good."""
    phase = "Failed" if exit_code else "Succeeded"
    return pod_json(replica, phase, state={"terminated": end_json(exit_code, at=at, reason=reason)}, **fields)


def evicted(replica: str) -> Json:
    """Returns a pod that the kubelet ended before it could say anything of its container."""
    message = "The node was low on resource: memory."
    return pod_json(replica, "Failed", reason="Evicted", message=message)


def taken(pod: Json, *, at: int, grace: int = 5, reason: str = "", message: str = "") -> Json:
    """Returns a pod whose deletion somebody has asked for; the cluster itself gives a reason."""
    pod = deepcopy(pod)
    pod["metadata"] |= {"deletionTimestamp": _EPOCH.format(at + grace), "deletionGracePeriodSeconds": grace}
    if reason:
        disruption = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
        pod["status"]["conditions"] = [*pod["status"].get("conditions", ()), disruption]
    return pod


def end_json(exit_code: int, *, at: int = 10, reason: str = "") -> Json:
    """Returns the end of a container."""
    return {
        "exitCode": exit_code,
        "reason": reason or ("Error" if exit_code else "Completed"),
        "startedAt": _EPOCH.format(2),
        "finishedAt": _EPOCH.format(at),
    }


def pod_event(replica: str, reason: str, message: str, kind: str = "Normal") -> Json:
    """Returns an event about a replica's pod."""
    return _event({"kind": "Pod", "name": f"{JOB}-{replica}"}, reason, message, kind)


def job_event(reason: str, message: str) -> Json:
    """Returns the operator's warning about the job."""
    return _event({"kind": "TFJob", "name": JOB}, reason, message, "Warning")


def log_line(second: float, text: str) -> str:
    """Returns a line of a log as the kubelet gives it."""
    return f"2026-11-23T12:00:{second:012.9f}Z {text}"


def _event(about: Json, reason: str, message: str, kind: str) -> Json:
    return {
        "metadata": {"name": "e", "uid": f"event-{reason}", "resourceVersion": "9"},
        "involvedObject": about,
        "reason": reason,
        "message": message,
        "type": kind,
    }


def _listing(items: Mapping[str, Json]) -> Json:
    return {"items": list(items.values()), "metadata": {"resourceVersion": "5"}}
