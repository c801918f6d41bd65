import json

import pytest

from tfjob.preflight.finding import Finding, Status
from tfjob.preflight.program import main, render_finding, report


def test_a_finding_is_a_line_and_its_fix_another() -> None:
    finding = Finding(Status.FAILED, "there is\n none", "kubectl create namespace a", "namespace")
    assert render_finding(finding) == "FAILED   namespace – there is none\n         fix: kubectl create namespace a"
    assert render_finding(Finding(Status.OK, "a", what="namespace")) == "ok       namespace – a"


@pytest.mark.parametrize(
    ("statuses", "code"), [([Status.OK], 0), ([Status.WARNING, Status.UNKNOWN], 0), ([Status.OK, Status.FAILED], 1)]
)
@pytest.mark.parametrize("is_json", [True, False])
def test_only_a_failure_gives_exit_code_1(
    statuses: list[Status], code: int, is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report([Finding(status, "so", what="it") for status in statuses], is_json) == code
    printed = capsys.readouterr().out
    if is_json:
        record = json.loads(printed)
        assert record["failed"] == code
        assert record["findings"][0] == {"status": statuses[0], "what": "it", "detail": "so", "fix": None}
    else:
        assert printed.count(" it – so\n") == len(statuses)


def test_what_a_server_says_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    report([Finding(Status.FAILED, "no\x1b[2J\u202e", "kubectl get \x9b31m", "it")], is_json=False)
    report([Finding(Status.FAILED, "no\x1b[2J", what="it")], is_json=True)
    plain, record = capsys.readouterr().out.split("\n{", 1)
    assert plain == "FAILED   it – no\\x1b[2J\\u202e\n         fix: kubectl get \\x9b31m"
    assert r"no\u001b[2J" in record


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--try"], "--try must come with --image"),
        (["--gpus", "-1"], "must be a whole number, 0 or more. Received: '-1'"),
        (["--gpus", "two"], "must be a whole number, 0 or more. Received: 'two'"),
        (["--access-mode", "RWX"], "invalid choice: 'RWX'"),
    ],
)
def test_wrong_usage_gives_exit_code_2(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments, {})
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_no_cluster_at_all_is_a_failed_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([], {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == 1
    assert capsys.readouterr().out.startswith("FAILED   API server – No cluster can be reached from here: ")
