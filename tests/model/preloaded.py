# What forked replicas have imported. Of several threads a fork would inherit what the others have locked.
import os
from pathlib import Path

import model.strategies  # noqa: F401 - imports TensorFlow

_TASKS = Path("/proc/self/task")
if _TASKS.exists() and len(os.listdir(_TASKS)) != 1:  # noqa: PTH208 - names are all that is asked for
    raise RuntimeError("Replicas must be forked from a process of one thread.")
