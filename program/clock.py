"""How long a training took, and how much it did: the figures of a `Measurement` that come from steps."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from program.marks import Span
from program.presets import PRESETS
from program.replicas import is_trainer, rank_replica
from program.settings import Settings
from program.tally import Tally
from program.told import PROGRESS_FILE

OWN = "regular expressions"
_FAR_APART = 0.1
_NO_STEPS = "No two steps of the training were told, so that there is no clock of the training alone."


@dataclass
class Clock:
    """The figures, as in `Measurement`; the notes say what they are."""

    lead: str | None = None
    train_seconds: float | None = None
    warmup_seconds: float | None = None
    steps: int | None = None
    examples: float | None = None
    unit: str = "examples"
    examples_per_second: float | None = None
    step_seconds: dict[str, float] | None = None
    first_step: int | None = None
    began_at: float | None = None
    notes: list[str] = field(default_factory=list)


def find_lead(tallies: Mapping[str, Tally]) -> str | None:
    """Returns the replica whose steps are the job's: the chief, else the first worker that tells enough of them."""
    told = [name for name, tally in tallies.items() if is_trainer(name) and tally.tells_clock]
    told = told or [name for name, tally in tallies.items() if is_trainer(name) and tally.tells_steps]
    return min(told, key=lambda name: (len(tallies[name].marks) < 2, rank_replica(name)), default=None)  # noqa: PLR2004


def count_measured_steps(tallies: Mapping[str, Tally]) -> float:
    """Returns the steps that were told after the warm-up."""
    lead = find_lead(tallies)
    span = tallies[lead].marks.find_span() if lead else None
    return span.steps if span and span.seconds > 0 else 0.0


def read_clock(source: str, tallies: Mapping[str, Tally], settings: Settings, spokesmen: list[str]) -> Clock:
    """Returns the figures of one source.

    Args:
        source: A preset's name, `PROGRESS_FILE`, `OWN` or `TENSORBOARD`.
        tallies: What each replica told by it.
        settings: What is known beforehand.
        spokesmen: The replicas whose examples are the whole job's.
    """
    clock = Clock(find_lead(tallies))
    if clock.lead is None:
        clock.notes.append(_NO_STEPS)
        return clock
    lead = tallies[clock.lead]
    span = _read_span(clock, lead)
    if span:
        _count_examples(clock, source, tallies, settings=settings, spokesmen=spokesmen, span=span)
    if lead.marks.went_back:
        clock.notes.append(
            f"{clock.lead}'s steps went back {lead.marks.went_back} times; time ran on, and steps counted once new."
        )
    _read_rates(clock, source, tallies, settings)
    if clock.examples_per_second is None and (clock.examples or 0) > 0 and clock.train_seconds:
        clock.examples_per_second = (clock.examples or 0.0) / clock.train_seconds
    if clock.examples is None and clock.examples_per_second is None:
        clock.unit = "steps"
        if clock.steps:
            clock.notes.append("Nothing tells how many examples a step has: say it with --batch-size-per-replica.")
    return clock


def _read_span(clock: Clock, lead: Tally) -> Span | None:
    clock.began_at = lead.began_at
    if lead.tells_steps:
        first = lead.marks.first
        clock.first_step = None if lead.counts_examples else int(lead.marks.first_step or 0)
        clock.began_at = min(first.at, lead.began_at) if lead.began_at is not None else first.at
    span = lead.marks.find_span()
    if span and span.seconds > 0:
        _time_steps(clock, lead, span)
        return span
    if lead.began_at is not None and lead.ended_at is not None and lead.ended_at > lead.began_at:
        clock.train_seconds = lead.ended_at - lead.began_at
        clock.notes.append("No steps were told, so that the clock runs from the training's beginning to its end.")
    elif lead.tells_steps and lead.marks.count_steps() > 0:
        clock.notes.append(
            "All steps were told at one moment, so that there is no clock: the program's output is held back until it "
            "ends. Set PYTHONUNBUFFERED=1 in its environment, or flush what it prints."
        )
    else:
        clock.notes.append(_NO_STEPS)
    return None


