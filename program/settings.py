"""What a person says about a program's progress, checked before anything starts."""

from collections.abc import Sequence
from dataclasses import dataclass

from program.errors import ProgramError
from program.expressions import Expression, parse_expressions
from program.presets import PRESETS
from program.told import TENSORBOARD

CHOICES = ("auto", "none", *PRESETS, TENSORBOARD)


@dataclass(frozen=True)
class Settings:
    """What is known beforehand.

    Args:
        progress: One of `CHOICES`.
        expressions: A person's own.
        metric: The metric that is asked for; none: whatever is told.
        higher_is_better: Its direction, where a person says it.
        batch_size_per_replica: Examples in a step of one worker, where a person says it.
        measure_steps: After so many steps beyond the warm-up enough was told; 0: never.
        num_workers: Replicas that train.
        num_ps: Parameter servers: with any a step is one worker's, not one of all together.
    """

    progress: str
    expressions: tuple[Expression, ...]
    metric: str
    higher_is_better: bool | None
    batch_size_per_replica: int | None
    measure_steps: int
    num_workers: int
    num_ps: int


def read_settings(
    *,
    progress: str,
    regexes: Sequence[str],
    metric: str,
    direction: str,
    batch_size_per_replica: int | None,
    measure_steps: int,
    num_workers: int,
    num_ps: int,
) -> Settings:
    """Returns what a person says, checked.

    Args:
        progress: `auto` (all presets are tried), `none`, `tensorboard` or a preset's name.
        regexes: A person's own expressions, `NAME=REGEX`. The names `step`, `examples` (so far, of the whole job),
            `examples_per_second` (of the whole job) and `step_seconds` are what they say, any other is a metric's.
        metric: The metric that is asked for, or empty.
        direction: `max`, `min` or empty.
        batch_size_per_replica: Examples in a step of one worker, where nothing prints it.
        measure_steps: `is_measured` turns true once so many steps were told after the warm-up; 0: never.
        num_workers: Replicas that train.
        num_ps: Parameter servers.

    Raises:
        ProgramError: One of them cannot be.
    """
    if progress not in CHOICES:
        raise ProgramError(f"progress must be one of {', '.join(CHOICES)}; {progress!r} came.")
    if direction not in {"", "max", "min"}:
        raise ProgramError(f"metric_direction must be max (higher is better), min or empty; {direction!r} came.")
    if direction and not metric:
        raise ProgramError(f"metric_direction is {direction!r}, but metric names none: say which, e.g. --metric auc.")
    if progress == "none" and (regexes or metric or measure_steps):
        raise ProgramError(
            "progress is none, so that nothing the program tells is read; leave out progress_regex, metric and "
            "measure_steps, or choose another progress, e.g. auto."
        )
    for name, value, least in (
        ("batch_size_per_replica", batch_size_per_replica, 1),
        ("measure_steps", measure_steps, 0),
        ("num_workers", num_workers, 1),
        ("num_ps", num_ps, 0),
    ):
        if value is not None and value < least:
            raise ProgramError(f"{name} must be {least} or more; {value} came.")
    if measure_steps == 1:
        raise ProgramError("measure_steps must be 0 (train to the end) or 2 or more: one step is no measurement.")
    return Settings(
        progress,
        tuple(parse_expressions(regexes)),
        metric.strip(),
        {"max": True, "min": False}.get(direction),
        batch_size_per_replica,
        measure_steps,
        num_workers,
        num_ps,
    )
