"""What ends a program before its time: errors that a person can mend, and the exit codes that tell what it was."""

import enum
import sys


class ExitCode(enum.IntEnum):
    """What the programs end with, beside 0; docs/schemas.md says what `tfjob` does next.

    The training operator restarts a replica that ends with 128 or more, and fails the job on 1 to 127.
    """

    USER_ERROR = 2
    DIVERGED = 3
    LAUNCHER_GONE = 4
    PEER_LOST = 138


class ConfigError(ValueError):
    """A setting, a model or a role that cannot be, in words for the person who set it."""


class DatasetError(ValueError):
    """A data set cannot be had or used as it is. The message is for the person who named it."""


class EvaluationError(ValueError):
    """A model that is not the one whose training is on record, or not of this data."""


class TrainingDiverged(Exception):  # noqa: N818 - the field's word
    """The loss is no longer a finite number."""


def tell(error: Exception | str, code: ExitCode = ExitCode.USER_ERROR) -> ExitCode:
    """Tells an error in one line, and returns the exit code that goes with it."""
    print(f"error: {error}", file=sys.stderr, flush=True)
    return code
