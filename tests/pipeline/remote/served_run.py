import json
import os
import signal
from pathlib import Path

from pipeline.remote.follow import Pace
from pipeline.run import main
from tests.pipeline.remote.kfp_server import Kfp

TABLE = "configuration speedup\nsingle 1.00\nDistributing pays off here.\n"

COMPARE_LOG = f"""\
[KFP Executor 2026-11-23 18:00:53,522 INFO]: Looking for component `compare` in --component_module_path `x.py`
[KFP Executor 2026-11-23 18:00:53,523 INFO]: Got executor_input:
{{
    "inputs": {{}}
}}

{TABLE}[KFP Executor 2026-11-23 18:00:53,776 INFO]: Wrote executor output file to /tmp/kfp/executor_output.json.
"""

FAILED_LOG = """\
I0000 00:00:1795456854.823134   20598 port.cc:153] oneDNN custom operations are on.
== all-reduce-2w, trial 1 of 1
error: Job all-reduce-2w-t1 failed: worker-1 exited with 137.
Last lines of worker-1:
  epoch 1/2 step 3/85
"""

RECORDED = Path(__file__).parents[1] / "recorded"

STEPS = ("plan-comparison", "prepare-data", "train-single-node", "train-distributed", "evaluate", "compare")

ALL_DONE = [(name, "SUCCEEDED") for name in STEPS]

LAUNCHERS = [("root", "RUNNING"), ("plan-comparison-driver", "SUCCEEDED"), ("executor", "RUNNING")]

RUNNING = ("RUNNING", [*LAUNCHERS, ("plan-comparison", "RUNNING")])

QUICK = Pace(poll_seconds=0, longest_pause_seconds=0)


def read_folder(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*options: str, pace: Pace = QUICK) -> int:
    return main(["--trials=1", "--image=registry.example/tfjob-speedup:1", *options], pace)


def interrupt_with(number: signal.Signals) -> Pace:
    return Pace(pause=lambda _: os.kill(os.getpid(), number))


def fail(kfp: Kfp, log: str, state: str = "FAILED") -> None:
    """Lets the run fail in its distributed step, which says why in its log."""
    kfp.states[-1] = (state, [*LAUNCHERS, *ALL_DONE[:3], ("train-distributed", "FAILED")])
    kept = ("plan-comparison", "train-single-node")
    kfp.artifacts = {key: content for key, content in kfp.artifacts.items() if key[0] in kept}
    kfp.artifacts["train-distributed", "executor-logs-0", 1] = log.encode()


def replay(kfp: Kfp, *recorded: str) -> None:
    """Lets the server answer about the run as a real one did."""
    kfp.runs["run-1"] = {}
    kfp.answers = [json.loads((RECORDED / f"{name}.json").read_text()) for name in recorded]
