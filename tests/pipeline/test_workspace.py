from pathlib import Path

import pytest
import yaml

from pipeline.compile import compile_pipeline, main
from pipeline.speedup import Workspace


def read_workspace(path: Path) -> object:
    _, platform = yaml.safe_load_all(path.read_text())
    return platform["platforms"]["kubernetes"]["pipelineConfig"]["workspace"]


@pytest.mark.parametrize(
    ("workspace", "size", "claim"),
    [
        (Workspace(), "2Gi", {"accessModes": ["ReadWriteMany"]}),
        (Workspace(size="10Gi"), "10Gi", {"accessModes": ["ReadWriteMany"]}),
        (Workspace("ReadWriteOnce", "fast"), "2Gi", {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}),
    ],
)
def test_each_option_changes_its_own_part_of_the_workspace(
    tmp_path: Path, workspace: Workspace, size: str, claim: object
) -> None:
    compile_pipeline(tmp_path / "pipeline.yaml", workspace)
    expected = {"size": size, "kubernetes": {"pvcSpecPatch": claim}}
    assert read_workspace(tmp_path / "pipeline.yaml") == expected


def test_the_compiled_pipeline_differs_in_its_platform_alone(tmp_path: Path) -> None:
    path, plain = tmp_path / "pipeline.yaml", tmp_path / "plain.yaml"
    options = ("--workspace-access-mode=ReadWriteOnce", "--workspace-storage-class=fast", "--workspace-size=10Gi")
    assert main([f"--output={path}", *options]) == 0
    assert main([f"--output={plain}"]) == 0
    assert path.read_text().split("\n---\n")[0] == plain.read_text().split("\n---\n")[0]
    assert read_workspace(path) == {
        "size": "10Gi",
        "kubernetes": {"pvcSpecPatch": {"accessModes": ["ReadWriteOnce"], "storageClassName": "fast"}},
    }


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
