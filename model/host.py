"""Facts about this machine and this process, for the record."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import re
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from model.errors import ConfigError

DISTRIBUTION = "tfjob-speedup"
_ALSO_CALLED = {"tensorflow": ("tensorflow-cpu", "tf-nightly")}
# As this process was given them: TensorFlow's strategies set further ones, each its own.
_GIVEN = dict(os.environ)
# What steers the libraries that compute, by the names' beginnings.
_STEERING = (
    *("TF_", "TF2_", "XLA_", "KERAS_", "OMP_", "KMP_", "GOMP_", "MKL_", "DNNL_", "ONEDNN_", "OPENBLAS_", "VECLIB_"),
    *("CUDA_", "CUDNN_", "CUBLAS_", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_TF32_", "NCCL_", "LD_PRELOAD", "MALLOC_"),
)
# Addresses of the replicas differ in every trial; Terraform's variables begin like TensorFlow's and hold anything; and
# what looks like a secret goes into no record.
_UNTOLD = re.compile(
    r"^TF_(CONFIG$|VAR_|CLI_|LOG|DATA_DIR|PLUGIN_|REGISTRY_|WORKSPACE|INPUT$|IN_AUTOMATION)"
    r"|TOKEN|SECRET|PASSW|CREDENTIAL|(^|_)KEY(_|$)|APIKEY|(^|_)AUTH",
    re.IGNORECASE,
)
_SECRET_VALUE = re.compile(r"://[^/\s]*@")
# Names the variables, with blanks between, that a person has set on the job: their values may be secret.
UNTOLD_VARIABLE = "TFJOB_SPEEDUP_UNTOLD"
# What stands for a secret. A shorter text, such as a number of threads, stands in a log for other reasons, too.
HIDDEN, SHORTEST_SECRET = "(hidden)", 6


def describe_host() -> dict[str, Any]:
    """Returns CPU model, usable cores, memory in bytes and platform."""
    return {
        "cpu_model": _cpu_model(),
        "cores": psutil.cpu_count() or 1,
        "memory_bytes": psutil.virtual_memory().total,
        "platform": platform.platform(),
    }


def describe_environment(environment: Mapping[str, str] = _GIVEN) -> dict[str, str]:
    """Returns the variables that steer TensorFlow, Keras and the libraries below them, in the order of their names.

    Of those that a person has set on the job the names are told, and short values.

    Args:
        environment: The variables to select from; by default those that this process was given.
    """
    untold = environment.get(UNTOLD_VARIABLE, "").split()
    return {
        name: HIDDEN if name in untold and len(value) >= SHORTEST_SECRET else value
        for name, value in sorted(environment.items())
        if name.startswith(_STEERING) and not _UNTOLD.search(name) and not _SECRET_VALUE.search(value)
    }


def describe_versions() -> dict[str, str]:
    """Returns the versions of Python, the libraries that compute, and this project.

    Asked before the training, it is not its end that finds out which cannot be told.

    Raises:
        ConfigError: An installed package does not tell its version.
    """
    return {
        "python": platform.python_version(),
        **{name: read_version(name) for name in ("tensorflow", "keras", "numpy")},
        "tfjob_speedup": read_version(DISTRIBUTION),
        "git_sha": os.environ.get("GIT_SHA") or _git_sha(),
    }


def read_version(distribution: str) -> str:
    """Returns the version of an installed package.

    TensorFlow has packages of other names that hold the same: for CPUs alone, or a build of the night.

    Raises:
        ConfigError: It does not tell.
    """
    names = [distribution, *_ALSO_CALLED.get(distribution, ())]
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            if version := importlib.metadata.version(name):
                return version
    raise ConfigError(
        f"The version of {distribution} must be known, since it is on record with what is measured. Received: no "
        f"readable metadata of {' or '.join(names)} in {sys.prefix}. Install it again, as requirements.lock has it."
    )


def cpu_seconds() -> float:
    """Returns the processor time of this process so far, user and system."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def peak_rss_bytes() -> int:
    """Returns this process's largest resident memory so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def seconds_since_process_start() -> float:
    """Returns the age of this process; of a fork of one that has asked before, since the start of that one."""
    return time.perf_counter() - _find_process_start()


@functools.cache
def _find_process_start() -> float:
    """Returns the start of this process on the clock of `time.perf_counter`."""
    stat = Path("/proc/self/stat")
    if stat.exists():  # exact to a clock tick, while the start in Unix time depends on a boot time in whole seconds
        ticks = int(stat.read_text(encoding="ascii").rpartition(")")[2].split()[19])
        age_seconds = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    else:
        age_seconds = time.time() - psutil.Process().create_time()
    return time.perf_counter() - age_seconds


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git_sha() -> str:
    """Returns the commit that this file is of, with `-dirty` where its checkout holds what is in no commit."""
    try:
        _run_git("ls-files", "--error-unmatch", Path(__file__).name)  # a package in somebody else's checkout is not it
        changed = _run_git("status", "--porcelain", "--untracked-files=no")
        # Of what is new, only programs: results of this run may lie in the checkout, and grow with every trial.
        new = _run_git("ls-files", "--others", "--exclude-standard", ":(top)*.py")
        return _run_git("rev-parse", "HEAD") + ("-dirty" if changed or new else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _run_git(*arguments: str) -> str:
    command = ["git", "--no-optional-locks", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
