import json
from pathlib import Path

import pytest

from pipeline.remote.follow import Pace
from pipeline.upload import main as upload
from tests.pipeline.remote.kfp_server import LOGIN_PAGE, Kfp, error_json
from tests.pipeline.remote.served_run import RECORDED, run


@pytest.mark.parametrize(
    ("health", "message"),
    [
        ({"multi_user": False, "tag_name": "2.14.3"}, "KFP must be 2.15 or later: older versions"),
        ({"multi_user": True, "tag_name": "2.17.0"}, "{endpoint} serves several users, whose runs live in namespaces."),
        ({"frontendTagName": "2.17.0", "apiServerReady": False}, "{endpoint} answers, but KFP's API server behind it"),
        ({"status": "ok"}, "/apis/v2beta1/healthz must be answered as KFP does, with multi_user. Received: "),
    ],
    ids=["too old", "several users", "not ready", "not KFP"],
)
def test_a_server_that_cannot_run_it_is_refused_before_anything_is_sent(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], health: dict[str, object], message: str
) -> None:
    kfp.health = health
    assert run() == 2
    assert capsys.readouterr().err.startswith("error: " + message.format(endpoint=endpoint))
    assert kfp.requests == ["GET /pipeline/apis/v2beta1/healthz"]


def test_the_dashboards_answer_about_its_server_is_understood_too(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.health = {"frontendTagName": "2.16.1", "apiServerReady": True, "apiServerMultiUser": False, "multi_user": False}
    assert upload([]) == 0
    kfp.health = {"frontendTagName": "2.14.0", "apiServerReady": True, "apiServerMultiUser": False, "multi_user": False}
    assert upload([]) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            error_json(401, "there is no user identity header", 16),
            "answered with 401: there is no user identity header",
        ),
        (error_json(403, "User is not authorized", 7), "answered with 403: User is not authorized"),
        ((403, {"Content-Type": "text/html"}, b"<html>Sign in</html>"), "answered with 403: a web page"),
        (LOGIN_PAGE, "was answered with a login page"),
    ],
    ids=["401", "403", "oauth2-proxy", "Dex"],
)
def test_who_is_not_logged_in_is_told_how_to_be(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], answer: tuple[int, dict[str, str], bytes], message: str
) -> None:
    kfp.refusals["/pipelines/names/"] = (answer, 9)
    assert run() == 2
    error = capsys.readouterr().err
    assert message in error
    assert "KFP_TOKEN" in error
    assert "KFP_COOKIES" in error
    assert "Traceback" not in error


def test_a_place_without_kfp_is_refused(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--endpoint={endpoint}/wrong") == 2
    assert "It must be" not in (error := capsys.readouterr().err)
    assert error.startswith(f"error: There is no KFP 2 at {endpoint}/wrong: ")


def test_a_server_that_cannot_be_reached_is_one_message(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--endpoint=http://127.0.0.1:1/pipeline") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: http://127.0.0.1:1 cannot be reached: ")
    assert "Connection refused" in error
    assert "kubectl port-forward" in error
    assert error.count("\n") == 1


def test_plain_http_behind_https_is_explained(kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(f"--endpoint={endpoint.replace('http:', 'https:')}") == 2
    error = capsys.readouterr().err
    assert error.startswith("error: No secure connection to https://127.0.0.1:")
    assert "KFP_CA_CERT" in error


@pytest.mark.parametrize("variable", ["KFP_TOKEN_FILE", "KFP_CA_CERT"])
def test_a_file_that_is_not_there_is_named(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "missing")
    assert run() == 2
    assert capsys.readouterr().err == f"error: {variable} must name a file that can be read. Received: missing.\n"


def test_runs_of_several_users_live_in_the_namespace(kfp: Kfp, endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kfp.health["multi_user"] = True
    monkeypatch.setenv("KFP_NAMESPACE", "team-a")
    assert run() == 0
    made = [*kfp.pipelines.values(), *kfp.experiments.values()]
    assert [entry["namespace"] for entry in made] == ["team-a", "team-a"]


def test_a_token_file_is_read_anew_for_each_call(
    kfp: Kfp, endpoint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("first")
    kfp.token = "first"
    monkeypatch.setenv("KFP_TOKEN_FILE", str(token))

    def expire() -> None:
        kfp.token = "second"

    kfp.on_look = expire

    contents = iter(["first", "second", "second"])

    def renew(_seconds: float) -> None:
        token.write_text(next(contents))

    assert run(pace=Pace(pause=renew)) == 0
    assert "answered with 401" in (shown := capsys.readouterr().out)
    assert "… connected again after" in shown


def test_a_token_that_expires_while_waiting_ends_the_wait_only(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    kfp.token = "first"
    monkeypatch.setenv("KFP_TOKEN", "first")

    def expire() -> None:
        kfp.token = "second"

    kfp.on_look = expire
    assert run() == 1
    error = capsys.readouterr().err
    assert "answered with 401" in error
    assert 'ARGS="--resume run-1"' in error


def test_an_endpoint_that_serves_the_api_alone_says_what_is_missing(
    kfp: Kfp, endpoint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    kfp.health = json.loads((RECORDED / "api_healthz_port8888.json").read_text())
    kfp.refusals["/ml_metadata"] = (error_json(404, "Not Found", 5), 9)
    assert run() == 2
    assert "KFP's dashboard (the service ml-pipeline-ui), not its API server alone" in capsys.readouterr().err
    assert (kfp.uploaded, kfp.runs) == ([], {})
