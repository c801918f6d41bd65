from pathlib import Path

import pytest
from kfp import dsl

from components.clean_up import clean_up
from tests.components.trial_folders import write_trial
from tfjob import launch
from tfjob.errors import ClusterRefused


def test_no_trial_is_lost_because_a_job_cannot_be_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ClusterRefused("TFJobs may be left: no answer")

    monkeypatch.setattr(launch, "delete_jobs", refuse)
    workspace = tmp_path / "workspace"
    options = {"pipeline_job_id": "run-1", "settings": "{}", "workspace_path": str(workspace)}
    with pytest.raises(SystemExit, match="may be left"):
        clean_up.python_func(**options, finished=dsl.Artifact(uri=str(tmp_path / "nothing")))
    write_trial(workspace / "finished" / "single-t1", "single", 1)

    clean_up.python_func(**options, finished=dsl.Artifact(uri=str(tmp_path / "out")))

    assert (tmp_path / "out" / "single-t1" / "launch.json").exists()
    assert "Warning: TFJobs may be left: no answer" in capsys.readouterr().out


@pytest.mark.parametrize("is_handed_out", [True, False])
def test_the_exit_handler_stores_the_finished_trials_of_a_run_that_broke_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_handed_out: bool
) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    workspace = tmp_path / "workspace"
    for name in ("single", "all-reduce-2w"):
        write_trial(workspace / "finished" / f"{name}-t1", name, 1)
    if is_handed_out:
        (workspace / "handed-out").touch()

    clean_up.python_func(
        pipeline_job_id="run-1",
        settings="{}",
        workspace_path=str(workspace),
        finished=dsl.Artifact(uri=str(tmp_path / "out")),
    )

    told = "The run broke off: 2 finished trial(s) are in the artifact `finished`\n"
    assert capsys.readouterr().out == ("" if is_handed_out else told)
    stored = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert stored == (["README.txt"] if is_handed_out else ["all-reduce-2w-t1", "single-t1"])
