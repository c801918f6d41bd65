"""Whether the comparison is fair, and what a reader must know of a configuration before trusting its row."""

from comparison.audit.disturbances import measure_disturbance
from comparison.audit.findings import (
    Breach,
    Evidence,
    Finding,
    Status,
    conclude,
    find_clashes,
    list_some,
    list_violations,
    name_trial,
    state_received,
    warn_of_findings,
)
from comparison.audit.marks import (
    TOLD_APART,
    Marks,
    explain_fastest,
    explain_marks,
    find_fastest,
    find_winner,
    list_broken_rules,
    mark_configurations,
)
from comparison.audit.moments import check_overlap
from comparison.audit.plan import audit_plan, audit_planned_trials
from comparison.audit.rounds import check_interleaving
from comparison.audit.rules import CONTENTION_RULE, CORES_RULE, OVERLAP_RULE, ROUNDS_RULE, audit_fairness

__all__ = [
    "CONTENTION_RULE",
    "CORES_RULE",
    "OVERLAP_RULE",
    "ROUNDS_RULE",
    "TOLD_APART",
    "Breach",
    "Evidence",
    "Finding",
    "Marks",
    "Status",
    "audit_fairness",
    "audit_plan",
    "audit_planned_trials",
    "check_interleaving",
    "check_overlap",
    "conclude",
    "explain_fastest",
    "explain_marks",
    "find_clashes",
    "find_fastest",
    "find_winner",
    "list_broken_rules",
    "list_some",
    "list_violations",
    "mark_configurations",
    "measure_disturbance",
    "name_trial",
    "state_received",
    "warn_of_findings",
]
