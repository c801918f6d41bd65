"""How a step ends on an error that its reader can mend."""

import contextlib
import sys
from collections.abc import Iterator

from comparison.records import RecordError
from comparison.streams import make_printable, replace_unencodable
from model.errors import ConfigError, DatasetError, EvaluationError, describe_storage_error
from program.errors import ProgramError
from tfjob.errors import TFJobError

__all__ = ["TOLD_PLAINLY", "describe_storage_error", "make_printable", "replace_unencodable", "told_plainly"]

TOLD_PLAINLY = (ConfigError, DatasetError, EvaluationError, ProgramError, RecordError, TFJobError)


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Turns a refused value, a failed job or a full disk into one message and the exit code 1.

    A bug keeps its traceback.
    """
    replace_unencodable()  # every step begins here
    try:
        yield
    except TOLD_PLAINLY as error:
        sys.exit(make_printable(f"error: {error}"))
    except OSError as error:
        if not (told := describe_storage_error(error)):
            raise
        sys.exit(make_printable(f"error: {told}"))
