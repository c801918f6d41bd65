"""Files that are either there whole or not at all, whoever else writes the same ones."""

import os
import secrets
from pathlib import Path


def name_sibling(path: Path) -> Path:
    """Returns an unused hidden name beside `path`, to write under before renaming to `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`; a reader sees the former file or this one, never a part of it.

    Raises:
        OSError: The file cannot be written. Nothing is left behind.
    """
    temporary = name_sibling(path)
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
