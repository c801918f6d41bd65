"""The rights that launching TFJobs takes, and who lacks one."""

import re

from tfjob.preflight.api import FORBIDDEN, Api, Json, Refused, core_path, exists
from tfjob.preflight.finding import Options, Outcome, Status

# What the step that launches TFJobs does in its namespace. `manifests/base/role.yaml` grants exactly this.
NEEDED_RIGHTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("kubeflow.org", "tfjobs", ("create", "delete", "get", "list", "patch", "watch")),
    ("", "pods", ("list", "watch")),
    ("", "pods/log", ("get",)),
    ("", "events", ("list", "watch")),
)
# `pods is forbidden: User "me" cannot list resource "pods" in API group …`
_RIGHT = re.compile(r'User "[^"]*" cannot (\w+) resource "([^"]+)"')


def check_rights(api: Api, options: Options) -> Outcome:
    """Tells whether whoever launches TFJobs may do what that takes."""
    account, namespace = options.service_account, options.namespace
    if account is None:
        user = who_asks(api)
        missing = _missing_rights(api, options, "selfsubjectaccessreviews", {})
    else:
        user = f"system:serviceaccount:{namespace}:{account}"
        if not exists(api, f"{core_path(namespace)}/serviceaccounts/{account}"):
            fix = f"kubectl --namespace {namespace} create serviceaccount {account}"
            return Outcome(Status.FAILED, f"there is no service account {account} in {namespace}", fix)
        groups = ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"]
        try:
            missing = _missing_rights(api, options, "subjectaccessreviews", {"user": user, "groups": groups})
        except Refused as error:
            if error.status != FORBIDDEN:
                raise
            ask = f"kubectl auth can-i create tfjobs.kubeflow.org --namespace {namespace} --as {user}"
            return Outcome(Status.UNKNOWN, f"those of {user}: {tell_right(error)}", ask)
    if missing:
        return Outcome(Status.FAILED, f"{user} may not {'; '.join(missing)}", _grant_command(user, namespace))
    return Outcome(Status.OK, f"{user} may do all that launching takes")


def who_asks(api: Api) -> str:
    """Returns the name that the API server knows this user by."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    answer = api.create("/apis/authentication.k8s.io/v1/selfsubjectreviews", review)
    return str(answer["status"]["userInfo"]["username"])


def lacks_right(error: Refused) -> bool:
    """Returns whether the API server refused for want of a right."""
    # Pod Security, quota and webhooks answer 403 as well.
    return error.status == FORBIDDEN and _RIGHT.search(error.message) is not None


def tell_right(error: Refused) -> str:
    """Returns which right a refused user lacks."""
    found = _RIGHT.search(error.message)
    return f"this user may not {found[1]} {found[2]}" if found else error.message


def _missing_rights(api: Api, options: Options, reviews: str, subject: Json) -> list[str]:
    kind = {"selfsubjectaccessreviews": "SelfSubjectAccessReview", "subjectaccessreviews": "SubjectAccessReview"}
    missing = []
    for group, resource, verbs in NEEDED_RIGHTS:
        name, _, subresource = resource.partition("/")
        refused = []
        for verb in verbs:
            attributes = {
                "namespace": options.namespace,
                "verb": verb,
                "group": group,
                "resource": name,
                "subresource": subresource,
            }
            review = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": kind[reviews],
                "spec": {**subject, "resourceAttributes": attributes},
            }
            if not api.create(f"/apis/authorization.k8s.io/v1/{reviews}", review)["status"]["allowed"]:
                refused.append(verb)
        if refused:
            missing.append(f"{', '.join(refused)} {resource}{'.' + group if group else ''}")
    return missing


def _grant_command(user: str, namespace: str) -> str:
    *_, account = user.split(":")
    is_account = user.startswith("system:serviceaccount:")
    subject = f"--serviceaccount {':'.join(user.split(':')[2:])}" if is_account else f"--user {user}"
    return (
        f"kubectl --namespace {namespace} apply -f manifests/base/role.yaml && kubectl --namespace {namespace} create "
        f"rolebinding tfjob-speedup-{account} --role tfjob-speedup {subject}"
    )
