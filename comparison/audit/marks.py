"""What a reader must know of a configuration before trusting its row: the marks of the table, and who may win it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from comparison.accuracies import compare_quality, is_doubtful
from comparison.audit.findings import Finding, list_violations
from comparison.audit.rules import CONTENTION_RULE, DECISIVE_RULES, DISTURBANCE_RULES
from comparison.groups import SINGLE, Groups, find_baseline, is_any_contended, is_target_missed
from comparison.summary import Row, find_possibly_fastest
from comparison.table import CONTENDED_MARK, DISTURBED_MARK, FASTEST_MARK, UNFAIR_MARK, WORSE_MARK
from comparison.texts import list_items, say

# What has a mark, or another place, of its own.
TOLD_APART = frozenset({CONTENTION_RULE, *DISTURBANCE_RULES})


@dataclass(frozen=True)
class Marks:
    """The configurations of which a reader must be warned.

    Attributes:
        contended: A trial asked for more cores than there are.
        disturbed: The machine did something else during a training, or held it up.
        unfair: It breaks another rule of the fairness audit.
        worse: Its models are not as good as the baseline's, or miss the target that the baseline's reach.
        unproven: It breaks a rule without which an interval over its trials means nothing; all of them are unfair.
        baselines: The single nodes that another configuration is compared with: what they break falls on all of these.
    """

    contended: Sequence[str] = ()
    disturbed: Sequence[str] = ()
    unfair: Sequence[str] = ()
    worse: Sequence[str] = ()
    unproven: Sequence[str] = ()
    baselines: Sequence[str] = ()

    @property
    def unfair_baselines(self) -> list[str]:
        """The baselines that break a rule: nothing can be forecast from them."""
        return [name for name in self.baselines if name in self.unfair]

    @property
    def signs(self) -> dict[str, Sequence[str]]:
        """The configurations that each sign in the table stands for."""
        return {
            CONTENDED_MARK: self.contended,
            UNFAIR_MARK: self.unfair,
            DISTURBED_MARK: self.disturbed,
            WORSE_MARK: self.worse,
        }


def mark_configurations(groups: Groups, findings: Sequence[Finding]) -> Marks:
    """Returns the configurations of which a reader must be warned, each in the order of the groups.

    Args:
        groups: The trials of each configuration.
        findings: What the fairness audit found of them.
    """
    violations = list_violations(findings)
    broken = {finding.rule: set(finding.configurations) for finding in violations}

    def select(rules: Collection[str]) -> list[str]:
        names = set().union(*(broken[rule] for rule in rules if rule in broken))
        return [name for name in groups if name in names]

    return Marks(
        contended=[name for name, trials in groups.items() if is_any_contended(trials)],
        disturbed=select(DISTURBANCE_RULES),
        unfair=select(broken.keys() - TOLD_APART),
        worse=[name for name in groups if is_worse(groups, name)],
        unproven=select(DECISIVE_RULES),
        baselines=_list_baselines(groups),
    )


def _list_baselines(groups: Groups) -> list[str]:
    baselines = {name: find_baseline(groups, name) for name in groups}
    used = {own[0].configuration for name, own in baselines.items() if own and own[0].configuration != name}
    return [name for name in groups if name in used]


def is_worse(groups: Groups, configuration: str) -> bool:
    """Returns whether a configuration's speed is no gain, because its models are not as good as its baseline's."""
    baseline, trials = find_baseline(groups, configuration), groups[configuration]
    if not baseline:
        return False
    is_inferior = compare_quality(baseline, trials).direction < 0 or is_doubtful(baseline, trials)
    return is_inferior or is_target_missed(baseline, trials)


def list_broken_rules(
    findings: Sequence[Finding], configurations: Collection[str], told_apart: Collection[str] = TOLD_APART
) -> list[str]:
    """Returns the rules that one of the configurations breaks, but for those that are told elsewhere.

    Contention and disturbances by the machine are: they qualify a figure in their own words.
    """
    return [
        finding.rule
        for finding in list_violations(findings)
        if finding.rule not in told_apart and not set(configurations).isdisjoint(finding.configurations)
    ]


def find_winner(rows: Sequence[Row], marks: Marks) -> str | None:
    """Returns the configuration that trains fastest, or None where the trials cannot tell it from the baseline.

    One whose models are worse, or whose trials prove nothing, does not win, nor does the baseline where only such a
    one was faster. Distributing to one worker measures what distributing costs, and wins nothing.

    Args:
        rows: The table, or that of one kind of scaling.
        marks: What `mark_configurations` returned.
    """
    baseline = rows[0].configuration
    measured = {row.configuration: ratio for row in rows if (ratio := row.ratio) and ratio.low is not None}
    if baseline in marks.unproven or not measured:
        return None
    sound = [name for name in _list_sound(rows, marks) if name in measured]
    fastest = max(sound, key=lambda name: measured[name].value, default=None)
    if fastest and measured[fastest].direction > 0:
        return fastest
    is_baseline_fastest = len(measured) == len(rows) - 1 and all(own.direction < 0 for own in measured.values())
    return baseline if is_baseline_fastest else None


def find_fastest(rows: Sequence[Row], groups: Groups, marks: Marks) -> list[str]:
    """Returns the configurations that may be the fastest: the winner, and what the trials cannot tell from it.

    There are none where nothing wins, and the baseline is never among several: the winner is told from it.

    Args:
        rows: The table of one kind of scaling.
        groups: Its trials by configuration.
        marks: What `mark_configurations` returned.
    """
    winner, baseline = find_winner(rows, marks), rows[0].configuration
    if winner is None or winner == baseline:
        return [] if winner is None else [winner]
    possible = {winner, *find_possibly_fastest(groups, {*_list_sound(rows, marks)} - {baseline})}
    return [row.configuration for row in rows if row.configuration in possible]


def _list_sound(rows: Sequence[Row], marks: Marks) -> list[str]:
    """Returns the configurations that have a speedup and may win."""
    alone = [row.configuration for row in rows if row.strategy != SINGLE and row.num_workers == 1]
    out = {*marks.worse, *marks.unproven, *alone}
    return [row.configuration for row in rows if row.speedup is not None and row.configuration not in out]


def explain_fastest(names: Sequence[str]) -> str:
    """Returns what the star in the table means: the configurations that `find_fastest` returned, one or more."""
    if len(names) == 1:
        return say("{mark} trained fastest.", mark=FASTEST_MARK)
    several = "{mark} not told apart, each may be the fastest: {names}."
    return say(several, mark=FASTEST_MARK, names=list_items(names))


def explain_marks(marks: Marks, worse: str = "") -> list[str]:
    """Returns what the marks in the table mean, for those that are there.

    Args:
        marks: The configurations of which a reader must be warned.
        worse: What the mark of worse models means, where that is not this project's own loop's.
    """
    less_accurate = (
        "{mark} less accurate than the single node, or perhaps so by too much, or short of its target: not the same "
        "result."
    )
    contended = "{mark} contended: the replicas asked for more cores than there are."
    meanings = {
        CONTENDED_MARK: say(contended, mark=CONTENDED_MARK),
        UNFAIR_MARK: say("{mark} breaks a rule of the fairness audit.", mark=UNFAIR_MARK),
        DISTURBED_MARK: say(
            "{mark} disturbed: the machine did something else during a training, or held it up.", mark=DISTURBED_MARK
        ),
        WORSE_MARK: worse or say(less_accurate, mark=WORSE_MARK),
    }
    return [meaning for mark, meaning in meanings.items() if marks.signs[mark]]
