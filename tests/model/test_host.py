import subprocess
import time

import pytest

from model.host import cpu_seconds, describe_host, describe_versions, peak_rss_bytes, seconds_since_process_start


def test_the_host_is_described_with_units_in_the_names() -> None:
    host = describe_host()
    assert set(host) == {"cpu_model", "cores", "memory_bytes", "platform"}
    assert host["cpu_model"]
    assert host["cores"] >= 1
    assert host["memory_bytes"] > 2**28


def test_the_commit_comes_from_the_image_or_else_from_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_SHA", "abc")
    versions = describe_versions()
    assert set(versions) == {"python", "tensorflow", "keras", "numpy", "tfjob_speedup", "git_sha"}
    assert versions["git_sha"] == "abc"
    monkeypatch.delenv("GIT_SHA")
    head = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    assert describe_versions()["git_sha"] == (head or "unknown")


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
