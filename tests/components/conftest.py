from pathlib import Path

import pytest

from tests.components.fake_program import FAKE_PROGRAM


@pytest.fixture
def fake_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the package `model` that replicas find, in their working directory, before the real one."""
    package = tmp_path / "cwd" / "model"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "train.py").write_text(FAKE_PROGRAM)
    monkeypatch.chdir(package.parent)
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    return package
