"""What a fair comparison of programs keeps to, as rules: what each needs to know, and how it is checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from comparison.audit import (
    CONTENTION_RULE,
    OVERLAP_RULE,
    ROUNDS_RULE,
    Evidence,
    Finding,
    check_interleaving,
    check_overlap,
    conclude,
)
from comparison.programs.audit.case import Case, find_image, find_memory, find_nodes, list_trainers
from comparison.programs.audit.surroundings import (
    check_baseline,
    check_contention,
    check_cpus,
    check_cuts,
    check_image,
    check_levels,
    check_memory,
    check_nodes,
    check_restarts,
    check_waiting,
)
from comparison.programs.audit.trainings import (
    check_agreement,
    check_clocks,
    check_copies,
    check_efficiency,
    check_first_steps,
    check_sharing,
    check_steps,
    check_work,
)
from comparison.programs.measure import measure_total
from comparison.programs.record import ProgramTrial
from comparison.texts import count_trials, list_items, say

WAITING_RULE = "no trial held up"
AGREEMENT_RULE = "workers that train one model"
SHARING_RULE = "workers that share the work"


class Fact(NamedTuple):
    """What a rule may need to know of a trial: what a reader calls it, and whether the trial tells it."""

    label: str
    is_told: Callable[[ProgramTrial], bool]


@dataclass(frozen=True)
class Rule:
    """A rule of a fair comparison.

    Attributes:
        name: It in a few words.
        check: Whether trials keep to it, of which all is known that it needs.
        needs: What it must know of every trial; where one does not tell, the rule cannot be known to hold.
        is_decisive: Whether, where it is broken, an interval over the trials means nothing.
        is_told_apart: Whether a breach has words of its own in the answer, and makes no row unfair.
    """

    name: str
    check: Callable[[Case], Evidence]
    needs: tuple[str, ...] = ()
    is_decisive: bool = False
    is_told_apart: bool = False


FACTS: Mapping[str, Fact] = {
    "image": Fact("the image's digest", lambda trial: find_image(trial) is not None),
    "cpus": Fact("CPUs of a replica", lambda trial: trial.cpus_per_replica is not None),
    "memory": Fact("memory of a replica", lambda trial: find_memory(trial) is not None),
    "nodes": Fact("nodes of the replicas", lambda trial: find_nodes(trial) is not None),
    "first step": Fact("the chief's first step", lambda trial: trial.first_step is not None),
    "work": Fact("number of examples", lambda trial: measure_total(trial) is not None),
    "train": Fact("training time", lambda trial: bool(trial.train_seconds)),
    "shares": Fact(
        "examples of each worker",
        lambda trial: trial.num_workers == 1 or None not in [own.examples for own in list_trainers(trial)],
    ),
    "metrics": Fact(
        "metrics of each worker",
        lambda trial: trial.num_workers == 1 or None not in [own.metrics for own in list_trainers(trial)],
    ),
    "waiting": Fact(
        "time waited for cores", lambda trial: None not in [replica.waited_seconds for replica in trial.replicas]
    ),
}


def audit_programs(case: Case) -> list[Finding]:
    """Returns what came of every rule, in the order of the report: rules in English, sentences as `say` does."""
    return [_apply(rule, case) for rule in RULES]


def _apply(rule: Rule, case: Case) -> Finding:
    """Returns what came of a rule: breaches outweigh what cannot be known, and that outweighs what holds."""
    known = [trial for trial in case.trials if all(FACTS[need].is_told(trial) for need in rule.needs)]
    silent = len(case.trials) - len(known)
    evidence = rule.check(case.select(known)) if known else Evidence([], "")
    if silent and not evidence.breaches:
        facts = list_items(
            say(FACTS[need].label)
            for need in rule.needs
            if not all(FACTS[need].is_told(trial) for trial in case.trials)
        )
        unknown = say("cannot be known here: {trials} without {facts}", trials=count_trials(silent), facts=facts)
        evidence = Evidence([], "", unknown, evidence.notes)
    return conclude(rule.name, evidence, is_decisive=rule.is_decisive)


def _check_rounds(case: Case) -> Evidence:
    return check_interleaving(case.trials, case.baseline_name)


def _check_overlap(case: Case) -> Evidence:
    return check_overlap(case.trials)


RULES: Sequence[Rule] = (
    Rule("the same image", check_image, ("image",)),
    Rule("same CPUs a replica", check_cpus, ("cpus",)),
    Rule("same memory a replica", check_memory, ("memory",)),
    Rule("spread over nodes alike", check_nodes, ("nodes",)),
    Rule("one worker without servers as the baseline", check_baseline, is_told_apart=True),
    Rule("same number of examples", check_work, ("work",), is_told_apart=True),
    Rule("told alike by every trial", check_levels),
    Rule("all cut or none", check_cuts, is_decisive=True),
    Rule("no old checkpoint", check_first_steps, ("first step",), is_decisive=True),
    Rule("steps that count forwards", check_steps, ("train",)),
    Rule("no restart, no repetition", check_restarts),
    Rule(AGREEMENT_RULE, check_agreement, ("metrics",)),
    Rule(SHARING_RULE, check_sharing, ("shares", "train"), is_decisive=True),
    Rule("no faster than its workers", check_efficiency),
    Rule(CONTENTION_RULE, check_contention, is_told_apart=True),
    Rule(WAITING_RULE, check_waiting, ("waiting",), is_told_apart=True),
    Rule(OVERLAP_RULE, _check_overlap, is_decisive=True),
    Rule(ROUNDS_RULE, _check_rounds),
    Rule("every trial measured anew", check_copies, is_decisive=True),
    Rule("counts and clocks add up", check_clocks, is_decisive=True),
)
RULES_TOLD_APART = frozenset(rule.name for rule in RULES if rule.is_told_apart)
