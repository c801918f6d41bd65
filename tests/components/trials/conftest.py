from pathlib import Path

import pytest


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "prepared"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")
    return folder
