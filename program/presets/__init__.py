"""What common libraries and programs print of their training: one reader each, and what its lines mean."""

from program.presets.preset import PRESETS

__all__ = ["PRESETS"]
