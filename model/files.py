"""Files that are either there whole or not at all, whoever else writes the same ones."""

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

# Of every JSON file that this package writes (docs/schemas.md).
SCHEMA_VERSION = 1


def name_sibling(path: Path) -> Path:
    """Returns an unused hidden name beside `path`, to write under before renaming to `path`."""
    return path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")


@contextlib.contextmanager
def open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Gives a file to write that becomes `path` at the end; a reader sees the former one or this, never a part of it.

    Raises:
        OSError: The file cannot be written. Nothing is left behind.
    """
    temporary = name_sibling(path)
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Writes `content` to `path`, whole or not at all.

    Raises:
        OSError: The file cannot be written. Nothing is left behind.
    """
    with open_atomically(path) as file:
        file.write(content)


def write_json(path: Path, content: Any) -> None:
    """Writes `content`, in which every number is finite, as JSON to `path`, whole or not at all."""
    write_atomically(path, json.dumps(content, indent=1, allow_nan=False).encode())
