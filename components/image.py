"""The one image of every pipeline step and every replica."""

import importlib.metadata

DEFAULT_IMAGE = f"tfjob-speedup:{importlib.metadata.version('tfjob-speedup')}"
