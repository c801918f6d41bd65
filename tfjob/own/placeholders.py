"""What stands in braces for a value of the comparison: `{workers}`.

Braces belong to others, too: to awk, to JSON, to the shell's `${X}`, to f-strings. So exactly the known names are
filled in, and all else stays as it was written. `{{workers}}` stands for `{workers}` itself, and what follows a dollar
is the shell's: `${workers}` stays.
"""

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches

# What each stands for.
PLACEHOLDERS: Mapping[str, str] = {
    "workers": "the number of replicas that train",
    "num_ps": "the number of parameter servers",
    "global_batch_size": "the batch of all workers together",
    "per_replica_batch_size": "the batch of one worker",
    "seed": "the trial's seed",
    "trial": "the trial's number, from 1",
    "output_dir": "a fresh folder of the trial's own",
    "data_dir": "a folder that all trials share",
}
BATCHES = ("global_batch_size", "per_replica_batch_size")
_NAMES = "|".join(PLACEHOLDERS)
_PLACEHOLDER = re.compile(rf"(?P<shell>\${{{{?(?:{_NAMES})}}}}?)|{{{{(?P<escaped>{_NAMES})}}}}|{{(?P<name>{_NAMES})}}")
# One word in braces that nobody else's syntax explains.
_WORD = re.compile(r"(?<![$%{\\]){ ?(?P<word>[A-Za-z][A-Za-z_-]*) ?}(?!})")
# An argument that is nothing but a word in braces, `{lr}` or `--rate={lr}`, is no program text.
_ALONE = re.compile(r"(?:--?[\w-]+=)?{(?P<word>[A-Za-z][\w-]*)}")
_ALIASES = {
    "worker": "workers",
    "num_workers": "workers",
    "replicas": "workers",
    "ps": "num_ps",
    "batch_size": "per_replica_batch_size",
    "batch": "per_replica_batch_size",
    "output": "output_dir",
    "out": "output_dir",
    "data": "data_dir",
}
_SIMILARITY = 0.75


def find_placeholders(texts: Iterable[str]) -> frozenset[str]:
    """Returns the names that are filled in anywhere in the texts."""
    found = (match["name"] for text in texts for match in _PLACEHOLDER.finditer(text))
    return frozenset(name for name in found if name)


def fill(text: str, values: Mapping[str, str]) -> str:
    """Returns a text with values in place of the known names.

    Args:
        text: What a person wrote.
        values: A value for each name in it.
    """
    return _PLACEHOLDER.sub(lambda found: _substitute(found, values), text)


def describe_near_misses(path: str, text: str) -> list[str]:
    """Returns a line about each word in braces that may have been meant to be filled in.

    Args:
        path: Where the text stands.
        text: What a person wrote.
    """
    words = {found[0]: found["word"] for found in _WORD.finditer(text) if not _PLACEHOLDER.fullmatch(found[0])}
    told = [
        f"{path}: {written} is left as it is: did you mean {{{meant}}}?"
        for written, word in words.items()
        if (meant := _guess(word)) is not None
    ]
    alone = _ALONE.fullmatch(text)
    if alone and not told and alone["word"] not in PLACEHOLDERS:
        known = ", ".join(f"{{{name}}}" for name in PLACEHOLDERS)
        told.append(f"{path}: {{{alone['word']}}} is left as it is: it is none of {known}")
    return told


def _substitute(found: re.Match[str], values: Mapping[str, str]) -> str:
    if found["shell"]:
        return found[0]
    return f"{{{found['escaped']}}}" if found["escaped"] else values[found["name"]]


def _guess(word: str) -> str | None:
    """Returns the name that a word may have been meant to be."""
    plain = word.lower().replace("-", "_")
    if plain in PLACEHOLDERS:
        return plain
    close = get_close_matches(plain, PLACEHOLDERS, 1, _SIMILARITY)
    return _ALIASES.get(plain) or (close[0] if close else None)
