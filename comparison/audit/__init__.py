"""Whether the comparison is fair, and what a reader must know of a configuration before trusting its row."""

from comparison.audit.disturbances import DISTURBED_SHARE, measure_disturbance
from comparison.audit.findings import Finding, Status, list_violations
from comparison.audit.marks import (
    TOLD_APART,
    Marks,
    explain_fastest,
    explain_marks,
    find_fastest,
    find_winner,
    list_breaches,
    list_broken_rules,
    mark_configurations,
)
from comparison.audit.plan import audit_plan
from comparison.audit.rules import CONTENTION_RULE, CORES_RULE, audit_fairness

__all__ = [
    "CONTENTION_RULE",
    "CORES_RULE",
    "DISTURBED_SHARE",
    "TOLD_APART",
    "Finding",
    "Marks",
    "Status",
    "audit_fairness",
    "audit_plan",
    "explain_fastest",
    "explain_marks",
    "find_fastest",
    "find_winner",
    "list_breaches",
    "list_broken_rules",
    "list_violations",
    "mark_configurations",
    "measure_disturbance",
]
