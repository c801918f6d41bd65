from pathlib import Path

import pytest
import yaml

from pipeline.compile import WorkspaceOptions, change_workspace, compile_text, main

PLATFORM = {
    "platforms": {
        "kubernetes": {
            "pipelineConfig": {
                "workspace": {"size": "2Gi", "kubernetes": {"pvcSpecPatch": {"accessModes": ["ReadWriteMany"]}}}
            }
        }
    }
}


def test_each_option_changes_its_own_part_of_the_workspace_and_the_original_stays() -> None:
    changed = change_workspace(PLATFORM, WorkspaceOptions(access_mode="ReadWriteOnce", storage_class="fast"))
    assert changed["platforms"]["kubernetes"]["pipelineConfig"]["workspace"] == {
        "size": "2Gi",
        "kubernetes": {"pvcSpecPatch": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}},
    }
    assert change_workspace(PLATFORM, WorkspaceOptions()) == PLATFORM
    assert change_workspace(PLATFORM, WorkspaceOptions(size="10Gi")) != PLATFORM


def test_the_compiled_pipeline_differs_in_its_platform_alone(tmp_path: Path) -> None:
    path = tmp_path / "pipeline.yaml"
    options = ("--workspace-access-mode=ReadWriteOnce", "--workspace-storage-class=fast", "--workspace-size=10Gi")
    assert main([f"--output={path}", *options]) == 0
    pipeline, platform = yaml.safe_load_all(path.read_text())
    expected_pipeline, expected_platform = yaml.safe_load_all(compile_text(WorkspaceOptions()))
    assert pipeline == expected_pipeline
    assert platform == change_workspace(expected_platform, WorkspaceOptions("ReadWriteOnce", "fast", "10Gi"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--workspace-size=10 GB", "must be a Kubernetes quantity such as 10Gi. Received: '10 GB'."),
        ("--workspace-access-mode=ReadOnlyMany", "invalid choice: 'ReadOnlyMany'"),
    ],
)
def test_what_a_volume_cannot_be_is_refused(option: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([option])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
