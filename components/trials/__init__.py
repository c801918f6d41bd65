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
from components.trials.trial import (
    TRAINING_FILE,
    check_machine,
    evaluate_trials,
    list_trials,
    read_json,
    run_trials,
)
from components.trials.turns import FINISHED_FOLDER

__all__ = [
    "FINISHED_FOLDER",
    "TRAINING_FILE",
    "check_machine",
    "check_software",
    "evaluate_trials",
    "hand_out_finished",
    "lay_ready",
    "list_left_out",
    "list_trials",
    "note_handed_out",
    "read_json",
    "read_resumable_plan",
    "remove_torn_trials",
    "run_trials",
]
