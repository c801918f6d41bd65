"""Trainings of a program that this project did not write: their records, what these allow to say, and the report."""

from comparison.programs.record import ProgramMetric, ProgramPoint, ProgramReplica, ProgramTrial

__all__ = ["ProgramMetric", "ProgramPoint", "ProgramReplica", "ProgramTrial"]
