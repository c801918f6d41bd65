"""The tables of a comparison of programs as a person reads them: few columns first, units in the headers."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

from comparison.groups import list_trials
from comparison.programs.measure import Basis, Measure, ProgramGroups
from comparison.programs.metrics import Metric, find_metric, format_metric
from comparison.programs.record import ProgramTrial
from comparison.programs.rows import ProgramRow
from comparison.table import UNKNOWN, Cells, format_known, format_name, format_number, format_ratio
from comparison.texts import say

Signs = Mapping[str, Collection[str]]
_Columns = dict[str, Callable[[ProgramRow], str]]


def format_brief_table(
    rows: Sequence[ProgramRow], measure: Measure, metric: Metric | None, signs: Signs = MappingProxyType({})
) -> Cells:
    """Returns the columns that fit beside each other where there is little room: what a reader asks first."""
    return _format(rows, _choose_brief(measure, metric), signs)


def format_table(
    rows: Sequence[ProgramRow], measure: Measure, metric: Metric | None, signs: Signs = MappingProxyType({})
) -> Cells:
    """Returns the whole table in the reader's language, most important column first."""
    columns = _choose_brief(measure, metric)
    others: _Columns = {
        say("efficiency, %"): lambda row: (
            UNKNOWN if row.scaling_efficiency is None else f"{100 * row.scaling_efficiency:.0f}"
        ),
        say("training, s"): lambda row: format_known(row.train_seconds, row.train_seconds_ci95),
        say("job, s"): lambda row: format_known(row.job_seconds, row.job_seconds_ci95),
        say("with queue and pull, s"): lambda row: format_known(row.total_seconds),
        say("{unit}/s", unit=name_unit(rows)): lambda row: format_known(
            row.examples_per_second, row.examples_per_second_ci95
        ),
        # Where steps are all that is counted, this column is no second one of its name.
        name_unit(rows): lambda row: format_known(row.examples),
        say("steps"): lambda row: format_known(row.steps),
        say("workers"): lambda row: f"{row.num_workers:,}",
        say("servers"): lambda row: f"{row.num_ps:,}",
        say("global batch"): lambda row: UNKNOWN if row.global_batch_size is None else f"{row.global_batch_size:,}",
        say("trials"): lambda row: f"{row.trials:,}",
    }
    return _format(rows, columns | {name: cell for name, cell in others.items() if name not in columns}, signs)


def format_trials(groups: ProgramGroups, measure: Measure, metric: Metric | None, unit: str) -> Cells:
    """Returns a table of every trial; `unit` is what is counted, in the reader's language."""
    columns: dict[str, Callable[[ProgramTrial], str]] = {
        say("round"): lambda trial: f"{trial.round:,}",
        say("place"): lambda trial: f"{trial.place:,}",
        say("training, s"): lambda trial: format_known(trial.train_seconds),
        say("job, s"): lambda trial: format_known(trial.job_seconds),
        say("steps"): lambda trial: format_known(trial.steps),
        say("{unit}/s", unit=unit): lambda trial: format_known(measure.read_rate(trial)),
        say("first step"): lambda trial: UNKNOWN if trial.first_step is None else f"{trial.first_step:,}",
        **({metric.name: lambda trial: _format_metric(trial, metric)} if metric else {}),
        say("restarts"): lambda trial: f"{trial.restarts:,}",
    }
    trials = list_trials(groups)
    names = [say("{name}, trial {trial}", name=own.configuration, trial=f"{own.trial:,}") for own in trials]
    rows = [[name, *(cell(trial) for cell in columns.values())] for name, trial in zip(names, trials, strict=True)]
    return Cells([say("trial"), *columns], rows)


def name_unit(rows: Sequence[ProgramRow]) -> str:
    """Returns what is counted, in the reader's language."""
    return say(next((row.unit for row in rows if row.unit), "examples"))


def _choose_brief(measure: Measure, metric: Metric | None) -> _Columns:
    """Returns the columns of a narrow table: the figure that decides, the whole job, the metric, and a clock."""
    ratio: _Columns = {say("speedup"): lambda row: format_ratio(row.ratio)}
    if measure.basis is Basis.WHOLE_JOB:
        ratio = {say("whole-job speedup"): lambda row: format_ratio(row.ratio)}
    elif not measure.is_cut:
        ratio[say("whole-job speedup")] = lambda row: format_ratio(row.whole_job)
    clock: _Columns = {
        Basis.WHOLE_JOB: {say("job, s"): lambda row: format_known(row.job_seconds, row.job_seconds_ci95)},
        Basis.TRAINING: {say("training, s"): lambda row: format_known(row.train_seconds, row.train_seconds_ci95)},
        Basis.THROUGHPUT: {
            say("{unit}/s", unit=say(measure.unit)): lambda row: format_known(
                row.examples_per_second, row.examples_per_second_ci95
            )
        },
    }[measure.basis]
    quality: _Columns = {}
    if metric:
        quality = {metric.name: lambda row: _format_known_metric(row.metric_value, row.metric_ci95)}
    return ratio | quality | clock


def _format(rows: Sequence[ProgramRow], columns: _Columns, signs: Signs) -> Cells:
    cells = [[format_name(row.configuration, signs), *(cell(row) for cell in columns.values())] for row in rows]
    return Cells([say("configuration"), *columns], cells)


def _format_known_metric(value: float | None, half_width: float | None) -> str:
    if value is None or half_width is None:
        return format_metric(value)
    return f"{format_metric(value)} ± {format_number(half_width, 2)}"


def _format_metric(trial: ProgramTrial, metric: Metric | None) -> str:
    own = find_metric(trial, metric.name) if metric else None
    return format_metric(own.value if own else None)
