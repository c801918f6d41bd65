"""What an answer on a program rests on, and the configurations of which a reader must be warned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from comparison.audit import CONTENTION_RULE, Finding, Marks, list_violations
from comparison.programs.audit import RULES_TOLD_APART, WAITING_RULE, Case
from comparison.programs.measure import Measure
from comparison.programs.metrics import Metric, Quality, compare_metric
from comparison.programs.rows import ProgramRow
from comparison.records import RunInfo
from comparison.statistics import Ratio


@dataclass(frozen=True)
class Evidence:
    """All that an answer rests on."""

    case: Case
    rows: Sequence[ProgramRow]
    findings: Sequence[Finding]
    metric: Metric | None
    qualities: Mapping[str, Quality]
    marks: Marks
    run_info: RunInfo

    @property
    def measure(self) -> Measure:
        """What the rows are compared by."""
        return self.case.measure

    @property
    def ratios(self) -> dict[str, Ratio | None]:
        """The speedups by configuration."""
        return {row.configuration: row.ratio for row in self.rows}


def find_wanted(run_info: RunInfo) -> str:
    """Returns the metric that a person asked for, empty where none was."""
    return str(run_info.parameters.get("metric") or "")


def compare_qualities(case: Case, metric: Metric | None) -> dict[str, Quality]:
    """Returns how the metric of each configuration but the baseline compares with the baseline's."""
    if metric is None or not case.baseline:
        return {}
    return {
        name: compare_metric(case.baseline, trials, metric)
        for name, trials in case.groups.items()
        if name != case.baseline_name
    }


def mark_rows(case: Case, findings: Sequence[Finding], qualities: Mapping[str, Quality]) -> Marks:
    """Returns the configurations of which a reader must be warned, each in the order of the table."""
    broken = {finding.rule: finding for finding in list_violations(findings)}

    def select(chosen: Sequence[Finding]) -> list[str]:
        names = {name for finding in chosen for name in finding.configurations}
        return [name for name in case.groups if name in names]

    return Marks(
        contended=select([broken[CONTENTION_RULE]] if CONTENTION_RULE in broken else []),
        disturbed=select([broken[WAITING_RULE]] if WAITING_RULE in broken else []),
        unfair=select([own for own in broken.values() if own.rule not in RULES_TOLD_APART]),
        worse=[name for name, quality in qualities.items() if quality.is_no_gain],
        unproven=select([own for own in broken.values() if own.is_decisive]),
        baselines=[case.baseline_name] if case.baseline_name is not None else [],
    )
