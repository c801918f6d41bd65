"""Two runs beside each other, before and after: what changed between them, and what that did to each configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from comparison.accuracies import Difference, compare_quality
from comparison.audit import (
    TOLD_APART,
    audit_fairness,
    audit_plan,
    list_violations,
    mark_configurations,
    measure_disturbance,
)
from comparison.clocks import measure_waiting_share
from comparison.environment import describe_environment, format_value
from comparison.groups import (
    Groups,
    Trials,
    average_rounds,
    describe_metric,
    find_work_differences,
    group_trials,
    is_any_contended,
    list_timed,
    list_trials,
    speak_of_trials,
)
from comparison.page import render_page
from comparison.records import RUN_FILE, TRIALS_FILE, RecordError, RunInfo, TrialRecord, read_records, read_run_info
from comparison.report.plots import plot_ratios
from comparison.statistics import Ratio, compute_mean, compute_ratios
from comparison.table import (
    CONTENDED_MARK,
    UNKNOWN,
    Cells,
    escape_markdown,
    format_metric,
    format_number,
    format_ratio,
    to_markdown,
)
from comparison.texts import list_items, say

# What must be the same in all of both runs: else no configuration of them did the same work.
_SAME_IN_RUNS = ("dataset_sha256", "model", "model_arguments", "num_parameters")


@dataclass(frozen=True)
class Run:
    """A run's plan and its trials by configuration."""

    info: RunInfo
    groups: Groups


@dataclass(frozen=True)
class Change:
    """What became of one configuration.

    Attributes:
        before: Its trials in the first run.
        after: Its trials in the second.
        work_differences: Why they cannot be compared: what they did not do alike.
        train_seconds: After ÷ before, or None where they cannot be compared.
        images_per_second: Likewise.
    """

    before: Trials
    after: Trials
    work_differences: tuple[str, ...]
    train_seconds: Ratio | None
    images_per_second: Ratio | None

    @property
    def quality(self) -> Difference:
        """Test accuracy, or what else the models are judged by, after less that before."""
        return compare_quality(self.before, self.after)


def read_run(run_dir: Path) -> Run:
    """Returns the run that a directory holds.

    Raises:
        RecordError: It holds none.
    """
    return Run(read_run_info(run_dir / RUN_FILE), group_trials(read_records(run_dir / TRIALS_FILE)))


def compare_runs(before: Run, after: Run) -> dict[str, Change]:
    """Returns what became of each configuration that is in both runs.

    The intervals hold for all of them at once, as those of the speedups do.

    Raises:
        RecordError: The runs trained other models, on other data, have no configuration in common, or are one.
    """
    measured = [
        {(trial.configuration, trial.started_at) for trial in list_trials(run.groups)} for run in (before, after)
    ]
    if again := len(measured[0] & measured[1]):
        raise RecordError(
            f"Two runs that were measured apart are expected. Received: {again} of {len(measured[1])} trials of "
            f"{after.info.run_id} are trials of {before.info.run_id}, too. Name the directories of two runs."
        )
    for field in _SAME_IN_RUNS:
        values = [_list_values(run, field) for run in (before, after)]
        if values[0] != values[1]:
            raise RecordError(
                f"Two runs can be compared only with the same {field}. Received: {', '.join(values[0])} in "
                f"{before.info.run_id} and {', '.join(values[1])} in {after.info.run_id}."
            )
    metrics = [describe_metric(list_trials(run.groups)[0]) for run in (before, after)]
    if metrics[0] != metrics[1]:
        raise RecordError(
            f"Two runs can be compared only with the same metric. Received: {metrics[0]} in {before.info.run_id} and "
            f"{metrics[1]} in {after.info.run_id}."
        )
    shared = {name: (before.groups[name], after.groups[name]) for name in before.groups if name in after.groups}
    if not shared:
        raise RecordError(
            "Two runs can be compared only where they share a configuration. Received: "
            f"{', '.join(before.groups)} in {before.info.run_id} and {', '.join(after.groups)} in {after.info.run_id}."
        )
    differences = {name: tuple(find_work_differences(*pair)) for name, pair in shared.items()}
    comparable = {name: pair for name, pair in shared.items() if not differences[name]}
    timed = {name: (list_timed(own), list_timed(other)) for name, (own, other) in comparable.items()}
    timed = {name: pair for name, pair in timed.items() if all(pair)}
    seconds = _compute_ratios(timed, lambda trial: trial.train_seconds)
    rates = _compute_ratios(timed, lambda trial: trial.images_per_second)
    return {name: Change(*pair, differences[name], seconds.get(name), rates.get(name)) for name, pair in shared.items()}


