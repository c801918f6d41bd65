"""The table of a comparison of programs: one row a configuration, every column derived from the trial records."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, fields

from comparison.groups import average_rounds, find_outlying, tabulate_rounds
from comparison.programs.measure import (
    Basis,
    Measure,
    ProgramGroups,
    ProgramTrials,
    is_timed,
    measure_rate,
    measure_work,
    select_timed,
)
from comparison.programs.metrics import Metric, list_values
from comparison.programs.record import ProgramTrial
from comparison.records import RecordError
from comparison.statistics import (
    Ratio,
    compute_ci95,
    compute_mean,
    compute_ratios,
    count_trials_to_find,
    estimate_noise,
    find_possibly_smallest,
)
from comparison.table import write_csv
from comparison.texts import count_servers, count_workers, list_items, say

_SAME_IN_CONFIGURATION = ("num_workers", "num_ps", "program")
_PLAIN_TYPES = frozenset({"worker", "ps", "evaluator"})
# One worker to which the operator gives no TF_CONFIG, of a program that does not run without it.
NEEDS_TF_CONFIG = "single-tf-config"
_TYPES = ("chief", "master", "worker", "ps", "evaluator")


@dataclass(frozen=True)
class ProgramRow:
    """A configuration, means over its rounds; its fields are the columns of `comparison.csv`.

    None is what cannot be known. `speedup` is by the comparison's `basis`, and None where that is the whole job, which
    has columns of its own; these are None where trainings were cut. `examples_per_second` is in the row's `unit`: steps
    a second where steps are all that is compared.
    """

    configuration: str
    num_workers: int
    num_ps: int
    cpus_per_replica: float | None
    memory_per_replica: str | None
    global_batch_size: int | None
    trials: int
    level: int
    basis: str
    unit: str
    examples: float | None
    examples_per_second: float | None
    examples_per_second_ci95: float | None
    steps: float | None
    train_seconds: float | None
    train_seconds_ci95: float | None
    job_seconds: float | None
    job_seconds_ci95: float | None
    queue_seconds: float | None
    pull_seconds: float | None
    total_seconds: float | None
    speedup: float | None
    speedup_ci95_low: float | None
    speedup_ci95_high: float | None
    scaling_efficiency: float | None
    whole_job_speedup: float | None
    whole_job_speedup_ci95_low: float | None
    whole_job_speedup_ci95_high: float | None
    metric: str
    metric_value: float | None
    metric_ci95: float | None

    @property
    def ratio(self) -> Ratio | None:
        """The ratio by the comparison's basis: of whole jobs where nothing else is compared."""
        return self.whole_job if self.basis == Basis.WHOLE_JOB else _read_ratio(self, "speedup")

    @property
    def whole_job(self) -> Ratio | None:
        """The ratio of whole jobs."""
        return _read_ratio(self, "whole_job_speedup")


COLUMNS = tuple(field.name for field in fields(ProgramRow))


def group_program_trials(records: Iterable[ProgramTrial]) -> dict[str, list[ProgramTrial]]:
    """Returns the trials of each configuration, in the order of the table's rows: the baseline, then by workers.

    Raises:
        RecordError: There is no record, one is there twice, one name stands for different configurations, or the
            records do not agree on the baseline, or compare with one that is not the smallest.
    """
    records = sorted(records, key=lambda record: (record.run_id, record.trial))
    if not records:
        raise RecordError("A comparison needs at least one trial. Received: none.")
    identities = Counter((record.run_id, record.configuration, record.trial) for record in records)
    if repeated := [identity for identity, count in identities.items() if count > 1]:
        raise RecordError(f"A trial must be recorded once. Received more than once: {repeated!r:.500}.")
    if len(baselines := sorted({record.baseline for record in records})) > 1:
        raise RecordError(f"All trials must be compared with one baseline. Received: {baselines!r:.500}.")
    groups: dict[str, list[ProgramTrial]] = {}
    for record in sorted(records, key=_row_order):
        groups.setdefault(record.configuration, []).append(record)
    for name, trials in groups.items():
        for field in _SAME_IN_CONFIGURATION:
            if len(values := dict.fromkeys(getattr(trial, field) for trial in trials)) > 1:
                received = ", ".join(map(str, values))
                raise RecordError(f"All trials of {name:.200} must have the same {field}. Received: {received:.500}.")
    sizes = {name: (trials[0].num_workers, trials[0].num_ps) for name, trials in groups.items()}
    base = sizes.get(baselines[0])
    if smaller := [name for name, size in sizes.items() if base and size < base]:
        received = f"{baselines[0]:.200}, beside {', '.join(smaller):.500}"
        raise RecordError(f"The baseline must be the smallest configuration. Received: {received}.")
    return groups


