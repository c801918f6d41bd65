"""What a run will train: its parameters, the form that asks for them, and the plan that follows."""

from components.planning.form import describe_form, fill_form, keeps_failed_jobs, list_form, read_form
from components.planning.hidden import (
    GIVEN_BY,
    HOLDERS,
    find_hidden,
    find_secrets,
    hand_over,
    hide_secrets,
    hide_value,
    make_hider,
    reveal,
    take_given,
)
from components.planning.names import (
    FINISHED_FOLDER,
    HEARTBEAT_FILE,
    LAUNCH_FILE,
    check_name,
    check_trial,
    list_trials,
    name_trial,
    read_json,
    read_launched,
)
from components.planning.order import (
    DISTRIBUTED,
    SINGLE_NODE,
    Place,
    count_iterations,
    list_places,
)
from components.planning.parameters import Parameters
from components.planning.plan import RUN_ID_VARIABLE, STARTED_AT_VARIABLE, RunPlan, name_run, plan_run, read_whole_plan
from components.planning.programs import Assignment, Program, RecordsMissing, Report, Training, choose_program
from components.planning.room import FREE_CPUS_VARIABLE, find_room

__all__ = [
    "DISTRIBUTED",
    "FINISHED_FOLDER",
    "FREE_CPUS_VARIABLE",
    "GIVEN_BY",
    "HEARTBEAT_FILE",
    "HOLDERS",
    "LAUNCH_FILE",
    "RUN_ID_VARIABLE",
    "SINGLE_NODE",
    "STARTED_AT_VARIABLE",
    "Assignment",
    "Parameters",
    "Place",
    "Program",
    "RecordsMissing",
    "Report",
    "RunPlan",
    "Training",
    "check_name",
    "check_trial",
    "choose_program",
    "count_iterations",
    "describe_form",
    "fill_form",
    "find_hidden",
    "find_room",
    "find_secrets",
    "hand_over",
    "hide_secrets",
    "hide_value",
    "keeps_failed_jobs",
    "list_form",
    "list_places",
    "list_trials",
    "make_hider",
    "name_run",
    "name_trial",
    "plan_run",
    "read_form",
    "read_json",
    "read_launched",
    "read_whole_plan",
    "reveal",
    "take_given",
]