def list_run_differences(before: Run, after: Run) -> Cells:
    """Returns what differs between two runs, a row each: parameters, versions, host, image, how free the cores were."""
    facts = [
        {name: format_value(value) for name, value in run.info.parameters.items()}
        | {say(name): value for name, value in describe_environment(list_trials(run.groups)).items()}
        | {say("waited for cores, %"): _format_share(list_trials(run.groups), measure_waiting_share)}
        | {say("cores taken by others, %"): _format_share(list_trials(run.groups), measure_disturbance)}
        for run in (before, after)
    ]
    rows = {name: [own.get(name, UNKNOWN) for own in facts] for name in facts[0] | facts[1]}
    differing = [[name, *values] for name, values in rows.items() if values[0] != values[1]]
    return Cells([say("what"), say("before"), say("after")], differing)


def state_changes(changes: Mapping[str, Change]) -> str:
    """Returns in one sentence how many configurations trained faster or slower in the second run."""
    ratios = [change.train_seconds for change in changes.values() if change.train_seconds]
    decided = [ratio.direction for ratio in ratios if ratio.low is not None]
    return say(
        "Of {number} configurations, {faster} trained faster in the second run than in the first, {slower} slower, "
        "{equal} cannot be told apart and {refused} cannot be compared.",
        number=len(changes),
        faster=decided.count(-1),
        slower=decided.count(1),
        equal=len(ratios) - decided.count(-1) - decided.count(1),
        refused=len(changes) - len(ratios),
    )


def tabulate_changes(changes: Mapping[str, Change]) -> Cells:
    """Returns the cells that a reader sees, one row a configuration."""
    headers = [
        say("configuration"),
        say("training, s: before"),
        say("after"),
        say("after ÷ before"),
        say("training time"),
        say("images/s, after ÷ before"),
        say("accuracy, points"),
        say("accuracy"),
        say("trials"),
    ]
    return Cells(headers, [_format_change(name, change) for name, change in changes.items()])


def list_cautions(before: Run, after: Run, changes: Mapping[str, Change]) -> list[str]:
    """Returns what a reader must know before trusting the ratios."""
    cautions = [
        say(
            "{name}: not the same work, they differ in {fields}.",
            name=name,
            fields=list_items(map(say, own.work_differences)),
        )
        for name, own in changes.items()
        if own.work_differences
    ]
    for run in (before, after):
        findings = [*audit_fairness(run.groups), *audit_plan(run.groups, run.info)]
        marks = mark_configurations(run.groups, findings)
        if names := marks.contended:
            note = "{run}: {names} contended: the replicas asked for more cores than there are."
            cautions.append(say(note, run=run.info.run_id, names=list_items(names)))
        if names := marks.disturbed:
            note = "{run}: {names} disturbed: the machine was not equally fast in all trials."
            cautions.append(say(note, run=run.info.run_id, names=list_items(names)))
        for finding in list_violations(findings):
            if finding.rule not in TOLD_APART:
                note = "{run}: rule broken by {names}: {rule}."
                names = list_items(finding.configurations)
                cautions.append(say(note, run=run.info.run_id, names=names, rule=say(finding.rule)))
        if only := [name for name in run.groups if name not in changes]:
            cautions.append(say("Only in {run}: {names}.", run=run.info.run_id, names=list_items(only)))
    return cautions


def render_run_markdown(before: Run, after: Run) -> str:
    """Returns the comparison of two runs as Markdown that reads well as raw text, too."""
    with speak_of_trials(list_trials(before.groups)):
        return _render_markdown(before, after)


def _render_markdown(before: Run, after: Run) -> str:
    changes, differences = compare_runs(before, after), list_run_differences(before, after)
    paragraphs = [
        f"# {escape_markdown(_title(before, after))}",
        escape_markdown(state_changes(changes)),
        to_markdown(tabulate_changes(changes)).rstrip(),
        _explain_intervals(),
        *(f"- {escape_markdown(caution)}" for caution in list_cautions(before, after, changes)),
        f"## {say('What differs between the runs')}",
        to_markdown(differences).rstrip() if differences.rows else say("Nothing that was recorded."),
    ]
    return "\n\n".join(paragraphs) + "\n"


def render_run_html(before: Run, after: Run) -> str:
    """Returns the comparison of two runs as one self-contained HTML page."""
    with speak_of_trials(list_trials(before.groups)):
        return _render_html(before, after)


