"""Names that become files and folders: what a server, an archive or a record says is checked here, and only here."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.records import RecordError, load_json, read_text

LAUNCH_FILE = "launch.json"
# In the workspace: what the step that trains renews every few seconds, and a folder for each finished trial.
HEARTBEAT_FILE, FINISHED_FOLDER = "heartbeat", "finished"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_MOST = 10**6


def check_name(what: str, name: Any) -> str:
    """Returns a name that can be that of a file in a folder, and of nothing elsewhere.

    Args:
        what: What has the name, and who says so.
        name: The name.

    Raises:
        RecordError: It cannot.
    """
    if not (isinstance(name, str) and _NAME.fullmatch(name)):
        expected = "a name of letters, digits, '.', '_' and '-', the first a letter or digit"
        raise RecordError(f"{what} must be {expected}. Received: {name!r:.200}.")
    return name


def check_trial(what: str, trial: Any) -> int:
    """Returns the number of a trial.

    Raises:
        RecordError: It is none.
    """
    if type(trial) is not int or not 0 <= trial < _MOST:
        raise RecordError(f"{what} must be the number of a trial. Received: {trial!r:.200}.")
    return trial


def name_trial(configuration: str, trial: int) -> str:
    """Returns the name of a trial's folders in the workspace.

    Raises:
        RecordError: They would not be there.
    """
    return f"{check_name('a configuration', configuration)}-t{check_trial('a trial', trial)}"


def read_launched(folder: Path) -> tuple[str, int]:
    """Returns the configuration and the number of the trial in a folder, which others name files by.

    Raises:
        RecordError: The folder's launch.json does not tell them, or tells what leads elsewhere.
    """
    path = folder / LAUNCH_FILE
    launch = load_json(read_text(path), str(path))
    configuration = check_name(f"configuration in {path}", launch.get("configuration"))
    return configuration, check_trial(f"trial in {path}", launch.get("trial"))


def list_trials(trained: Sequence[Path]) -> list[Path]:
    """Returns the folders of trials below the given ones, one for each trial of each configuration."""
    return sorted(launch.parent for folder in trained for launch in folder.glob(f"*/{LAUNCH_FILE}"))


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file that this project wrote."""
    return json.loads(path.read_text(encoding="utf-8"))  # type: ignore[no-any-return]