def find_baseline(groups: ProgramGroups) -> ProgramTrials:
    """Returns the trials that all others are compared with, none where there are none."""
    first = next(iter(groups.values()))
    return groups.get(first[0].baseline, ())


def is_plain(trial: ProgramTrial) -> bool:
    """Returns whether a trial is of one worker without servers, and nothing else that trains."""
    is_alone = sum(replica.type != "evaluator" for replica in trial.replicas) == 1
    return (trial.num_workers, trial.num_ps) == (1, 0) and is_alone and trial.configuration != NEEDS_TF_CONFIG


def describe_configuration(trial: ProgramTrial) -> str:
    """Returns a configuration in words: workers and servers, or its replicas where there are others than these."""
    types = Counter(replica.type for replica in trial.replicas)
    if trial.configuration == NEEDS_TF_CONFIG:
        return say("1 worker that is given a TF_CONFIG")
    if types.keys() <= _PLAIN_TYPES and types["worker"] == trial.num_workers:
        return count_replicas(trial.num_workers, trial.num_ps)
    order = [*(kind for kind in _TYPES if kind in types), *sorted(types.keys() - {*_TYPES})]
    counted = {"worker": count_workers(types["worker"]), "ps": count_servers(types["ps"])}
    return list_items([counted.get(kind, f"{types[kind]:,} {kind}") for kind in order])


def count_replicas(num_workers: int, num_ps: int) -> str:
    """Returns so many workers and parameter servers in words."""
    workers = count_workers(num_workers)
    return say("{workers} and {servers}", workers=workers, servers=count_servers(num_ps)) if num_ps else workers


def describe_baseline(trial: ProgramTrial) -> str:
    """Returns the baseline in words; one that is not a single worker is named as the smallest that runs."""
    own = describe_configuration(trial)
    return own if is_plain(trial) else say("the smallest job that runs, {configuration}", configuration=own)


def summarize(groups: ProgramGroups, measure: Measure, metric: Metric | None) -> list[ProgramRow]:
    """Returns the table of the comparison, a row a configuration."""
    speedups, whole_jobs = compute_speedups(groups, measure), compute_whole_job_speedups(groups, measure)
    base = find_baseline(groups)
    num_workers = base[0].num_workers if base else 1
    return [
        _summarize(trials, measure, metric, (speedups.get(name), whole_jobs.get(name)), num_workers)
        for name, trials in groups.items()
    ]


def compute_speedups(groups: ProgramGroups, measure: Measure) -> dict[str, Ratio]:
    """Returns how many times as fast as the baseline each configuration is; the intervals hold for all rows at once."""
    return _compare(groups, measure.read, is_rate=measure.is_rate)


def compute_whole_job_speedups(groups: ProgramGroups, measure: Measure) -> dict[str, Ratio]:
    """Returns how many times as fast as the baseline's each whole job is; nothing where trainings were cut."""
    return {} if measure.is_cut else _compare(groups, lambda trial: trial.job_seconds, is_rate=False)


def find_possibly_fastest(groups: ProgramGroups, measure: Measure, among: Collection[str]) -> list[str]:
    """Returns the configurations that may be the fastest, for no other one is shown to be faster.

    Args:
        groups: The trials of each configuration.
        measure: What they are compared by.
        among: Those that may be called so.
    """
    timed = {name: own for name, own in select_timed(groups).items() if name in among}
    if not timed:
        return []
    is_possible = find_possibly_smallest(tabulate_rounds(timed, measure.read_seconds), _list_contended(timed))
    return [name for name, own in zip(timed, is_possible, strict=True) if own]


def find_outlying_trials(
    groups: ProgramGroups, read: Callable[[ProgramTrial], float]
) -> list[tuple[ProgramTrial, float]]:
    """Returns the trial that the others do not explain, with its seconds over what they predict; see `find_outlying`.

    Args:
        groups: The trials of each configuration.
        read: Returns a trial's seconds.
    """
    timed = select_timed(groups)
    contended = _list_contended(timed)
    return find_outlying({name: own for place, (name, own) in enumerate(timed.items()) if place not in contended}, read)


def count_trials_needed(groups: ProgramGroups, measure: Measure) -> int | None:
    """Returns how many trials find a difference of 10 % in nine of ten comparisons like this one; None: no number."""
    timed = select_timed(groups)
    contended = _list_contended(timed)
    pooled = {name: own for place, (name, own) in enumerate(timed.items()) if place not in contended}
    if len(pooled) < 2:  # noqa: PLR2004 - nothing is compared
        return None
    noise = estimate_noise(tabulate_rounds(pooled, measure.read_seconds))
    if noise.degrees_of_freedom == 0:
        return None
    return count_trials_to_find(float(noise.relative_sd), noise.num_configurations, shares=(0.5,) * (len(pooled) - 1))


