"""The programs that a run may train by: this project's own loop, or a person's. Chosen here, and nowhere else."""

from components.planning.parameters import Parameters
from components.planning.programs.own_loop import OwnLoop
from components.planning.programs.persons import PersonsProgram
from components.planning.programs.program import Assignment, Program, RecordsMissing, Report, Training

__all__ = [
    "Assignment",
    "OwnLoop",
    "PersonsProgram",
    "Program",
    "RecordsMissing",
    "Report",
    "Training",
    "choose_program",
]


def choose_program(parameters: Parameters) -> Program:
    """Returns the program that a run's parameters ask for.

    Args:
        parameters: What a person asked for.
    """
    is_persons = parameters.tfjob.strip() or parameters.command.strip()
    return PersonsProgram(parameters) if is_persons else OwnLoop(parameters)
