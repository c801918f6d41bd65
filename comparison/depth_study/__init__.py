"""The page of a depth study: residual against plain networks."""

from comparison.depth_study.page import render_study, state_losses
from comparison.depth_study.record import read_study

__all__ = ["read_study", "render_study", "state_losses"]
