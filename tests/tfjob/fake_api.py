"""A healthy cluster for preflight whose answers a test changes."""

import json
from dataclasses import replace
from typing import Any

from tests.tfjob.fake_cluster import refusal
from tfjob.job import Manifest
from tfjob.preflight.api import Api, Json
from tfjob.preflight.checks import run_checks
from tfjob.preflight.finding import Finding, Options

NAMESPACE = "/api/v1/namespaces/team-a"
PODS = f"{NAMESPACE}/pods"
TFJOBS = "/apis/kubeflow.org/v1/namespaces/team-a/tfjobs"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
SELF_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
REVIEWS = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
KUEUE = "/apis/kueue.x-k8s.io"

OPTIONS = Options(namespace="team-a")
TRYING = replace(OPTIONS, image="registry.example/speedup:1", is_trying=True)
NO_RIGHT = refusal(
    403,
    "things is forbidden: User 'me' cannot list resource 'things' in API group '' in the namespace 'n'".replace(
        "'", '\\"'
    ),
)
NO_SUCH = refusal(404, "not found")


class FakeApi(Api):
    """What an API server would answer; a list of answers is given one by one, the last for ever."""

    def __init__(self) -> None:
        self.gets: dict[str, Any] = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.3"},
            CLASSES: {"items": [storage_class("nfs", "nfs.csi.k8s.io", is_default=True)]},
            f"{NAMESPACE}/serviceaccounts/launcher": {},
        }
        self.creates: dict[str, Any] = {
            "/apis/authentication.k8s.io/v1/selfsubjectreviews": {"status": {"userInfo": {"username": "ada"}}}
        }
        self.forbidden: set[tuple[str, str]] = set()
        self.reviews: list[Json] = []
        self.jobs: list[Manifest] = []
        self.job_error: BaseException | None = None

    def get(self, path: str) -> Json:
        return answer(self.gets, path)

    def create(self, path: str, body: Json, *, dry_run: bool = False) -> Json:
        if path in (REVIEWS, SELF_REVIEWS):
            self.reviews.append(body)
        if path not in self.creates and path in (REVIEWS, SELF_REVIEWS):
            right = body["spec"]["resourceAttributes"]
            resource = "/".join(filter(None, (right["resource"], right["subresource"])))
            return {"status": {"allowed": (right["verb"], resource) not in self.forbidden}}
        if path not in self.creates and path == TFJOBS and "nobody" in json.dumps(body):
            raise refusal(403, "admission webhook denied the request: no container tensorflow")
        assert dry_run or "name" not in body.get("metadata", {})
        return answer(self.creates, path) if path in self.creates else body

    def run_job(self, manifest: Manifest) -> None:
        self.jobs.append(manifest)
        if self.job_error is not None:
            raise self.job_error


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
