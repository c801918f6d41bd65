"""A TFJob as an object of the cluster: created or taken over, kept or deleted."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

from kubernetes.client.exceptions import ApiException

from tfjob.cluster.api import CONFLICT, CONNECTION_ERRORS, FORBIDDEN, NOT_FOUND, Cluster, Json, explain, select
from tfjob.cluster.pods import has_condition
from tfjob.errors import ClusterRefused, JobExists, SpecError
from tfjob.job import Manifest

MANIFEST_ANNOTATION = "tfjob-speedup/manifest-sha256"
_SUBMIT_PATIENCE_SECONDS = 90.0
_PATIENCE_SECONDS = 30.0
_PAUSE_SECONDS = 0.5
_UNPROCESSABLE = 422
_REJECTED = (400, _UNPROCESSABLE)
_REFUSED = (401, FORBIDDEN)
# A webhook's veto comes as 403, too.
_DENIED = "admission webhook"


class Submission:
    """One job in a cluster.

    Args:
        cluster: Where.
        manifest: The job, as `build_manifest` makes it.
        owner: What it is deleted with; None for nothing.
        clock: Monotonic seconds.
        pause: Waits so many seconds, or is left by an exception.
        sleep: Waits so many seconds, come what may: for what must be cleared away.
    """

    def __init__(
        self,
        cluster: Cluster,
        manifest: Manifest,
        owner: Json | None,
        *,
        clock: Callable[[], float],
        pause: Callable[[float], object],
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.name: str = manifest["metadata"]["name"]
        self.namespace: str = manifest["metadata"]["namespace"]
        self.uid: str | None = None
        self._cluster, self._owner, self._clock, self._pause = cluster, owner, clock, pause
        self._sleep = sleep
        self._manifest = own_manifest(manifest, owner)

    def submit(self) -> bool:
        """Creates the job, or takes it over; returns whether it was there before.

        Raises:
            SpecError: The operator's webhook rejected it.
            JobExists: There is another job of that name.
            ClusterRefused: This process lacks a right, or the cluster has no training operator, or does not answer.
        """
        deadline = self._clock() + _SUBMIT_PATIENCE_SECONDS
        while True:
            try:
                self.uid = self._create()
                if self.uid is not None:
                    return False
                self.uid = self._adopt()
                if self.uid is not None:
                    return True
                if self._clock() >= deadline:
                    raise ClusterRefused(
                        f"TFJob {self.name} is being deleted and does not go. See which finalizer holds it: "
                        f"kubectl --namespace {self.namespace} get tfjob {self.name} --output yaml"
                    )
            except ApiException as error:
                self._raise_refusal(error, is_late=self._clock() >= deadline)
            except CONNECTION_ERRORS as error:
                if self._clock() >= deadline:
                    raise ClusterRefused(f"The API server cannot be reached: {error}") from error
            self._pause(_PAUSE_SECONDS)

    def delete(self) -> bool:
        """Deletes the job and waits until no replica runs; returns False where the API server does not let itself."""
        uid = self.uid
        if uid is None:
            return True
        if not self._wait_until(lambda: _delete(self._cluster, self.name, uid)):
            return False
        # What still runs would take cores from what comes next.
        self._wait_until(self._runs_no_pod)
        return True

    def end_replicas(self) -> bool:
        """Lets the operator fail the job, which ends its replicas, and leaves it to look at; returns whether it did."""
        if not self._wait_until(self._pass_deadline):
            return False
        self._wait_until(self._has_failed)
        # What still runs would take cores from what comes next.
        self._wait_until(self._runs_no_pod)
        return True

    def _create(self) -> str | None:
        """Returns the uid of the job, created; None where one of that name exists."""
        try:
            job = self._cluster.create_job(self._manifest)
        except ApiException as error:
            if error.status == CONFLICT:
                return None
            raise
        return str(job["metadata"]["uid"])

    def _adopt(self) -> str | None:
        """Returns the uid of the job of that name if it is this very one; None where it is on its way out.

        The step that had created it was deleted, and runs again: KFP does so without being asked.
        """
        try:
            return self._take_over(self._cluster.get_job(self.name))
        except ApiException as error:
            if _is_gone(error):  # meanwhile
                return None
            raise

    def _take_over(self, job: Json) -> str | None:
        metadata = job["metadata"]
        if metadata.get("deletionTimestamp"):
            return None
        mine = self._manifest["metadata"]["annotations"][MANIFEST_ANNOTATION]
        if metadata.get("annotations", {}).get(MANIFEST_ANNOTATION) != mine:
            raise JobExists(self.name, self.namespace)
        if has_condition(job, "Failed"):  # kept by a try before this one
            self._cluster.delete_job(self.name, metadata["uid"])
            return None
        owners = metadata.get("ownerReferences", [])
        # It is this step's own where the answer to its creation was lost.
        if self._owner is not None and self._owner["uid"] not in [owner["uid"] for owner in owners]:
            patch = {"uid": metadata["uid"], "ownerReferences": [*owners, self._owner]}
            self._cluster.patch_job(self.name, {"metadata": patch})
        return str(metadata["uid"])

    def _raise_refusal(self, error: ApiException, *, is_late: bool) -> None:
        message = explain(error)
        if error.status in _REJECTED or message.startswith(_DENIED):
            raise SpecError(f"The cluster rejected job {self.name}: {message}") from None
        if error.status in _REFUSED:
            raise ClusterRefused(
                f"The cluster does not let this step run TFJobs: {message}. Give its service account the rights in "
                "manifests/ (kubectl apply -k), and check them with: python -m tfjob.preflight"
            ) from None
        if error.status == NOT_FOUND:
            raise ClusterRefused(
                f"The cluster does not know TFJobs ({message}). Install the training operator: kubectl apply "
                "--server-side -k manifests/operator"
            ) from None
        if is_late:
            raise ClusterRefused(f"The cluster did not take job {self.name}: {message}") from None

    def _pass_deadline(self) -> bool:
        # The operator looks at the deadline when a job is touched, and not before.
        patch = {"metadata": {"uid": self.uid}, "spec": {"runPolicy": {"activeDeadlineSeconds": 1}}}
        return _is_done_or_gone(lambda: self._cluster.patch_job(self.name, patch))

    def _has_failed(self) -> bool:
        return has_condition(self._cluster.get_job(self.name), "Failed")

    def _runs_no_pod(self) -> bool:
        pods = self._cluster.list_objects("pods", **select("pods", self.name))["items"]
        return all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in pods)

    def _wait_until(self, is_so: Callable[[], bool]) -> bool:
        """Returns whether something is so within some tries, of which the API server may refuse or miss any."""
        limit = self._clock() + _PATIENCE_SECONDS
        while True:
            with suppress(ApiException, *CONNECTION_ERRORS):
                if is_so():
                    return True
            if self._clock() >= limit:
                return False
            self._sleep(_PAUSE_SECONDS)


def delete_left_jobs(cluster: Cluster, selector: str, *, keep_failed: bool) -> Iterator[str]:
    """Deletes the TFJobs of a label and yields a line about each.

    Args:
        cluster: Where.
        selector: The label selector.
        keep_failed: Leave those that failed.

    Raises:
        ClusterRefused: The cluster does not let them be deleted, or does not answer.
    """
    try:
        for job in cluster.list_objects("tfjobs", label_selector=selector)["items"]:
            name, uid = job["metadata"]["name"], job["metadata"]["uid"]
            if keep_failed and has_condition(job, "Failed"):
                yield f"TFJob {name} failed and is kept"
                continue
            _delete(cluster, name, uid)
            yield f"TFJob {name} was left, and is deleted"
    except ApiException as error:
        raise ClusterRefused(_state_leftovers(selector, explain(error))) from None
    except CONNECTION_ERRORS as error:
        raise ClusterRefused(_state_leftovers(selector, str(error))) from None


def _state_leftovers(selector: str, reason: str) -> str:
    return f"TFJobs may be left: {reason}. Delete them: kubectl delete tfjobs --selector {selector}"


def list_unfinished_jobs(cluster: Cluster, selector: str) -> list[str] | None:
    """Returns the names of the TFJobs of a label that have neither succeeded nor failed, None without an answer.

    Args:
        cluster: Where.
        selector: The label selector.
    """
    with suppress(ApiException, *CONNECTION_ERRORS):
        jobs = cluster.list_objects("tfjobs", label_selector=selector)["items"]
        unfinished = [job for job in jobs if not (has_condition(job, "Succeeded") or has_condition(job, "Failed"))]
        return [job["metadata"]["name"] for job in unfinished]
    return None


def _delete(cluster: Cluster, name: str, uid: str) -> bool:
    return _is_done_or_gone(lambda: cluster.delete_job(name, uid))


def _is_done_or_gone(call: Callable[[], None]) -> bool:
    """Returns True once a call on a job has succeeded, or has nothing to do: it is gone, or another one by now."""
    try:
        call()
    except ApiException as error:
        if not _is_gone(error):
            raise
    return True


def _is_gone(error: ApiException) -> bool:
    """Returns whether a job could not be changed because it is gone, or is another one by now.

    A patch that names a job's uid is refused by a later job of its name: no uid may be changed. So do Kubernetes' own
    controllers adopt and release pods.

    Source: kubernetes pkg/controller/controller_ref_manager.go, ReleasePod
    """
    is_another = error.status == _UNPROCESSABLE and "metadata.uid" in explain(error)
    return is_another or error.status in (NOT_FOUND, CONFLICT)


def own_manifest(manifest: Manifest, owner: Mapping[str, Any] | None) -> Json:
    """Returns the manifest with what tells a job of this step from others: a digest of it, and its owner."""
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    annotations = {**manifest["metadata"].get("annotations", {}), MANIFEST_ANNOTATION: digest}
    owners = {"ownerReferences": [dict(owner)]} if owner else {}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations, **owners}}
