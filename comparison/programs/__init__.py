"""Trainings of a program that this project did not write: their records, what these allow to say, and the report."""

from comparison.programs.analysis import ProgramAnalysis, analyze_programs
from comparison.programs.compare import compare_programs
from comparison.programs.page import render_program_report
from comparison.programs.reading import (
    format_program_trials,
    is_of_programs,
    parse_program_trial,
    read_program_trials,
)
from comparison.programs.record import ProgramMetric, ProgramPoint, ProgramReplica, ProgramTrial

__all__ = [
    "ProgramAnalysis",
    "ProgramMetric",
    "ProgramPoint",
    "ProgramReplica",
    "ProgramTrial",
    "analyze_programs",
    "compare_programs",
    "format_program_trials",
    "is_of_programs",
    "parse_program_trial",
    "read_program_trials",
    "render_program_report",
]
