"""Whether the trainings are what they seem: of the same work, done together, from the beginning, and measured once."""

import math
import re
from collections.abc import Iterator, Sequence

from comparison.audit import Breach, Evidence, list_some, name_trial
from comparison.groups import average_rounds
from comparison.programs.audit.case import Case, list_trainers
from comparison.programs.measure import SAME_WORK, is_timed, measure_total
from comparison.programs.record import ProgramReplica, ProgramTrial
from comparison.programs.rows import compute_speedups
from comparison.statistics import compute_mean
from comparison.table import format_number, format_times
from comparison.texts import say

# What clocks of two programs may be apart, by share or in seconds; on a cluster moments are whole seconds.
_CLOCK_SHARE, _CLOCK_SECONDS = 0.02, 2.0
# By so much two figures may differ of which one is computed from the other, by a program that rounds.
_ROUNDING = 0.02
# By so much longer than the single node's a training may take and still be suspected of sharing nothing.
_AS_LONG, _AS_MUCH = 1.05, 0.95
_FIRST_STEP = 1
# Caches may make a smaller share of the work a little faster.
_SUPERLINEAR = 1.10
_TOLD_BY_FILE = 2
_SIGNIFICANT = ".7g"
# As what listens to a program notes it.
STEPS_BACK = re.compile(r"steps went back")


def check_work(case: Case) -> Evidence:
    """Returns whether all trials trained on equally many examples; else only how many a second is compared."""
    base = [*case.baseline, *case.trials][0]
    expected = _read_work(base)
    breaches = []
    for trial in case.trials:
        work = _read_work(trial)
        if max(work, expected) > SAME_WORK * min(work, expected):
            clash = "{number} examples, where {reference} has {expected}"
            values = {"number": f"{work:,.0f}", "expected": f"{expected:,.0f}"}
            breaches.append(Breach(trial.configuration, say(clash, **values, reference=base.configuration)))
    received = say("Received: {number} examples", number=f"{expected:,.0f}")
    return Evidence(list(dict.fromkeys(breaches)), received)


def check_first_steps(case: Case) -> Evidence:
    """Returns whether the chief of every trial began with its first step.

    One that begins late has found an old checkpoint. A program that prints only every so many steps begins late in
    every trial alike, and within the steps that it makes: that cannot be told from a checkpoint that all have found.
    """
    firsts = {id(trial): trial.first_step or 0 for trial in case.trials}
    least = min(firsts.values())
    began = "trial {trial} began with step {step}: it seems to have found an old checkpoint"
    breaches = [
        Breach(trial.configuration, say(began, trial=trial.trial, step=f"{firsts[id(trial)]:,}"))
        for trial in case.trials
        if firsts[id(trial)] > max(least, _FIRST_STEP) or least > max(_FIRST_STEP, trial.steps or 0)
    ]
    told = "every trial's first step that was told is {step}: it prints seldom, or all found an old checkpoint"
    unknown = say(told, step=f"{least:,}") if least > _FIRST_STEP else None
    return Evidence(breaches, say("Every trial began with its first step"), unknown)


def check_steps(case: Case) -> Evidence:
    """Returns whether the steps of no trial went back: a training that began anew, or two that speak as one."""
    breaches = [
        Breach(trial.configuration, say("in trial {trial} {received}", trial=trial.trial, received=note.rstrip(".")))
        for trial in case.trials
        for note in trial.notes
        if STEPS_BACK.search(note)
    ]
    return Evidence(list(dict.fromkeys(breaches)), say("The steps of every trial count forwards"))


def check_agreement(case: Case) -> Evidence:
    """Returns whether the workers of a synchronous training end with the same metrics.

    An all-reduce prints the same in each of them, to the last digit. Workers that each tell a metric of their own share
    differ, too, so that this alone does not prove that they never worked together.
    """
    breaches = [
        Breach(trial.configuration, differences)
        for trial in case.trials
        if (differences := _state_disagreement(trial, case.metric_names))
    ]
    return Evidence(breaches, say("The workers of each synchronous training ended with the same metrics"))


def check_sharing(case: Case) -> Evidence:
    """Returns whether the workers of a training shared its work.

    Workers that never work together each train everything in the time of one, and adding up says that they are so many
    times as fast. A perfect scaling of one batch a worker looks the same, but for the metrics: these are then equal.
    """
    base = [trial for trial in case.baseline if is_timed(trial) and trial.num_workers == 1]
    if not base:
        return Evidence([], say("None was trained"))
    seconds = compute_mean([*average_rounds(base, lambda trial: trial.train_seconds or 0.0).values()])
    examples = compute_mean([*average_rounds(base, _read_work).values()])
    alone = (
        "in trial {trial} each worker trained on as many examples as the single one, and as long: they may never have "
        "worked together; have each of them tell its metric"
    )
    breaches = [
        Breach(trial.configuration, say(alone, trial=trial.trial))
        for trial in case.trials
        if trial.num_workers > 1
        and (trial.train_seconds or 0.0) <= _AS_LONG * seconds
        and all((own.examples or 0.0) >= _AS_MUCH * examples for own in list_trainers(trial))
        and not _is_agreed(trial, case.metric_names)
    ]
    return Evidence(breaches, say("The workers shared the work, or ended with the same metrics"))


def check_efficiency(case: Case) -> Evidence:
    """Returns whether no row is faster than its workers are many: what is faster did not do the same, or is cached."""
    if not case.baseline:
        return Evidence([], say("None was trained"))
    base = case.baseline[0].num_workers
    breaches = []
    for name, ratio in compute_speedups(case.groups, case.measure).items():
        times = case.groups[name][0].num_workers / base
        if (ratio.value if ratio.low is None else ratio.low) > _SUPERLINEAR * times:
            faster = "{speedup} as fast with {times} times the workers"
            breaches.append(Breach(name, say(faster, speedup=format_times(ratio), times=f"{times:g}")))
    return Evidence(breaches, say("No row is faster than its workers are many"))


