import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from components.image import DEFAULT_IMAGE
from components.planning.parameters import Parameters
from model.data.sources import CACHE_VARIABLE, SHIPPED_VARIABLE

ROOT = Path(__file__).parents[1]
FOUND = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]["find"]["include"]
PACKAGES = [name for name in FOUND if not name.endswith(".*")]
SECRET = "https://me:secret@packages.example.org/simple"


def read_stages() -> list[list[tuple[str, str]]]:
    """The Dockerfile's instructions with their arguments, by stage; what is before the first FROM is left out."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", " ")
    stages: list[list[tuple[str, str]]] = [[]]
    for line in text.splitlines():
        instruction, _, arguments = line.partition(" ")
        if instruction == "FROM":
            stages.append([])
        if instruction:
            stages[-1].append((instruction, arguments))
    return stages[1:]


STAGES = read_stages()
IMAGE = STAGES[-1]


def read_env(stage: list[tuple[str, str]]) -> dict[str, str]:
    words = [word for name, arguments in stage if name == "ENV" for word in shlex.split(arguments)]
    return dict(word.split("=", 1) for word in words)


def make_image(builders: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    tools = {name: value for name, value in os.environ.items() if not name.upper().endswith(("_PROXY", "_URL"))}
    tools |= {"PATH": f"{builders}{os.pathsep}{os.environ['PATH']}", "MAKEFLAGS": ""}
    return subprocess.run(
        ["make", "--no-print-directory", "image", *arguments],
        cwd=ROOT,
        env=tools | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def builders(tmp_path: Path) -> Path:
    """A folder with the three builders: docker has no service to talk to, the others say what they were asked."""
    for name in ("docker", "podman", "buildah"):
        (tmp_path / name).write_text(f'#!/bin/sh\n[ {name} != docker ] || exit 1\necho {name} "$@"\n')
        (tmp_path / name).chmod(0o755)
    return tmp_path


def test_the_libraries_are_those_of_the_lock_checked_by_hash() -> None:
    libraries = STAGES[0]
    assert ("ARG", "REQUIREMENTS=requirements.lock") in libraries
    assert ("COPY", "${REQUIREMENTS} /requirements.lock") in libraries
    installs = [
        arguments for stage in STAGES for name, arguments in stage if name == "RUN" and " install " in arguments
    ]
    assert len(installs) == 2
    assert "--require-hashes" in installs[0]
    assert {"--no-index", "--no-deps", "--no-build-isolation"} <= set(installs[1].split())  # the project's own


def test_what_builds_a_source_distribution_is_in_the_lock() -> None:
    install = next(arguments for name, arguments in STAGES[0] if name == "RUN")
    script = re.search(r"sed -n '[^']+'", install)
    assert script
    lines = subprocess.check_output([*shlex.split(script[0]), "requirements.lock"], cwd=ROOT, text=True).splitlines()
    assert lines[0].startswith("setuptools==")
    assert len(lines) > 1
    assert all("--hash=sha256:" in line for line in lines[1:])


def test_a_changed_program_renews_no_library() -> None:
    copied = [arguments for stage in STAGES for name, arguments in stage if name == "COPY"]
    assert copied == [
        "${REQUIREMENTS} /requirements.lock",
        ". /source",
        "model /source/model",
        "--from=stripped /opt/venv /opt/venv",
        "--from=data /opt/datasets /opt/datasets",
        "--from=project /staged/opt/venv /opt/venv",
    ]


def test_a_commit_renews_no_layer() -> None:
    names = [name for name, _ in IMAGE]
    last_layer = max(index for index, name in enumerate(names) if name in {"RUN", "COPY", "ADD", "WORKDIR"})
    assert IMAGE.index(("ARG", "GIT_SHA=unknown")) > last_layer
    assert read_env(IMAGE)["GIT_SHA"] == "${GIT_SHA}"


def test_the_user_is_a_number_and_not_root() -> None:
    users = [arguments for name, arguments in IMAGE if name == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])


@pytest.mark.parametrize("name", ["HOME", "KERAS_HOME", "MPLCONFIGDIR"])
def test_nothing_is_written_outside_of_tmp(name: str) -> None:
    assert Path("/tmp") in [Path(read_env(IMAGE)[name]), *Path(read_env(IMAGE)[name]).parents]


def test_the_build_gets_the_packages_and_what_describes_them_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"
    sources = {"requirements*.lock", "pyproject.toml", "README.md", "LICENSE", *PACKAGES}
    assert {line[1:] for line in lines if line.startswith("!")} == sources
    assert lines[-1] == "**/__pycache__"


def test_no_image_is_the_latest() -> None:
    assert "latest" not in (ROOT / "Dockerfile").read_text()
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11-slim$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert {stage[0][1].split()[0] for stage in STAGES} == {"${PYTHON_IMAGE}", "libraries"}


def test_the_image_carries_the_default_data_set_from_its_checked_sources() -> None:
    data = next(stage for stage in STAGES if stage[0][1].endswith(" AS data"))
    assert ("ARG", f"DATASETS={Parameters().dataset}") in data
    fetch = next(arguments for name, arguments in data if name == "RUN")
    assert "python3 -m model.prepare --dataset $dataset" in fetch
    # What a fetch leaves in its cache is what a step looks for.
    assert re.search(rf"{CACHE_VARIABLE}=(\S+)", fetch)[1] == read_env(IMAGE)[SHIPPED_VARIABLE]  # type: ignore[index]


def test_whatever_tells_pip_of_an_index_is_known_where_packages_and_data_are_fetched() -> None:
    told = [{arguments for name, arguments in stage if arguments.startswith("PIP_")} for stage in STAGES]
    assert [len(names) for names in told if names] == [6, 6]
    assert told[0] in told[1:]


def test_the_image_is_called_as_the_pipeline_calls_it(builders: Path) -> None:
    assert f"--tag {DEFAULT_IMAGE} " in make_image(builders).stdout


@pytest.mark.parametrize("program", ["run", "compile", "upload"])
def test_a_name_given_to_make_is_the_default_of_the_programs(program: str) -> None:
    told = subprocess.check_output(["make", "-n", program, "IMAGE=registry.example.org/mine:1"], cwd=ROOT, text=True)
    assert f"TFJOB_SPEEDUP_IMAGE=registry.example.org/mine:1 .venv/bin/python -m pipeline.{program}" in told
    code = "from components.image import DEFAULT_IMAGE; print(DEFAULT_IMAGE)"
    named = os.environ | {"TFJOB_SPEEDUP_IMAGE": "registry.example.org/mine:1"}
    said = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=named, text=True)
    assert said == "registry.example.org/mine:1\n"


def test_a_builder_that_does_not_answer_is_passed_over(builders: Path) -> None:
    said = make_image(builders, "IMAGE=registry.example.org/mine:1", "BUILD_FLAGS=--network host").stdout.splitlines()
    assert re.fullmatch(
        r"podman build --tag registry\.example\.org/mine:1 .*--build-arg VERSION=\S+ "
        r"--build-arg GIT_SHA=([0-9a-f]{40}(-dirty)?|unknown) --network host \.",
        said[1],
    )
    assert said[2] == "registry.example.org/mine:1: podman images --format {{.Size}} registry.example.org/mine:1"


def test_buildah_is_told_to_keep_layers(builders: Path) -> None:
    assert "\nbuildah build --layers --tag " in make_image(builders, "BUILDER=buildah").stdout


def test_without_a_builder_the_error_names_the_three(builders: Path) -> None:
    result = make_image(builders, "BUILDER=")
    assert result.returncode != 0
    assert "docker, podman or buildah is needed" in result.stderr


def test_the_environments_index_is_handed_on_by_name_alone(builders: Path) -> None:
    with_index, without = make_image(builders, PIP_INDEX_URL=SECRET), make_image(builders)
    assert " --build-arg PIP_INDEX_URL " in with_index.stdout
    assert "secret" not in with_index.stdout + with_index.stderr
    assert "PIP_INDEX_URL" not in without.stdout
