"""The rights that launching TFJobs takes, and who lacks one."""

import re

from kubernetes.client.exceptions import ApiException

from tfjob.cluster import FORBIDDEN, explain
from tfjob.preflight.api import Api, Json, core_path, exists
from tfjob.preflight.finding import Finding, Options, Status

# What the step that launches TFJobs does in its namespace. `manifests/base/role.yaml` grants exactly this.
NEEDED_RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kubeflow.org", "tfjobs", ("create", "delete", "get", "list", "patch", "watch")),
    ("", "pods", ("list", "watch")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list", "watch")),
)
_REVIEWS = "/apis/authorization.k8s.io/v1"
# `pods is forbidden: User "me" cannot list resource "pods" in API group …`
_RIGHT = re.compile(r'User "[^"]*" cannot (\w+) resource "([^"]+)"')


def check_rights(api: Api, options: Options) -> Finding:
    """Tells whether whoever launches TFJobs may do what that takes."""
    account, namespace = options.service_account, options.namespace
    if account is None:
        user, kind, subject = _who_asks(api), "SelfSubjectAccessReview", {}
    else:
        if not exists(api, f"{core_path(namespace)}/serviceaccounts/{account}"):
            fix = f"kubectl --namespace {namespace} create serviceaccount {account}"
            return Finding(Status.FAILED, f"there is no service account {account} in {namespace}", fix)
        user, kind = f"system:serviceaccount:{namespace}:{account}", "SubjectAccessReview"
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        subject = {"user": user, "groups": groups}
    try:
        missing = _missing_rights(api, namespace, kind, subject)
    except ApiException as error:
        if error.status != FORBIDDEN:
            raise
        ask = f"kubectl auth can-i create tfjobs.kubeflow.org --namespace {namespace} --as {user}"
        return Finding(Status.UNKNOWN, f"those of {user}: {tell_right(error)}", ask)
    if missing:
        return Finding(Status.FAILED, f"{user} may not {'; '.join(missing)}", _grant_command(user, namespace))
    return Finding(Status.OK, f"{user} may do all that launching takes")


def lacks_right(error: ApiException) -> bool:
    """Returns whether the API server refused for want of a right."""
    # Pod Security, quota and webhooks answer 403 as well.
    return error.status == FORBIDDEN and _RIGHT.search(explain(error)) is not None


def tell_right(error: ApiException) -> str:
    """Returns which right a refused user lacks."""
    found = _RIGHT.search(explain(error))
    return f"this user may not {found[1]} {found[2]}" if found else explain(error)


def _who_asks(api: Api) -> str:
    """Returns the name that the API server knows this user by."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


def _missing_rights(api: Api, namespace: str, kind: str, subject: Json) -> list[str]:
    missing = []
    for group, resource, verbs in NEEDED_RIGHTS:
        name, _, subresource = resource.partition("/")
        right = {"namespace": namespace, "group": group, "resource": name, "subresource": subresource}
        refused = [verb for verb in verbs if not _is_allowed(api, kind, subject, {**right, "verb": verb})]
        if refused:
            missing.append(f"{', '.join(refused)} {resource}{'.' + group if group else ''}")
    return missing


def _is_allowed(api: Api, kind: str, subject: Json, right: Json) -> bool:
    spec = {**subject, "resourceAttributes": right}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    return bool(api.create(f"{_REVIEWS}/{kind.lower()}s", review)["status"]["allowed"])


def _grant_command(user: str, namespace: str) -> str:
    *_, account = user.split(":")
    is_account = user.startswith("system:serviceaccount:")
    subject = f"--serviceaccount {':'.join(user.split(':')[2:])}" if is_account else f"--user {user}"
    return (
        f"kubectl --namespace {namespace} apply -f manifests/base/role.yaml && kubectl --namespace {namespace} create "
        f"rolebinding tfjob-speedup-{account} --role tfjob-speedup {subject}"
    )
