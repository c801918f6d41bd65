"""What it costs to tell progress, and to listen to it: CPU time, so that a busy machine harms the figures little.

`python -m benchmarks.progress_cost` measures a call of the helper, in a process as a training's would be, and the share
of a core that the listener takes at a thousand lines a second. It fails where one is above what it may be.
"""

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from program.helper import install_helper, progress_env
from program.listener import Listener
from program.settings import read_settings

MOST_MICROSECONDS, MOST_SHARE = 10.0, 0.05
_CALLS, _LINES, _REPEATS = 100_000, 20_000, 3
_TELLING = f"""
import time
import tfjob_speedup_progress as progress
began = time.process_time()
for _ in range({_CALLS}):
    progress.step(examples=64)
print((time.process_time() - began) / {_CALLS} * 1e6)
"""
_BAR = "\b" * 70 + "\r\x1b[1m{0:4d}/5000\x1b[0m \x1b[32m━━━━━━━━━━\x1b[0m \x1b[1m9s\x1b[0m 9ms/step - loss: 0.5"
LINES = {
    "a log that tells nothing": "2026-11-28 01:00:00.123 INFO data/reader.py:42] shard {0} of 5000 was read",
    "name=value": "epoch=1 step={0} loss=0.2512 accuracy=0.9312 lr=0.001",
    "Estimator": "INFO:tensorflow:loss = 0.2512, step = {0} (0.701 sec)",
    "Keras' bar, in pieces": _BAR,
    "ten redraws of a bar in a line": _BAR * 10,
}


def measure_call() -> float:
    """Returns the microseconds that a call of the helper takes, its writing included."""
    with tempfile.TemporaryDirectory() as folder:
        install_helper(Path(folder))
        env = {**os.environ, **progress_env(folder, folder, "worker-0")}
        done = subprocess.run([sys.executable, "-c", _TELLING], env=env, capture_output=True, text=True, check=True)
    return float(done.stdout)


def measure_listening(line: str, regexes: tuple[str, ...] = (), lines: int = _LINES) -> float:
    """Returns the share of a core that a thousand such lines a second take, the matching process included."""
    settings = read_settings(
        progress="auto",
        regexes=regexes,
        metric="",
        direction="",
        batch_size_per_replica=64,
        measure_steps=0,
        num_workers=2,
        num_ps=0,
    )
    listener = Listener(settings)
    listener.hear("worker-0", "Epoch 1/1", 0.0)
    texts = [line.format(number) for number in range(lines)]
    before = _read_cpu_seconds()
    for number, text in enumerate(texts):
        listener.hear("worker-0", text, number / 1000)
    listener.finish()
    return (_read_cpu_seconds() - before) / (lines / 1000)


def _read_cpu_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def main() -> int:
    """Prints the figures and returns the exit code: 1 where one is above what it may be."""
    began = time.monotonic()
    calls = [measure_call() for _ in range(_REPEATS)]
    print(f"A call of the helper takes {statistics.median(calls):.1f} µs of CPU (at most {MOST_MICROSECONDS:.0f}).\n")
    print("| 1,000 lines a second of | share of a core, median | max |\n|---|---|---|")
    cases: list[tuple[str, str, tuple[str, ...]]] = [(name, line, ()) for name, line in LINES.items()]
    cases.append(("name=value, three own expressions", LINES["name=value"], _OWN))
    shares = []
    for name, line, regexes in cases:
        measured = [measure_listening(line, regexes) for _ in range(_REPEATS)]
        shares.append(statistics.median(measured))
        print(f"| {name} | {shares[-1]:.2%} | {max(measured):.2%} |")
    print(f"\nAt most {MOST_SHARE:.0%}; measured in {time.monotonic() - began:.0f} s.")
    return int(statistics.median(calls) > MOST_MICROSECONDS or max(shares) > MOST_SHARE)


_OWN = (r"step=step=(\d+)", r"accuracy=accuracy=([\d.]+)", r"loss=loss=([\d.]+)")

if __name__ == "__main__":
    sys.exit(main())
