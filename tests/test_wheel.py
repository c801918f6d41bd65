import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import asdict
from pathlib import Path

import pytest

from comparison.records import format_records
from tests.comparison.record_factory import make_run, make_run_info
from tests.test_architecture import PACKAGES, ROOT

pytestmark = pytest.mark.slow

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, since a build leaves its work beside the sources and would take up an older one's."""
    folder = tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for package in PACKAGES:
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder))
    subprocess.run([*PIP, "wheel", *options, str(source)], check=True, timeout=900)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([*PIP, "install", "--no-index", "--no-deps", "--target", str(folder), str(wheel)], check=True)
    return folder


def test_every_file_of_the_packages_is_in_the_wheel_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        packed = sorted(name for name in archive.namelist() if ".dist-info/" not in name)
    in_tree = [
        f"{package}/{name}" for package in PACKAGES for name in list_files(ROOT / package) if "__pycache__" not in name
    ]
    assert packed == sorted(in_tree)


def test_the_installed_command_makes_a_report_elsewhere(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "trials.jsonl").write_text(format_records(make_run()))
    (tmp_path / "run.json").write_text(json.dumps(asdict(make_run_info())))
    command = [str(installed / "bin" / "tfjob-speedup"), "report", "."]
    for language in ("en", "zh"):
        subprocess.run(
            [*command, "--lang", language], cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(installed)}, check=True
        )
    assert {"report.html", "report.zh.html"} <= {path.name for path in tmp_path.iterdir()}
