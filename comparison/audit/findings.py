"""What came of a rule of a fair comparison: the evidence for it, and how a reader is told."""

from collections import Counter
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from comparison.groups import Placed
from comparison.texts import list_items, say, say_count

# Of a sentence: a reader of thousands of trials needs a few to look for, and how many more there are.
MAX_LISTED = 20


class Status(StrEnum):
    """What the records say about a rule."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNKNOWN = "not known"


@dataclass(frozen=True)
class Finding:
    """What came of a rule.

    Attributes:
        rule: What a fair comparison keeps to, in a few words.
        status: Whether the records do.
        sentence: The values that were received.
        configurations: Those that break the rule.
        brief: The gist of a sentence that is long; else empty.
        is_decisive: Whether, where it is broken, an interval over the trials means nothing.
    """

    rule: str
    status: Status
    sentence: str
    configurations: tuple[str, ...] = ()
    brief: str = ""
    is_decisive: bool = False


def list_violations(findings: Iterable[Finding]) -> list[Finding]:
    """Returns the findings on broken rules."""
    return [finding for finding in findings if finding.status is Status.VIOLATED]


def warn_of_findings(findings: Iterable[Finding], told_apart: Container[str]) -> list[str]:
    """Returns what a reader is warned of: rules that are broken, but for those that are told apart, or not known."""
    findings = list(findings)
    warnings = [
        say("Rule broken: {rule} ({names}).", rule=say(finding.rule), names=list_items(finding.configurations))
        for finding in list_violations(findings)
        if finding.rule not in told_apart
    ]
    if unknown := sum(finding.status is Status.UNKNOWN for finding in findings):
        one = "The records do not say whether {number} rule holds."
        many = "The records do not say whether {number} rules hold."
        warnings.append(say_count(unknown, one, many))
    return warnings


@dataclass(frozen=True)
class Breach:
    """A configuration that breaks a rule, and how."""

    configuration: str
    received: str


@dataclass(frozen=True)
class Evidence:
    """What a check found.

    Attributes:
        breaches: What breaks the rule.
        received: The values where nothing does.
        unknown: What the records do not say.
        notes: What a reader may want to know, and is no breach.
        brief: The gist of the breaches where they are many; else empty.
    """

    breaches: Sequence[Breach]
    received: str
    unknown: str | None = None
    notes: Sequence[str] = ()
    brief: str = ""


def conclude(rule: str, evidence: Evidence, *, is_decisive: bool = False) -> Finding:
    """Returns what came of a rule: breaches outweigh what is not known, notes follow either."""
    finding = _judge(rule, evidence)
    sentence = " ".join([finding.sentence, *map(_end_sentence, evidence.notes)])
    return replace(finding, sentence=sentence, is_decisive=is_decisive)


def find_clashes(values: Sequence[tuple[str, str]], label: str = "") -> tuple[list[Breach], str]:
    """Returns what is not as most configurations have it, the first ones of two equally many, and the value of these.

    Args:
        values: Configurations and what was received of them, one at least.
        label: Of which trials, for the sentence.
    """
    counts = Counter(value for _, value in dict.fromkeys(values))
    expected = max(counts, key=lambda value: counts[value])
    reference = next(name for name, value in values if value == expected)
    clash = "{value}{label}, where {reference} has {expected}"
    breaches = [
        Breach(name, say(clash, value=value, label=label, reference=reference, expected=expected))
        for name, value in values
        if value != expected
    ]
    return breaches, expected


def count_silent(number: int) -> str | None:
    """Returns how many trials do not say something; None where all do."""
    return say_count(number, "One trial does not say", "{number} trials do not say") if number else None


def _judge(rule: str, evidence: Evidence) -> Finding:
    if evidence.breaches:
        sentence = list_some(
            (
                say("{configuration}: {received}", configuration=breach.configuration, received=breach.received)
                for breach in evidence.breaches
            ),
            say("; "),
        )
        names = tuple(dict.fromkeys(breach.configuration for breach in evidence.breaches))
        return Finding(rule, Status.VIOLATED, _end_sentence(sentence), names, evidence.brief)
    if evidence.unknown:
        return Finding(rule, Status.UNKNOWN, _end_sentence(evidence.unknown))
    return Finding(rule, Status.HOLDS, _end_sentence(evidence.received))


def _end_sentence(sentence: str) -> str:
    return say("{clauses}.", clauses=sentence)


def list_some(items: Iterable[str], separator: str | None = None) -> str:
    """Returns the items, each once, and of more than `MAX_LISTED` the first ones and how many there are beside them."""
    distinct = list(dict.fromkeys(items))
    listed = (say(", ") if separator is None else separator).join(distinct[:MAX_LISTED])
    left = len(distinct) - MAX_LISTED
    return say("{items} and {number} more", items=listed, number=f"{left:,}") if left > 0 else listed


def state_received(values: Iterable[str]) -> str:
    """Returns the values, each once, as what was received."""
    return say("Received: {values}", values=list_some(values))


def name_trial(trial: Placed) -> str:
    """Returns a trial in words."""
    return say("trial {trial} of {configuration}", trial=trial.trial, configuration=trial.configuration)
