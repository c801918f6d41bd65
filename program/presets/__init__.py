"""What common libraries and programs print of their training: one reader each, and what its lines mean."""

from program.presets.preset import PRESETS, Preset

__all__ = ["PRESETS", "Preset"]
