"""One trial after another: its turn, its attempts, its TFJob, and what it leaves."""

from components.trials.finished import (
    check_software,
    hand_out_finished,
    lay_ready,
    note_handed_out,
    read_resumable_plan,
    remove_torn_trials,
)
from components.trials.left_out import list_left_out
from components.trials.machine import check_machine
from components.trials.trial import run_trials

__all__ = [
    "check_machine",
    "check_software",
    "hand_out_finished",
    "lay_ready",
    "list_left_out",
    "note_handed_out",
    "read_resumable_plan",
    "remove_torn_trials",
    "run_trials",
]
