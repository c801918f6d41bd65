from pathlib import Path

import pytest

from pipeline.remote.server import Access, ServerError, normalize_endpoint, read_health
from tests.pipeline.remote.kfp_server import check_schema


@pytest.mark.parametrize(
    ("written", "endpoint"),
    [
        ("https://kubeflow.example/pipeline", "https://kubeflow.example/pipeline"),
        ("kubeflow.example/pipeline/", "https://kubeflow.example/pipeline"),
        ("https://kubeflow.example/pipeline/#/runs/details/1", "https://kubeflow.example/pipeline"),
        ("https://kubeflow.example/_/pipeline/?ns=team-a#/runs", "https://kubeflow.example/pipeline"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_an_endpoint_may_be_written_as_a_browser_shows_it(written: str, endpoint: str) -> None:
    assert normalize_endpoint(written) == endpoint


@pytest.mark.parametrize("written", ["ftp://kubeflow.example", "https://", "https:///pipeline"])
def test_what_is_no_url_is_refused(written: str) -> None:
    with pytest.raises(ServerError, match=r"KFP_ENDPOINT must be a URL such as .*Received: "):
        normalize_endpoint(written)


@pytest.mark.parametrize(
    "written",
    [
        "https://me:secret@kubeflow.example/pipeline",
        "secret@kubeflow.example",
        "ftp://me:secret@kubeflow.example/?key=secret",
        "https://me:secret@[kubeflow.example",
        "https://kubeflow.example:secret/",
    ],
)
def test_a_password_in_the_endpoint_is_refused_and_never_shown(written: str) -> None:
    with pytest.raises(ServerError, match="KFP_ENDPOINT must be a URL") as raised:
        normalize_endpoint(written)
    if "@" in written:
        assert "secret" not in str(raised.value)


def test_metadata_is_asked_at_the_host_whatever_the_dashboards_path() -> None:
    assert Access("https://kubeflow.example:8443/pipeline").origin == "https://kubeflow.example:8443"


def test_a_pods_own_token_is_used_unless_another_is_given(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.touch()
    environ = {"KF_PIPELINES_SA_TOKEN_PATH": str(token)}
    assert Access.read("https://kfp", "", environ).token_file == str(token)
    assert Access.read("https://kfp", "", environ).renews_token
    assert not Access.read("https://kfp", "", environ | {"KFP_TOKEN": "mine"}).renews_token
    assert Access.read("https://kfp", "", {"KF_PIPELINES_SA_TOKEN_PATH": "missing"}).token_file == ""


def test_a_version_is_read_from_whoever_tells_it() -> None:
    assert read_health('{"multi_user": true, "tag_name": "unknown", "frontendTagName": "2.17.0"}').version == "2.17.0"
    assert read_health('{"multi_user": false, "tag_name": "unknown"}').version == ""
    assert read_health('{"multi_user": true}').is_multi_user


@pytest.mark.parametrize(
    ("model", "value"),
    [
        ("V2beta1Run", {"run": "1"}),
        ("V2beta1Run", {"state": "DONE"}),
        ("V2beta1Run", {"run_details": {"task_details": [{"display_name": 1}]}}),
        ("V2beta1RuntimeConfig", {"parameters": [1]}),
    ],
)
def test_the_fakes_check_refuses_what_the_published_schema_does_not_have(model: str, value: object) -> None:
    with pytest.raises(AssertionError):
        check_schema(model, value)
