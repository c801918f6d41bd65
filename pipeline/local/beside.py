"""Another run on the same machine: it is told of, for both share the cores that they measure, and not forbidden."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


def find_notice() -> Path:
    """Returns the file that a run of this user holds while it goes on."""
    return Path(tempfile.gettempdir(), f"tfjob-speedup-{os.getuid()}.running")


@contextlib.contextmanager
def noted(run_dir: Path, notice: Path) -> Iterator[str]:
    """Lets other runs know of this one while the block runs, and yields what is to be told of one that goes on already.

    Args:
        run_dir: This run's folder.
        notice: See `find_notice`. Where it cannot be used, nothing is told.
    """
    try:
        # Others can make files in that folder, too: a link that one of them has put there is not followed.
        number = os.open(notice, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        yield ""
        return
    with os.fdopen(number, "r+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            other = file.read(1_000).strip() or "its folder is not known"
            yield (
                f"Warning: another run goes on on this machine ({other}). "
                "Both share its cores, so both are slower and less certain than alone."
            )
            return
        with contextlib.suppress(OSError):  # the folder's disk may be full, which is no reason not to run
            file.truncate()
            os.write(number, f"{run_dir}\n".encode())
        yield ""
