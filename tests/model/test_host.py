import subprocess
import time
from pathlib import Path

import pytest

from model import host
from model.errors import ConfigError
from model.host import (
    cpu_seconds,
    describe_environment,
    describe_host,
    describe_versions,
    peak_rss_bytes,
    read_version,
    seconds_since_process_start,
)


def test_the_host_is_described_with_units_in_the_names() -> None:
    facts = describe_host()
    assert set(facts) == {"cpu_model", "cores", "memory_bytes", "platform"}
    assert facts["cpu_model"]
    assert facts["cores"] >= 1
    assert facts["memory_bytes"] > 2**28


def test_the_commit_comes_from_the_image_or_else_from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SHA", "abc")
    versions = describe_versions()
    assert set(versions) == {"python", "tensorflow", "keras", "numpy", "tfjob_speedup", "git_sha"}
    assert versions["git_sha"] == "abc"
    monkeypatch.delenv("GIT_SHA")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    assert describe_versions()["git_sha"].removesuffix("-dirty") == (head or "unknown")


def test_a_package_that_does_not_tell_its_version_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"The version of no-such-package must be known.* Install it again"):
        read_version("no-such-package")


def test_a_package_is_known_by_its_other_names_too() -> None:
    assert read_version("tensorflow").startswith("2.")


def run_git(directory: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c")
    command = ["git", "-C", str(directory), *identity, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("GIT_SHA", raising=False)
    (tmp_path / "host.py").write_text("")
    (tmp_path / ".gitignore").write_text("runs/\n")
    run_git(tmp_path, "init", "--quiet")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "--quiet", "--message=first")
    monkeypatch.setattr(host, "__file__", str(tmp_path / "host.py"))
    return tmp_path


def test_a_checkout_with_changes_is_not_its_commit(checkout: Path) -> None:
    head = run_git(checkout, "rev-parse", "HEAD")
    (checkout / "runs").mkdir()
    (checkout / "runs" / "copy.py").write_text("ignored")
    (checkout / "results.json").write_text("{}")
    assert describe_versions()["git_sha"] == head
    (checkout / "package").mkdir()
    (checkout / "package" / "new.py").write_text("")
    assert describe_versions()["git_sha"] == f"{head}-dirty"
    (checkout / "package" / "new.py").unlink()
    (checkout / "host.py").write_text("changed")
    assert describe_versions()["git_sha"] == f"{head}-dirty"


def test_a_package_that_was_installed_into_somebody_elses_checkout_is_not_of_its_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (checkout / "runs").mkdir()
    (checkout / "runs" / "host.py").write_text("")
    monkeypatch.setattr(host, "__file__", str(checkout / "runs" / "host.py"))
    assert describe_versions()["git_sha"] == "unknown"


def test_the_environment_is_what_steers_the_libraries_and_no_secret() -> None:
    steering = {
        "KERAS_BACKEND": "tensorflow",
        "LD_PRELOAD": "/lib/libjemalloc.so",
        "OMP_NUM_THREADS": "1",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_GPU_THREAD_MODE": "gpu_private",
        "XLA_FLAGS": "--xla_dump_to=/tmp",
    }
    others = {
        "HOME": "/root",
        "MY_TF_FLAG": "1",
        "TF_CONFIG": "{}",
        "TF_API_TOKEN": "a",
        "KERAS_HUB_KEY": "a",
        "NCCL_PASSWORD": "a",
        "TF_VAR_database": "terraform's",
        "TF_MIRROR": "https://user:password@mirror",
    }
    assert describe_environment({**others, **steering}) == steering
    assert list(describe_environment({**others, **steering})) == sorted(steering)


def test_processor_time_and_memory_of_this_process_grow_only() -> None:
    before = cpu_seconds()
    while cpu_seconds() == before:
        sum(range(1000))
    assert cpu_seconds() > before
    held = bytearray(2**20)
    assert peak_rss_bytes() > len(held)


def test_the_age_of_this_process_grows_with_the_time() -> None:
    before = seconds_since_process_start()
    time.sleep(0.02)
    assert before + 0.02 <= seconds_since_process_start() < 24 * 3600


def test_of_what_a_person_has_set_on_the_job_the_values_are_untold() -> None:
    given = {"TFJOB_SPEEDUP_UNTOLD": "TF_MIRROR XLA_FLAGS", "TF_MIRROR": "https://a?sig=planted", "XLA_FLAGS": "1"}
    told = describe_environment({**given, "TF_MIRROR_OF_THE_IMAGE": "https://mirror"})
    assert told == {"TF_MIRROR": "(hidden)", "TF_MIRROR_OF_THE_IMAGE": "https://mirror", "XLA_FLAGS": "1"}
