"""The last second of a training: what a replica does that was lost in it, and is started again.

A peer that has ended with 0 is never started again, so who waits for it would wait to the job's deadline.
"""

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

from model.errors import TrainingOver
from model.files import write_atomically
from model.training.record import RECORDS_PATIENCE_SECONDS, REPLICAS_FOLDER
from model.training.role import Role

COMPLETE_FILE = "complete"
# The chief writes the training's record when it has those of all replicas, or has waited for them.
ENDING_PATIENCE_SECONDS = RECORDS_PATIENCE_SECONDS + 15.0
_LOOK_SECONDS = 0.5


def note_complete(output_dir: Path, identity: str) -> None:
    """Notes that a training has left all that it leaves: the chief's to do, after everything else."""
    write_atomically(output_dir / COMPLETE_FILE, identity.encode())


def meet_ending(
    output_dir: Path,
    role: Role,
    identity: str,
    *,
    patience_seconds: float = ENDING_PATIENCE_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> bool:
    """Returns whether a training is complete, before this replica looks for the others.

    A worker that was lost while the chief ended waits for the chief's last word. A chief that was lost after all
    replicas had ended cannot complete the record alone.

    Args:
        output_dir: The training's folder.
        role: This replica's.
        identity: What no training of other settings or data has.
        patience_seconds: How long what an earlier start left behind may stay without a further sign.
        clock: Monotonic seconds.
        sleep: Waits so many seconds.

    Raises:
        TrainingOver: The others have ended, and this chief had not yet written the record.
    """
    if role.is_server:  # it looks for the chief's word itself
        return False
    records = output_dir / REPLICAS_FOLDER
    chief = records / f"{'chief' if role.has_chief else 'worker'}-0.json"
    num_replicas = role.num_workers + (role.num_ps + 1 if role.num_ps else 0)
    limit = clock() + patience_seconds
    while not (is_complete := _read(output_dir / COMPLETE_FILE) == identity.encode()):
        # The chief that begins a training removes the records of an earlier one.
        if num_replicas == 1 or not chief.exists() or clock() >= limit:
            break
        if role.is_chief and len(list(records.glob("*.json"))) >= num_replicas:
            for record in records.glob("*.json"):
                record.unlink()
            raise TrainingOver(
                "all replicas had trained to the end when this one was lost, before it had written the training's "
                "record. The others have ended and do not come back; start the job anew, and it goes on from its last "
                "checkpoint"
            )
        sleep(_LOOK_SECONDS)
    if role.is_chief and not is_complete:
        (output_dir / COMPLETE_FILE).unlink(missing_ok=True)
    return is_complete


def _read(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return path.read_bytes()
    return None