def _render_html(before: Run, after: Run) -> str:
    changes = compare_runs(before, after)
    ratios = {name: change.train_seconds for name, change in changes.items() if change.train_seconds}
    return render_page(
        "report/run_comparison.html.j2",
        title=_title(before, after),
        verdict=state_changes(changes),
        cautions=list_cautions(before, after, changes),
        changes=tabulate_changes(changes),
        intervals=_explain_intervals(),
        differences=list_run_differences(before, after),
        plot=plot_ratios(ratios, say("training time, after ÷ before")) if ratios else None,
    )


def _title(before: Run, after: Run) -> str:
    return say("Run {before} against run {after}", before=before.info.run_id, after=after.info.run_id)


def _explain_intervals() -> str:
    return say(
        "Ratios of means over trials with 95 % intervals that hold for all configurations together; what an interval "
        "that includes 1 says is not distinguishable. They hold the scatter between the trials of each run, not what "
        "differs from one hour or machine to another: to tell a change of the code from one of the machine, run both "
        "in turns, several times. Accuracies: differences of means in percentage points."
    )


def _format_share(trials: Trials, measure: Callable[[TrialRecord], float | None]) -> str:
    """Returns the median over trials of a share, in whole per cent."""
    shares = [share for trial in trials if (share := measure(trial)) is not None]
    return f"{100 * median(shares):.0f}" if shares else UNKNOWN


def _format_change(name: str, change: Change) -> list[str]:
    seconds = [
        format_number(compute_mean([*average_rounds(timed, lambda trial: trial.train_seconds).values()]))
        if timed
        else UNKNOWN
        for timed in map(list_timed, (change.before, change.after))
    ]
    mark = f" {CONTENDED_MARK}" if is_any_contended([*change.before, *change.after]) else ""
    is_comparable = not change.work_differences
    return [
        name + mark,
        *seconds,
        format_ratio(change.train_seconds),
        _judge_time(change.train_seconds),
        format_ratio(change.images_per_second),
        _format_difference(change) if is_comparable else UNKNOWN,
        _judge_quality(change.quality) if is_comparable else UNKNOWN,
        list_items([f"{len(trials):,}" for trials in (change.before, change.after)]),
    ]


def _judge_time(ratio: Ratio | None) -> str:
    if ratio is None:
        return say("not comparable")
    if ratio.low is None:
        return say("not decided by a single trial")
    return {-1: say("faster"), 0: say("not distinguishable"), 1: say("slower")}[ratio.direction]


def _format_difference(change: Change) -> str:
    """Returns by how much the metric changed, an accuracy in percentage points."""
    difference = change.quality
    if change.before[0].is_accuracy:
        return f"{100 * difference.value:+.2f} ± {100 * difference.half_width:.2f}"
    sign = "+" if difference.value > 0 else ""
    value = f"{sign}{format_metric(difference.value, is_accuracy=False)}"
    return f"{value} ± {format_number(difference.half_width, 2)}" if difference.is_known else value


def _judge_quality(difference: Difference) -> str:
    if not difference.is_known:
        return say("not decided by a single trial")
    return {-1: say("lower"), 0: say("not distinguishable"), 1: say("higher")}[difference.direction]


def _compute_ratios(
    pairs: Mapping[str, tuple[Trials, Trials]], read: Callable[[TrialRecord], float]
) -> dict[str, Ratio]:
    """Returns after ÷ before of each pair. The rounds of two runs have nothing in common: they get columns apart."""
    if not pairs:
        return {}
    rows = [trials for side in (0, 1) for trials in [pair[side] for pair in pairs.values()]]
    rounds = [[*average_rounds(trials, read).values()] for trials in rows]
    longest = [max(map(len, rounds[: len(pairs)])), max(map(len, rounds[len(pairs) :]))]
    values = np.full((len(rows), sum(longest)), np.nan)
    for index, own in enumerate(rounds):
        first = 0 if index < len(pairs) else longest[0]
        values[index, first : first + len(own)] = own
    indices = [(len(pairs) + index, index) for index in range(len(pairs))]
    unpooled = [index for index, trials in enumerate(rows) if is_any_contended(trials)]
    return dict(zip(pairs, compute_ratios(values, indices, unpooled), strict=True))


def _list_values(run: Run, field: str) -> list[str]:
    return sorted({str(getattr(trial, field)) for trial in list_trials(run.groups)})
