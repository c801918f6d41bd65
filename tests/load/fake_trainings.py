"""Trainings that take a second: what stands in `sitecustomize.py` for the replicas of a run."""

import shutil
from pathlib import Path

# Python runs this before any program. A replica ends here, with what a real training has left; all else goes on.
_PROGRAM = """
import sys
if ["-m", "model.train"] == sys.orig_argv[1:3]:
    import json, os, pathlib, shutil, time
    option = lambda name: sys.orig_argv[sys.orig_argv.index(name) + 1]
    folder = pathlib.Path(option("--output-dir"))
    task = json.loads(os.environ.get("TF_CONFIG", '{{"task": {{"type": "worker", "index": 0}}}}'))["task"]
    time.sleep(1.0)
    if task["index"] == 0:
        folder.mkdir(parents=True, exist_ok=True)
        template = pathlib.Path({templates!r}, folder.name.rpartition("-t")[0])
        training = json.loads((template / "training.json").read_text()) | {{"seed": int(option("--seed"))}}
        shutil.copyfile(template / "model.keras", folder / "model.keras")
        (folder / "training.json").write_text(json.dumps(training))
        with open({ledger!r}, "a") as ledger:
            ledger.write(folder.name + "\\n")
    os._exit(0)
"""


def prepare_fakes(models: Path, folder: Path) -> Path:
    """Returns the ledger in which each fake training notes its folder's name; `folder` is to be in PYTHONPATH.

    Args:
        models: The models of a real run, of which each configuration's first becomes the result of all its trials.
        folder: Folder for all that.
    """
    ledger = folder / "trained"
    for configuration in models.iterdir():
        shutil.copytree(configuration / "trial-1", folder / "templates" / configuration.name)
    program = _PROGRAM.format(templates=str(folder / "templates"), ledger=str(ledger))
    (folder / "sitecustomize.py").write_text(program, encoding="utf-8")
    ledger.touch()
    return ledger