def to_csv(rows: Iterable[ProgramRow]) -> str:
    """Returns the table as CSV, unknown cells empty."""
    return write_csv(rows, COLUMNS)


def _row_order(record: ProgramTrial) -> tuple[bool, int, int, str]:
    return record.configuration != record.baseline, record.num_workers, record.num_ps, record.configuration


def _compare(groups: ProgramGroups, read: Callable[[ProgramTrial], float], *, is_rate: bool) -> dict[str, Ratio]:
    """Returns the ratio of each configuration's mean to the baseline's, of times the other way round."""
    timed = select_timed(groups)
    base = find_baseline(timed) if timed else ()
    if not base:
        return {}
    names = [name for name in timed if name != base[0].configuration]
    order = [*timed]
    pairs = [(order.index(name), order.index(base[0].configuration)) for name in names]
    ratios = compute_ratios(tabulate_rounds(timed, read), pairs, _list_contended(timed))
    compared = {name: own if is_rate else own.inverse for name, own in zip(names, ratios, strict=True)}
    return {base[0].configuration: Ratio(1.0), **compared}


def _list_contended(groups: ProgramGroups) -> list[int]:
    """Returns the places of the configurations whose replicas shared too few cores: their noise is their own."""
    return [place for place, own in enumerate(groups.values()) if any(trial.contended for trial in own)]


def _summarize(
    trials: ProgramTrials,
    measure: Measure,
    metric: Metric | None,
    ratios: tuple[Ratio | None, Ratio | None],
    base_workers: int,
) -> ProgramRow:
    speedup, whole_job = ratios
    first, timed = trials[0], [trial for trial in trials if is_timed(trial)]
    rates = _list_known(timed, measure.read_rate)
    train = _list_known(timed, lambda trial: trial.train_seconds)
    jobs = _list_known(timed, lambda trial: trial.job_seconds)
    qualities = list_values(trials, metric) if metric else []
    is_apart = measure.basis is not Basis.WHOLE_JOB
    headline = speedup if is_apart else whole_job
    return ProgramRow(
        configuration=first.configuration,
        num_workers=first.num_workers,
        num_ps=first.num_ps,
        cpus_per_replica=first.cpus_per_replica,
        memory_per_replica=first.memory_per_replica,
        global_batch_size=first.global_batch_size,
        trials=len(trials),
        level=min(trial.level for trial in trials),
        basis=measure.basis.value,
        unit=measure.unit or next((rate.unit for trial in timed if (rate := measure_rate(trial))), ""),
        examples=_mean(_list_known(timed, lambda trial: work.value if (work := measure_work(trial)) else None)),
        examples_per_second=_mean(rates),
        examples_per_second_ci95=compute_ci95(rates) if rates else None,
        steps=_mean(_list_known(timed, lambda trial: trial.steps)),
        train_seconds=_mean(train),
        train_seconds_ci95=compute_ci95(train) if train else None,
        job_seconds=_mean(jobs),
        job_seconds_ci95=compute_ci95(jobs) if jobs else None,
        queue_seconds=_mean(_list_known(timed, lambda trial: trial.queue_seconds)),
        pull_seconds=_mean(_list_known(timed, lambda trial: trial.pull_seconds)),
        total_seconds=_mean(_list_known(timed, lambda trial: trial.total_seconds)),
        speedup=speedup.value if speedup and is_apart else None,
        speedup_ci95_low=speedup.low if speedup and is_apart else None,
        speedup_ci95_high=speedup.high if speedup and is_apart else None,
        scaling_efficiency=headline.value * base_workers / first.num_workers if headline else None,
        whole_job_speedup=whole_job.value if whole_job else None,
        whole_job_speedup_ci95_low=whole_job.low if whole_job else None,
        whole_job_speedup_ci95_high=whole_job.high if whole_job else None,
        metric=metric.name if metric else "",
        metric_value=_mean(qualities),
        metric_ci95=compute_ci95(qualities) if qualities else None,
    )


def _list_known(trials: ProgramTrials, read: Callable[[ProgramTrial], float | None]) -> list[float]:
    """Returns a value of each round; nothing where a trial does not tell it."""
    if any(read(trial) is None for trial in trials):
        return []
    return [*average_rounds(trials, lambda trial: read(trial) or 0.0).values()]


def _mean(values: Sequence[float]) -> float | None:
    return compute_mean(values) if values else None


def _read_ratio(row: ProgramRow, name: str) -> Ratio | None:
    value = getattr(row, name)
    return None if value is None else Ratio(value, getattr(row, f"{name}_ci95_low"), getattr(row, f"{name}_ci95_high"))
