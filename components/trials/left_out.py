"""A trial whose record is not whole: it counts as failed, is repeated once, and is left out where it fails again.

The run goes on without it, and says so: nothing of it is measured, and the other trials are none the worse for it.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison.records import RecordError, load_json, read_text
from components.planning import Place, RecordsMissing, check_name, check_trial
from model.errors import LAUNCHER_GONE_WORDS, ExitCode
from model.files import write_json
from tfjob.errors import JobFailed, JobRestartedTooOften, JobStalled, ReplicaLost, TFJobError

# In the folder of a trial that is left out, in place of its launch.json.
FAILED_FILE = "failed.json"


def is_worth_another_try(error: TFJobError) -> bool:
    """Returns whether the same training may well end otherwise: none of these ends is its program's own."""
    is_of_others = isinstance(error, ReplicaLost | JobRestartedTooOften | JobStalled | RecordsMissing)
    return is_of_others or _missed_its_launcher(error)


def _missed_its_launcher(error: TFJobError) -> bool:
    """Returns whether a replica took its launcher for gone, which is here to be told: it was only held up.

    A node that is full leaves next to nothing to a launching pod, which asks for no CPU. A person's program may end
    with the same code for reasons of its own.
    """
    return (
        isinstance(error, JobFailed)
        and error.exit_code == ExitCode.LAUNCHER_GONE
        and any(LAUNCHER_GONE_WORDS in line for line in error.last_lines)
    )


def leave_out(output_dir: Path, place: Place, reason: str, attempts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Writes that a trial is left out, in place of what it would have left, and returns that.

    Args:
        output_dir: The trial's folder, with its logs.
        place: Which trial.
        reason: Why.
        attempts: All attempts at it, of which none counts.
    """
    failed = {
        "configuration": place.configuration.name,
        "trial": place.trial,
        "round": place.round_number,
        "reason": reason.partition("\n")[0],
        "earlier_attempts": [*attempts],
    }
    output_dir.mkdir(parents=True, exist_ok=True)
    write_json(output_dir / FAILED_FILE, failed)
    return failed


def is_left_out(folder: Path) -> bool:
    """Returns whether a trial's folder says that it is left out."""
    return (folder / FAILED_FILE).exists()


def list_left_out(trained: Iterable[Path]) -> list[tuple[Path, dict[str, Any]]]:
    """Returns the folders of trials that are left out, each with what it says of them.

    That is the configuration, the trial, the reason and the attempts.

    Args:
        trained: Folders that hold the folders of trials.

    Raises:
        RecordError: One does not say which trial it is.
    """
    found = []
    for path in sorted(path for folder in trained for path in folder.glob(f"*/{FAILED_FILE}")):
        failed = load_json(read_text(path), str(path))
        which = {
            "configuration": check_name(f"configuration in {path}", failed.get("configuration")),
            "trial": check_trial(f"trial in {path}", failed.get("trial")),
            "reason": str(failed.get("reason", "")),
        }
        if attempts := _check_attempts(path, failed.get("earlier_attempts", [])):
            which["earlier_attempts"] = attempts
        found.append((path.parent, which))
    return found


def _check_attempts(path: Path, attempts: Any) -> list[dict[str, Any]]:
    if not isinstance(attempts, list) or not all(isinstance(attempt, dict) for attempt in attempts):
        raise RecordError(f"earlier_attempts in {path} must be a list of objects. Received: {attempts!r:.200}.")
    return attempts
