"""Files that a training writes while it runs: progress files and TensorBoard's event files, read as they grow."""

from program.files.following import PROGRESS_FOLDER, FileTold, Following

__all__ = ["PROGRESS_FOLDER", "FileTold", "Following"]
