"""Running this project's programs, with what they took."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence


def run_program(arguments: Sequence[str]) -> tuple[float, int]:
    """Returns wall seconds and peak resident bytes of one run of a module of this project.

    Raises:
        RuntimeError: It failed.
    """
    began = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen([sys.executable, "-m", *arguments], stdout=output)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"python -m {' '.join(arguments)} ended with {process.returncode}")
    return time.perf_counter() - began, usage.ru_maxrss * 1024
