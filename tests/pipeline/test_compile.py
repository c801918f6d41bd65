import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import pytest
import yaml

from components.image import DEFAULT_IMAGE
from components.planning.order import list_places
from components.planning.parameters import Parameters
from components.planning.plan import plan_run
from pipeline.compile import compile_pipeline, main

# Renew it with: python -m pipeline.compile --output tests/pipeline/golden/pipeline.yaml
GOLDEN = Path(__file__).parent / "golden" / "pipeline.yaml"
STEPS = {
    "plan-comparison",
    "prepare-data",
    "train-single-node",
    "train-distributed",
    "evaluate",
    "compare",
    "study-depth",
    "clean-up",
}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compiled") / "build" / "pipeline.yaml"
    compile_pipeline(path)
    return path


@pytest.fixture(scope="module")
def documents(compiled: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(compiled.read_text()))


@pytest.fixture(scope="module")
def spec(documents: list[dict[str, Any]]) -> dict[str, Any]:
    return documents[0]


@pytest.fixture(scope="module")
def tasks(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Every task of the graph and of its loop, by name."""
    graphs = [spec["root"]["dag"], *(c["dag"] for c in spec["components"].values() if "dag" in c)]
    return {name: task for graph in graphs for name, task in graph["tasks"].items()}


def test_the_compiled_pipeline_is_the_golden_one(compiled: Path) -> None:
    assert compiled.read_text() == GOLDEN.read_text()


def test_the_program_writes_the_file_and_says_what_it_is_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--output", str(tmp_path / "deep" / "pipeline.yaml")]) == 0
    assert (tmp_path / "deep" / "pipeline.yaml").read_text() == GOLDEN.read_text()
    assert "upload it in the dashboard" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("output", "told"),
    [
        ("pipeline.yml", "--output must end with .yaml. Received: "),
        ("file/pipeline.yaml", "pipeline.yaml cannot be written: "),
        ("folder.yaml", "folder.yaml cannot be written: Is a directory"),
    ],
)
def test_a_file_that_cannot_be_written_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], output: str, told: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder.yaml").mkdir()
    try:
        status = main(["--output", str(tmp_path / output)])
    except SystemExit as refused:
        status = int(refused.code or 0)
    assert status == 2
    assert told in capsys.readouterr().err


def test_an_image_that_is_named_is_what_the_form_shows_and_changes_nothing_else(tmp_path: Path, compiled: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    assert main([f"--output={path}", "--image=registry.example.org/team/own:1"]) == 0
    assert path.read_text().replace("registry.example.org/team/own:1", DEFAULT_IMAGE) == compiled.read_text()
    form = next(yaml.safe_load_all(path.read_text()))["root"]["inputDefinitions"]["parameters"]
    assert form["image"]["defaultValue"] == "registry.example.org/team/own:1"


def test_the_graph_has_the_steps_in_an_exit_handler_with_one_loop_and_one_branch(
    tasks: dict[str, dict[str, Any]],
) -> None:
    assert tasks.keys() == STEPS | {"exit-handler-1", "for-loop-2", "condition-3"}


def test_the_depth_study_runs_when_asked_for_after_everything_timed_and_is_not_what_comes_last(
    tasks: dict[str, dict[str, Any]],
) -> None:
    branch = tasks["condition-3"]
    asked = "inputs.parameter_values['pipelinechannel--study_depth'] == true"
    assert branch["triggerPolicy"]["condition"] == asked
    assert branch["dependentTasks"] == ["evaluate", "plan-comparison", "prepare-data"]
    assert "condition-3" not in tasks["compare"]["dependentTasks"]


def test_no_step_installs_packages_when_it_runs(compiled: Path) -> None:
    assert "pip install" not in compiled.read_text()


def test_no_step_is_answered_from_a_cache(tasks: dict[str, dict[str, Any]]) -> None:
    assert [tasks[name]["cachingOptions"] for name in STEPS] == [{}] * len(STEPS)


def test_every_steps_image_is_the_pipelines_parameter(spec: dict[str, Any], tasks: dict[str, dict[str, Any]]) -> None:
    images = {executor["container"]["image"] for executor in spec["deploymentSpec"]["executors"].values()}
    assert images == {"{{$.inputs.parameters['pipelinechannel--image']}}"}
    sources = {name: tasks[name]["inputs"]["parameters"]["pipelinechannel--image"] for name in STEPS}
    assert sources.pop("clean-up") == {"componentInputParameter": "image"}
    assert list(sources.values()) == [{"componentInputParameter": "pipelinechannel--image"}] * len(sources)
    assert spec["root"]["inputDefinitions"]["parameters"]["image"]["defaultValue"] == DEFAULT_IMAGE


def test_no_limit_on_the_loop_makes_a_retry_hang(compiled: Path, tasks: dict[str, dict[str, Any]]) -> None:
    assert "parallelismLimit" not in compiled.read_text()
    assert tasks["train-distributed"]["dependentTasks"] == ["train-single-node"]


def test_the_steps_that_train_have_the_names_that_the_plan_gives_them(tasks: dict[str, dict[str, Any]]) -> None:
    assert {place.step for place in list_places(plan_run("run-1", Parameters()))} <= tasks.keys()


def test_the_steps_that_take_turns_and_those_that_see_to_what_is_finished_share_the_workspace(
    tasks: dict[str, dict[str, Any]],
) -> None:
    placeholder = {"runtimeValue": {"constant": "{{$.workspace_path}}"}}
    mounted = {name for name in STEPS if placeholder in tasks[name].get("inputs", {}).get("parameters", {}).values()}
    assert mounted == {"train-single-node", "train-distributed", "evaluate", "clean-up"}


def test_the_dashboards_page_of_a_task_finds_the_settings_of_steps_that_it_looks_for(
    documents: list[dict[str, Any]], spec: dict[str, Any]
) -> None:
    executors = documents[1]["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
    assert executors
    assert executors.keys() <= spec["deploymentSpec"]["executors"].keys()


def test_whatever_becomes_of_the_run_its_jobs_are_cleaned_up_at_its_end(tasks: dict[str, dict[str, Any]]) -> None:
    assert tasks["clean-up"]["triggerPolicy"] == {"strategy": "ALL_UPSTREAM_TASKS_COMPLETED"}
    assert tasks["clean-up"]["dependentTasks"] == ["exit-handler-1"]


def test_what_is_set_on_a_training_step_goes_to_its_jobs(spec: dict[str, Any]) -> None:
    fields = {
        name: {entry["field"]: entry.get("applyToTask", False) for entry in component["taskConfigPassthroughs"]}
        for name, component in spec["components"].items()
        if "taskConfigPassthroughs" in component
    }
    expected = {
        "RESOURCES": False,
        "KUBERNETES_TOLERATIONS": False,
        "KUBERNETES_NODE_SELECTOR": False,
        "KUBERNETES_AFFINITY": False,
        "ENV": True,
        "KUBERNETES_VOLUMES": True,
    }
    assert fields == {"comp-train-single-node": expected, "comp-train-distributed": expected}


def test_nothing_is_fetched_before_the_parameters_are_checked(tasks: dict[str, dict[str, Any]]) -> None:
    assert tasks["prepare-data"]["dependentTasks"] == ["plan-comparison"]


def test_the_workspace_can_be_mounted_by_all_replicas(documents: list[dict[str, Any]]) -> None:
    workspace = documents[1]["platforms"]["kubernetes"]["pipelineConfig"]["workspace"]
    assert workspace["size"] == "2Gi"
    assert workspace["kubernetes"]["pvcSpecPatch"]["accessModes"] == ["ReadWriteMany"]


def test_every_parameter_and_every_step_is_described(spec: dict[str, Any]) -> None:
    parameters = spec["root"]["inputDefinitions"]["parameters"]
    assert [name for name, parameter in parameters.items() if not parameter.get("description")] == []
    steps = {name: component for name, component in spec["components"].items() if "executorLabel" in component}
    outputs = [
        (name, output)
        for name, component in steps.items()
        for output, definition in component.get("outputDefinitions", {}).get("artifacts", {}).items()
        if not definition.get("description")
    ]
    assert outputs == []


def test_the_description_that_the_dashboard_shows_tells_what_each_field_means(spec: dict[str, Any]) -> None:
    described = spec["pipelineInfo"]["description"]
    form = spec["root"]["inputDefinitions"]["parameters"]
    assert [name for name in form if f"- **`{name}`**: " not in described] == []
    # A version's description is a part of a URL, of which some proxies take no more than 8 KiB.
    assert len(urllib.parse.quote(described)) < 7_000


def test_every_parameters_default_works() -> None:
    assert [configuration.name for configuration in plan_run("run-1", Parameters()).configurations] == [
        "single",
        "all-reduce-2w",
        "parameter-server-2w-1ps",
    ]


def test_compiling_needs_neither_tensorflow_nor_a_clusters_libraries() -> None:
    code = "import sys, pipeline.compile; print(sorted({'tensorflow', 'keras', 'kubeflow'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
