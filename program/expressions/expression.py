"""What a person writes: `NAME=REGEX`."""

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from program.errors import ProgramError

_NAME = re.compile(r"[A-Za-z_][\w/. @-]{0,99}")
_MOST_CHARACTERS = 2000
_ADVICE = (
    r'Write for example --progress-regex "step=iteration (\d+)" or --progress-regex "accuracy=Test acc: ([\d.]+)".'
)


@dataclass(frozen=True)
class Expression:
    """A name, the expression that finds its value, and the number of the group that is the value."""

    name: str
    pattern: str
    group: int


def parse_expressions(texts: Sequence[str]) -> list[Expression]:
    """Returns what `--progress-regex` says.

    Raises:
        ProgramError: An expression is none, captures nothing or too much, or a name comes twice.
    """
    expressions = [_parse(text) for text in texts]
    names = [expression.name for expression in expressions]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ProgramError(
            f"each name of progress_regex must come once; {', '.join(twice)} came more often. "
            "Join the expressions with |, or name the second one otherwise."
        )
    return expressions


def _parse(text: str) -> Expression:
    name, equals, pattern = text.partition("=")
    name = name.strip()
    if not equals or not _NAME.fullmatch(name) or not pattern:
        raise ProgramError(f"progress_regex must be NAME=REGEX; {text!r} came. {_ADVICE}")
    if len(pattern) > _MOST_CHARACTERS:
        raise ProgramError(
            f"progress_regex {name!r} must have at most {_MOST_CHARACTERS:,} characters; it has {len(pattern):,}."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # "possible nested set": an expression that will mean something else
            compiled = re.compile(pattern)
    except (re.error, OverflowError, RecursionError, Warning) as error:
        raise ProgramError(f"progress_regex {name!r} is no regular expression of Python: {error}. {_ADVICE}") from error
    named = list(compiled.groupindex.items())
    if name in compiled.groupindex:
        return Expression(name, pattern, compiled.groupindex[name])
    if len(named) == 1:
        return Expression(name, pattern, named[0][1])
    if compiled.groups != 1:
        raise ProgramError(
            f"progress_regex {name!r} must capture one group, the value, or name it (?P<value>…); {pattern!r} captures "
            f"{compiled.groups}. Other groups are written (?:…)."
        )
    return Expression(name, pattern, 1)