def check_copies(case: Case) -> Evidence:
    """Returns whether no two records share what two jobs never have in common: a cached or a copied result."""
    breaches = []
    seen: dict[tuple[object, ...], ProgramTrial] = {}
    copied = "trial {trial} has the same {what} as {other}: a cached or copied result"
    for trial in case.trials:
        for what, key in _list_traces(trial):
            other = seen.setdefault(key, trial)
            if other is not trial:
                received = say(copied, trial=trial.trial, what=say(what), other=name_trial(other))
                breaches.append(Breach(trial.configuration, received))
    distinct = say("{number} measurements, no two with the same clocks", number=f"{len(case.trials):,}")
    return Evidence(list(dict.fromkeys(breaches)), distinct)


def check_clocks(case: Case) -> Evidence:
    """Returns whether the figures of each record agree with each other, as those of one measurement do."""
    breaches = [
        Breach(trial.configuration, say("in trial {trial} {received}", trial=trial.trial, received=contradiction))
        for trial in case.trials
        if is_timed(trial)
        for contradiction in _list_contradictions(trial)
    ]
    return Evidence(breaches, say("Counts and clocks of each trial agree"))


def _list_traces(trial: ProgramTrial) -> Iterator[tuple[str, tuple[object, ...]]]:
    """Yields what each job leaves of its own: what it is called, and a key for it."""
    yield "start", ("start", trial.started_at)
    yield "clocks", ("clocks", trial.job_seconds, trial.total_seconds, trial.train_seconds)
    if trial.train_seconds and trial.curve:
        ratios = [f"{point.train_seconds / trial.train_seconds:{_SIGNIFICANT}}" for point in trial.curve]
        ratio = f"{trial.job_seconds / trial.train_seconds:{_SIGNIFICANT}}"
        yield "clocks, up to a factor,", ("ratios", ratio, *ratios)


def _list_contradictions(trial: ProgramTrial) -> Iterator[str]:
    """Yields in which figures a record contradicts itself."""
    apart = "{name} took {seconds} s, {other} {expected} s"
    tolerance = max(_CLOCK_SECONDS, _CLOCK_SHARE * trial.total_seconds)
    job, total = (say("the job"), trial.job_seconds), (say("the whole of it"), trial.total_seconds)
    lasted = (say("from its start to its end"), trial.ended_at - trial.started_at)
    waited = (say("queue and job"), math.fsum([trial.queue_seconds, trial.job_seconds]))
    trained = (say("the training"), math.fsum([trial.train_seconds or 0.0, trial.warmup_seconds or 0.0]))
    # Of each pair the first may not last longer than the second.
    for (name, seconds), (other, expected) in ((trained, job), (waited, total), (total, lasted), (lasted, total)):
        if seconds > expected + tolerance:
            values = {"seconds": f"{seconds:.1f}", "expected": f"{expected:.1f}"}
            yield say(apart, name=name, other=other, **values)
    yield from _compare_counts(trial)


def _compare_counts(trial: ProgramTrial) -> Iterator[str]:
    # Of what is printed, the rate may be the program's own, over another stretch.
    if trial.level == _TOLD_BY_FILE and trial.examples and trial.examples_per_second and trial.train_seconds:
        expected = trial.examples / trial.train_seconds
        if not math.isclose(trial.examples_per_second, expected, rel_tol=_ROUNDING):
            rate = "{rate} examples a second, where examples and training make it {expected}"
            values = {"rate": format_number(trial.examples_per_second), "expected": format_number(expected)}
            yield say(rate, **values)
    servers = sum(replica.type == "ps" for replica in trial.replicas)
    others = sum(replica.type not in {"ps", "evaluator"} for replica in trial.replicas)
    if servers != trial.num_ps or not trial.num_workers <= others <= trial.num_workers + 1:
        ran = "{others} replicas beside {servers} servers ran, where it says {workers} workers and {expected} servers"
        counts = {"others": others, "servers": servers, "workers": trial.num_workers, "expected": trial.num_ps}
        yield say(ran, **{name: f"{count:,}" for name, count in counts.items()})
    # What is evaluated after the last step is told after it.
    if any(point.train_seconds > trial.job_seconds + _CLOCK_SECONDS for point in trial.curve):
        yield say("its curve is longer than its job")


def _state_disagreement(trial: ProgramTrial, names: frozenset[str]) -> str:
    """Returns which metrics of the workers differ, and how; empty where none does, or none of them need agree."""
    if trial.num_workers == 1 or trial.num_ps:
        return ""
    for name in sorted(names):
        values = _list_own(list_trainers(trial), name)
        if len(set(values)) > 1:
            apart = "in trial {trial} the workers end with a {metric} of {values} each, where an all-reduce gives one"
            return say(apart, trial=trial.trial, metric=name, values=list_some(format_number(own, 4) for own in values))
    return ""


def _is_agreed(trial: ProgramTrial, names: frozenset[str]) -> bool:
    """Returns whether several workers tell a metric, and all the same."""
    trainers = list_trainers(trial)
    own = [_list_own(trainers, name) for name in names]
    return any(len(values) == len(trainers) and len(set(values)) == 1 for values in own) and not _state_disagreement(
        trial, names
    )


def _list_own(replicas: Sequence[ProgramReplica], name: str) -> list[float]:
    return [replica.metrics[name] for replica in replicas if replica.metrics and name in replica.metrics]


def _read_work(trial: ProgramTrial) -> float:
    work = measure_total(trial)
    return work.value if work else 0.0
