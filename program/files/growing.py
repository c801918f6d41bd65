"""A file that is read while another process writes it."""

from pathlib import Path
from stat import S_ISREG


class GrowingFile:
    """Reads what is new in a file, in pieces.

    Args:
        path: The file; that it is missing, or cannot be read, is the same as that nothing is new.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def read(self, most_bytes: int) -> bytes:
        """Returns at most so many new bytes; none where there are none. A file that was cut is read anew."""
        try:
            state = self.path.stat()
            if not S_ISREG(state.st_mode) or state.st_size == self.offset:  # to open a pipe would wait for its writer
                return b""
            if state.st_size < self.offset:
                self.offset = 0
            with self.path.open("rb") as file:
                file.seek(self.offset)
                data = file.read(min(most_bytes, state.st_size - self.offset))
        except OSError:
            return b""
        self.offset += len(data)
        return data

    def skip_to_end(self, most_bytes: int) -> int:
        """Goes on to the last so many bytes, and returns how many are left out by that."""
        try:
            size = self.path.stat().st_size
        except OSError:
            return 0
        skipped = max(0, size - most_bytes - self.offset)
        self.offset += skipped
        return skipped
