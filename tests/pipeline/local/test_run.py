import os
import tempfile
from pathlib import Path

import pytest
from kfp.local.graph_utils import topological_sort_tasks
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from pipeline.local.run import ordered_for_one_machine, temporary_folder
from pipeline.speedup import speedup_pipeline
from pipeline.steps import read_spec


@pytest.fixture
def ordered() -> PipelineSpec:
    """The pipeline as the local runner gets it."""
    ordered = PipelineSpec()
    with ordered_for_one_machine(speedup_pipeline.pipeline_spec):
        ordered.CopyFrom(speedup_pipeline.pipeline_spec)
    return ordered


def test_on_this_machine_the_rounds_run_one_after_another(ordered: PipelineSpec) -> None:
    (loop,) = [c.dag.tasks["for-loop-2"] for c in ordered.components.values() if "for-loop-2" in c.dag.tasks]
    assert loop.iterator_policy.parallelism_limit == 1


def test_on_this_machine_the_answer_does_not_wait_for_the_depth_study(ordered: PipelineSpec) -> None:
    (tasks,) = [c.dag.tasks for c in ordered.components.values() if "condition-3" in c.dag.tasks]
    assert topological_sort_tasks(dict(tasks))[0] == "condition-3"  # a stack, whose first comes last


def test_the_pipeline_itself_stays_as_it_is(ordered: PipelineSpec) -> None:
    assert ordered != speedup_pipeline.pipeline_spec
    before = read_spec()
    with pytest.raises(KeyError), ordered_for_one_machine(speedup_pipeline.pipeline_spec):
        raise KeyError
    assert read_spec() == before


def test_what_the_steps_leave_in_the_temporary_folder_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with temporary_folder():
        (Path(os.environ["TMPDIR"]) / "tmp.abc").mkdir()
        assert Path(os.environ["TMPDIR"]).parent == tmp_path
    assert os.environ["TMPDIR"] == str(tmp_path)
    assert list(tmp_path.iterdir()) == []
