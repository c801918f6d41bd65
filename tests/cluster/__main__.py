"""Runs the whole comparison's steps as pods of the cluster, and fetches its results.

`TFJOB_TEST_IMAGE=IMAGE python -m tests.cluster FOLDER` leaves the report, the records and the tables in FOLDER.
Workers get less than half a core each, so that a chief, two workers and a server find room on two cores.
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from pipeline.results import RESULT_FILES
from tests.cluster.site import make_namespace
from tests.cluster.steps import Steps, make_storage, run_pipeline

_SECONDS_OF_A_STEP = 1800.0


def main() -> int:
    """Runs the program and returns its exit code."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    with make_namespace(os.environ["TFJOB_TEST_IMAGE"]) as namespace, tempfile.TemporaryDirectory() as scratch:
        storage = make_storage(namespace)
        steps = Steps(namespace, Path(scratch))
        steps.parameters |= {"cpus_per_replica": 0.4, **json.loads(os.environ.get("PARAMETERS", "{}"))}
        pods = run_pipeline(steps, _SECONDS_OF_A_STEP)
        for name, (step, output) in RESULT_FILES.items():
            if step in pods:
                fetched = storage.get(pods[step].outputs[output]["uri"], Path(scratch) / step)
                shutil.copyfile(fetched, folder / name)
        for step, pod in pods.items():
            (folder / f"{step}.log").write_text(pod.log(), encoding="utf-8")
    print(folder / "report.html")
    return 0


if __name__ == "__main__":
    sys.exit(main())
