"""Warnings as the launcher wrote them into the records, in the reader's language."""

import re
from functools import cache

from comparison.texts import say

# Each as it is recorded, with names in place of what differs; what a name stands for may be another of them.
RECORDED = (
    "after {seconds} s of waiting the job began on a busy machine: {taken}",
    "CPU {cpus} is taken by {takers}",
    "CPU {cpus} are taken by {takers}",
    "trained once more, and this attempt counts; in the one before it {reason}",
    "this attempt counts although {reason}",
    (
        "others took {share} of {cpus} of {replica} while it trained (other programs {others} s, hypervisor {stolen} "
        "s, of {seconds} s; the limit is {limit})"
    ),
    "the CPU time",
    "the replicas ran different images: {digests}",
    "replicas share a GPU: timings are contended",
    "the manifest asks for GPUs, and this machine has none: the training did without",
)


def translate_recorded(message: str) -> str:
    """Returns a recorded warning in the reader's language, as it is where it is none of `RECORDED`."""
    for text in RECORDED:
        if found := _compile(text).fullmatch(message):
            return say(text, **{name: translate_recorded(value) for name, value in found.groupdict().items()})
    return message


@cache
def _compile(text: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(text)))
