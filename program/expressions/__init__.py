"""A person's own regular expressions: `NAME=REGEX`, each bounded in time whatever it is."""

from program.expressions.expression import Expression, parse_expressions
from program.expressions.matching import Matching, Own

__all__ = ["Expression", "Matching", "Own", "parse_expressions"]
