"""TensorFlow and Keras, which nothing in this package imports otherwise: the same whatever a person has configured.

KERAS_BACKEND and ~/.keras/keras.json are made for a person's own programs. Here they would decide what is trained, on
one machine and not on another: with `channels_first` a convolution takes an image's rows for its channels.
"""

import json
import os
import sys
from pathlib import Path

from model.errors import ConfigError

SETTINGS = {"backend": "tensorflow", "image_data_format": "channels_last", "floatx": "float32", "epsilon": 1e-7}
_FILE = Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras")) / "keras.json"  # noqa: PTH111 - never raises


def _read_backend() -> str:
    """Returns the backend that a person has configured, which Keras would import at once."""
    if backend := os.environ.get("KERAS_BACKEND"):
        return backend
    try:
        return str(json.loads(_FILE.read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        return str(SETTINGS["backend"])


_received = {"backend": _read_backend()}
# A process that takes all of a GPU's memory leaves none to a second one, and takes more of the host's.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
os.environ["KERAS_BACKEND"] = str(SETTINGS["backend"])  # TensorFlow imports a part of Keras already
try:
    import keras
    import tensorflow as tf
except (AttributeError, ValueError) as error:
    raise ConfigError(f"Keras refuses its own configuration, {_FILE}: {error}") from error
if keras.config.backend() != SETTINGS["backend"]:
    raise ConfigError(
        f"Keras must run on {SETTINGS['backend']}. Received: a Keras that was imported before this program's, and runs "
        f"on {keras.config.backend()}."
    )
for _name in ("image_data_format", "floatx", "epsilon"):
    _received[_name] = getattr(keras.config, _name)()
    getattr(keras.config, f"set_{_name}")(SETTINGS[_name])
keras.config.set_dtype_policy(SETTINGS["floatx"])

if _overruled := [f"{name} {value}" for name, value in _received.items() if value != SETTINGS[name]]:
    _used = ", ".join(f"{name} {value}" for name, value in SETTINGS.items())
    _where = f"KERAS_BACKEND or {_FILE}"
    print(f"Warning: Keras is used with {_used}. Overruled, from {_where}: {', '.join(_overruled)}.", file=sys.stderr)

__all__ = ["keras", "tf"]
