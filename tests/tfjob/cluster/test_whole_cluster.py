from urllib.parse import parse_qsl, urlsplit

import pytest
from kubernetes.client.exceptions import ApiException

from tests.tfjob.cluster.api_server import Server, status
from tfjob.cluster.api import Json


@pytest.mark.parametrize("last", [{}, {"continue": ""}])
def test_what_the_whole_cluster_has_is_asked_for_page_by_page(server: Server, last: Json) -> None:
    server.answer({"metadata": {"continue": "second"}, "items": [{"metadata": {"name": "a"}}]})
    server.answer({"metadata": last, "items": [{"metadata": {"name": "b"}}]})
    pods = server.operator().list_whole_cluster("pods of all namespaces", field_selector="status.phase!=Failed")
    assert next(pods) == {"metadata": {"name": "a"}}
    assert len(server.requests) == 1  # one page at a time is held
    assert [*pods] == [{"metadata": {"name": "b"}}]
    asked = [dict(parse_qsl(urlsplit(path).query)) for _, path, _, _ in server.requests]
    selected = {"fieldSelector": "status.phase!=Failed", "limit": "500"}
    assert asked == [selected, {**selected, "continue": "second"}]


def test_pages_that_take_so_long_that_the_token_is_too_old_go_on_from_there_in_the_cluster_of_now(
    server: Server,
) -> None:
    expired = status(410, "The provided continue parameter is too old") | {"metadata": {"continue": "later"}}
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    server.answer(expired, status=410)
    server.answer({"metadata": {"continue": "third"}, "items": [{"name": "b"}]})
    server.answer({"metadata": {}, "items": [{"name": "c"}]})
    assert [node["name"] for node in server.operator().list_whole_cluster("nodes")] == ["a", "b", "c"]
    asked = [dict(parse_qsl(urlsplit(path).query)) for _, path, _, _ in server.requests]
    assert [query.get("continue") for query in asked] == [None, "second", "later", "third"]


@pytest.mark.parametrize("is_cut_off", [False, True])
def test_a_page_that_fails_for_a_moment_is_asked_for_again(
    server: Server, monkeypatch: pytest.MonkeyPatch, is_cut_off: bool
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("time.sleep", waited.append)
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    for _ in range(3):
        server.answer([b"{"] if is_cut_off else status(500, "etcd"), status=500, is_cut_off=is_cut_off)
    server.answer({"metadata": {}, "items": [{"name": "b"}]})
    assert [node["name"] for node in server.operator().list_whole_cluster("nodes")] == ["a", "b"]
    assert waited == [1.0, 2.0, 4.0]


def test_who_may_not_list_is_told_at_once(server: Server) -> None:
    server.answer(status(403, "cannot list resource nodes"), status=403)
    with pytest.raises(ApiException, match="403"):
        next(server.operator().list_whole_cluster("nodes"))
    assert len(server.requests) == 1


@pytest.mark.parametrize("metadata", [{}, {"continue": ""}, {"continue": "later"}])
def test_pages_that_cannot_go_on_are_an_error(metadata: Json, server: Server) -> None:
    server.answer({"metadata": {"continue": "second"}, "items": [{"name": "a"}]})
    for _ in range(2):
        server.answer(status(410, "too old") | {"metadata": metadata}, status=410)
    pods = server.operator().list_whole_cluster("pods of all namespaces")
    assert next(pods) == {"name": "a"}
    with pytest.raises(ApiException, match="410"):
        next(pods)
