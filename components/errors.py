"""How a step ends on an error that its reader can mend."""

import contextlib
import sys
from collections.abc import Iterator

from tfjob.errors import TFJobError


@contextlib.contextmanager
def told_plainly() -> Iterator[None]:
    """Turns a refused value or a failed job into one message and the exit code 1, without a traceback."""
    try:
        yield
    except (ValueError, TFJobError) as error:
        sys.exit(f"error: {error}")
