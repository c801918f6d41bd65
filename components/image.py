"""The one image of every pipeline step and every replica."""

import importlib.metadata
import os

# `make` hands over the name that it gave the image, so that the form's default is one that the cluster can pull.
IMAGE_VARIABLE = "TFJOB_SPEEDUP_IMAGE"
OWN_NAME = f"tfjob-speedup:{importlib.metadata.version('tfjob-speedup')}"
DEFAULT_IMAGE = os.environ.get(IMAGE_VARIABLE) or OWN_NAME
