"""Whether a comparison of programs is fair, as far as it can be known."""

from comparison.programs.audit.case import Case, find_nodes, name_level
from comparison.programs.audit.rules import (
    AGREEMENT_RULE,
    FACTS,
    RULES,
    RULES_TOLD_APART,
    SHARING_RULE,
    WAITING_RULE,
    audit_programs,
)

__all__ = [
    "AGREEMENT_RULE",
    "FACTS",
    "RULES",
    "RULES_TOLD_APART",
    "SHARING_RULE",
    "WAITING_RULE",
    "Case",
    "audit_programs",
    "find_nodes",
    "name_level",
]
