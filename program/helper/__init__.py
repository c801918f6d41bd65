"""The one-file helper that a person's program may import: where it is put, and the variables by which it is asked."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from program.files import PROGRESS_FOLDER

__all__ = ["HELPER_FILE", "install_helper", "progress_env"]

HELPER_FILE = "tfjob_speedup_progress.py"
_PROGRESS, _REPLICA = "TFJOB_SPEEDUP_PROGRESS", "TFJOB_SPEEDUP_REPLICA"


def install_helper(folder: Path) -> None:
    """Copies the helper, and nothing else, into a folder that is made where it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(Path(__file__).with_name(HELPER_FILE), folder / HELPER_FILE)


def progress_env(
    helper_dir: Path | str, output_dir: Path | str, replica: str = "", env: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Returns the variables of a replica.

    Args:
        helper_dir: Where the helper was installed, as the replica sees it.
        output_dir: Below it the progress files are written: `<replica>.jsonl` in a folder of their own.
        replica: e.g. `worker-0`; without it the helper finds its name in TF_CONFIG or the pod's name.
        env: The replica's variables so far: the helper's folder goes in front of its PYTHONPATH, never in its place.
    """
    before = (env or {}).get("PYTHONPATH", "")
    variables = {
        _PROGRESS: f"{output_dir}/{PROGRESS_FOLDER}/",
        "PYTHONPATH": f"{helper_dir}:{before}" if before else str(helper_dir),
    }
    return {**variables, _REPLICA: replica} if replica else variables
