"""A clock for what has a limit in time, which is reached when a test says so."""

import time


class SkippingClock:
    """The machine's clock, and what a test skips of it: no limit is reached by waiting, nor before its time."""

    def __init__(self) -> None:
        self._skipped = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self._skipped

    def skip(self, seconds: float) -> None:
        """Lets time pass."""
        self._skipped += seconds
