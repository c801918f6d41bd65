import os
import sys
import tempfile
from pathlib import Path

import pytest
from kfp.local import subprocess_task_handler
from kfp.local.graph_utils import topological_sort_tasks
from kfp.pipeline_spec.pipeline_spec_pb2 import PipelineSpec

from pipeline.local.run import ordered_for_one_machine, parameters_left_alone, temporary_folder
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


def test_a_persons_own_interpreter_is_left_in_the_parameters_of_a_step() -> None:
    starts = "exec python3 -m kfp.dsl.executor_main"
    given = '{"command": "/opt/conda/bin/python3 train.py"}'
    before = subprocess_task_handler.replace_python_executable
    with parameters_left_alone():
        command = subprocess_task_handler.replace_python_executable(["sh", starts, given], sys.executable)
    assert command == ["sh", starts.replace("python3", sys.executable), given]
    assert subprocess_task_handler.replace_python_executable is before
