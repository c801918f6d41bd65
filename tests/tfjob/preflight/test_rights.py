from dataclasses import replace

from tests.tfjob.fake_api import NO_RIGHT, OPTIONS, REVIEWS, FakeApi, look
from tfjob.preflight.finding import Status
from tfjob.preflight.rights import NEEDED_RIGHTS


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
    names = ("namespace", "verb", "group", "resource", "subresource")
    asked = [tuple(map(review["spec"]["resourceAttributes"].get, names)) for review in api.reviews]
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