def _time_steps(clock: Clock, lead: Tally, span: Span) -> None:
    is_one_time = len(lead.marks) == 2  # noqa: PLR2004 - its begin and its end
    clock.train_seconds, clock.warmup_seconds = span.seconds, span.begin.at - (clock.began_at or span.begin.at)
    steps = span.steps
    if is_one_time and lead.seconds_per_step and 0 < lead.seconds_per_step * (steps - 1) < span.seconds:
        steps -= 1
        clock.train_seconds = lead.seconds_per_step * steps
        clock.warmup_seconds += span.seconds - clock.train_seconds
        clock.notes.append(
            "Only one epoch was told: its time without the first step is the program's own figure, of few digits."
        )
    elif is_one_time:
        clock.notes.append("Only one stretch of steps was told, so that no warm-up could be told from it.")
    else:
        clock.notes.append(
            f"The warm-up was {clock.warmup_seconds:.3g} s: until three times in a row a step took between two thirds "
            "of and one and a half times what steps of the later half took, at least the first time."
        )
        clock.step_seconds = lead.marks.describe_times(span)
        if clock.step_seconds and not lead.marks.is_of_single_steps():
            clock.notes.append("A step's seconds are means over the several steps between two that were told.")
    clock.steps = None if lead.counts_examples else round(steps)


def _count_examples(
    clock: Clock,
    source: str,
    tallies: Mapping[str, Tally],
    *,
    settings: Settings,
    spokesmen: list[str],
    span: Span,
) -> None:
    lead = tallies[str(clock.lead)]
    preset = PRESETS.get(source)
    clock.unit = preset.unit if preset else clock.unit
    if lead.counts_examples:
        clock.examples = span.steps
    elif lead.examples is not None:
        speaking = [name for name in spokesmen if name in tallies]
        counted = [str(clock.lead)] if speaking or source != PROGRESS_FILE else list(filter(is_trainer, tallies))
        in_step = not settings.num_ps
        clock.examples = math.fsum(_count_within(tallies[name], span, in_step=in_step) for name in counted)
        if len(counted) < settings.num_workers and source == PROGRESS_FILE and not (speaking or settings.num_ps):
            clock.notes.append(
                f"Only {', '.join(counted)} of {settings.num_workers} workers told examples; the others' are not "
                'counted. Where these are the whole job\'s, the line that begins the training says "scope": "job".'
            )
    elif clock.steps is not None and (batch := settings.batch_size_per_replica or lead.batch):
        is_own = bool(preset and preset.counts_own_steps)
        at_once = 1 if settings.num_ps and not is_own else settings.num_workers
        clock.examples = float(clock.steps * batch * at_once)
        clock.notes.append(
            f"Examples are {batch:g} for each worker and step, "
            + ("a step being one worker's." if at_once == 1 and settings.num_ps else f"of {at_once} workers together.")
        )


def _count_within(tally: Tally, span: Span, *, in_step: bool) -> float:
    """Returns the examples that a replica told of in a span of the lead's.

    Replicas in step take as long for the same steps, whatever the clocks of their nodes say, and the steps tell which.
    Those that are not are cut where the clock is; that of another node may be ahead, which nothing tells then.
    """
    if not tally.tells_steps:
        return 0.0
    begin, end = (tally.marks.find_step(mark.step) for mark in (span.begin, span.end))
    if not in_step or not math.isclose(end.at - begin.at, span.seconds, rel_tol=_FAR_APART):
        begin, end = (tally.marks.find_nearest(mark.at) for mark in (span.begin, span.end))
    return (end.examples or 0.0) - (begin.examples or 0.0)


def _read_rates(clock: Clock, source: str, tallies: Mapping[str, Tally], settings: Settings) -> None:
    """Takes the program's own figures of speed, and says which: whose they are is a matter of the preset."""
    total = next((tally.job_rate for _, tally in sorted(tallies.items()) if tally.job_rate), None)
    rates = [tally.rate for name, tally in tallies.items() if tally.rate and is_trainer(name)]
    preset = PRESETS.get(source)
    if total is None and rates and preset and preset.counts_own_steps:
        total = math.fsum(rates) / len(rates) * settings.num_workers
        if len(rates) < settings.num_workers:
            clock.notes.append(
                f"{len(rates)} of {settings.num_workers} workers told a speed; the others have the mean."
            )
    if total is None or not math.isfinite(total):
        if rates and clock.examples is None:
            clock.notes.append(
                "A speed is printed, but not whether it is one worker's or the whole job's: where it is the job's, say "
                'so with --progress-regex "examples_per_second=…".'
            )
        return
    if clock.examples and clock.train_seconds:
        counted = clock.examples / clock.train_seconds
        if abs(counted / total - 1) > _FAR_APART:
            clock.notes.append(
                f"The program's own figure is {total:.4g} {clock.unit} a second; by its steps and the clock it is "
                f"{counted:.4g}."
            )
    if clock.examples is None or (preset and preset.counts_own_steps):
        clock.unit = preset.unit if preset else clock.unit
        clock.examples_per_second = total
        clock.notes.append(f"{clock.unit.capitalize()} a second are the program's own average since its clock began.")
