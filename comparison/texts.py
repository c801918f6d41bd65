"""The fixed texts of the report in the reader's language: English stands in the code, each other one in a catalogue.

The English in the code is of image classifiers. What is said otherwise of data that are no images, or of another metric
than accuracy, stands in a catalogue of its own, by the text in the code: `speak_of` has `say` use it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files
from typing import NamedTuple

ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh")
# As the `lang` attribute of HTML names them.
_TAGS = {"zh": "zh-CN"}
# The catalogues of what is said otherwise, the more special one first: a text of it may be in the next one, too.
METRIC, EXAMPLES = "metric", "examples"
DIALECTS = (METRIC, EXAMPLES)
# Which way is better, beside a metric's name.
HIGHER, LOWER = "↑", "↓"
# Metrics that have a name in other languages; others keep the one that they were given.
METRIC_NAMES = (
    *("binary accuracy", "mean absolute error", "mean squared error", "root mean squared error"),
    *("mean absolute percentage error", "loss", "perplexity"),
)


class _Subject(NamedTuple):
    """What texts are about: the catalogues that say it otherwise, the metric's name and its better direction."""

    dialects: tuple[str, ...] = ()
    metric: str = ""
    better: str = ""


# Where the catalogues of a language are: that of the whole package, and those of wings that have their own.
_FOLDERS = (".", "programs")

_language = ContextVar("language", default=ENGLISH)
_IMAGES_AND_ACCURACY = _Subject()
_subject = ContextVar("subject", default=_IMAGES_AND_ACCURACY)


@contextmanager
def speak_of(metric: str | None, *, higher_is_better: bool = True, has_images: bool = True) -> Iterator[None]:
    """Makes `say` speak of that metric and of such data, for as long as the context lasts.

    Args:
        metric: Its name; None: it is accuracy.
        higher_is_better: Its direction.
        has_images: Whether the data are images.
    """
    dialects = (*(() if metric is None else (METRIC,)), *(() if has_images else (EXAMPLES,)))
    subject = _Subject(dialects, metric or "", HIGHER if higher_is_better else LOWER)
    token = _subject.set(subject)
    try:
        yield
    finally:
        _subject.reset(token)


@contextmanager
def speak(language: str) -> Iterator[None]:
    """Makes `say` answer in that language, one of `LANGUAGES`, for as long as the context lasts."""
    token = _language.set(language)
    try:
        yield
    finally:
        _language.reset(token)


def say(text: str, **values: object) -> str:
    """Returns a text in the reader's language, with values in place of its `{names}`.

    Args:
        text: The English text, by which the catalogues know it; one that they lack stays English.
        **values: What it names, formatted already.
    """
    subject = _subject.get()
    told = text
    for dialect in subject.dialects:
        told = read_catalogue(dialect).get(told, told)
    translated = read_catalogue(_language.get()).get(told, told)
    if told != text:
        values = {"metric": translate_metric(subject.metric), "better": subject.better, **values}
    return translated.format(**values) if values else translated


def translate_metric(name: str) -> str:
    """Returns a metric's name in the reader's language, as it is where that has none."""
    readable = name.replace("_", " ")
    return read_catalogue(_language.get()).get(readable, readable)


def say_count(number: float, one: str, many: str) -> str:
    """Returns a text about so many things.

    Args:
        number: How many, `{number}` in the text.
        one: The text about one.
        many: The text about any other number.
    """
    return say(one if number == 1 else many, number=f"{number:,.12g}")


def list_items(items: Iterable[str]) -> str:
    """Returns the items as a list in a sentence."""
    return say(", ").join(items)


def join_clauses(clauses: list[str]) -> str:
    """Returns the clauses of a sentence, one after another."""
    first, *others = clauses
    return say("{clause}, {others}", clause=first, others=join_clauses(others)) if others else first


def join_scalings(sentences: Mapping[str, str]) -> str:
    """Returns what is said of each kind of scaling, by name where there is more than one."""
    if len(sentences) == 1:
        return next(iter(sentences.values()))
    titles = {"strong": say("Strong scaling"), "weak": say("Weak scaling")}
    return " ".join(say("{scaling}: {sentence}", scaling=titles[name], sentence=own) for name, own in sentences.items())


def capitalize(sentence: str) -> str:
    """Returns a sentence with its first letter as a capital."""
    return sentence[:1].upper() + sentence[1:]


def count_workers(number: int) -> str:
    """Returns so many workers in words."""
    return say_count(number, "{number} worker", "{number} workers")


def count_servers(number: int) -> str:
    """Returns so many parameter servers in words."""
    return say_count(number, "{number} server", "{number} servers")


def count_trials(number: int) -> str:
    """Returns so many trials in words."""
    return say_count(number, "{number} trial", "{number} trials")


def count_warnings(warnings: Sized) -> str:
    """Returns how many warnings a report has, in words; empty where it has none."""
    one = "Read with care: the report has {number} warning."
    many = "Read with care: the report has {number} warnings."
    return say_count(len(warnings), one, many) if warnings else ""


def get_language() -> str:
    """Returns the language that `say` answers in, one of `LANGUAGES`."""
    return _language.get()


def name_language() -> str:
    """Returns the language that `say` answers in, as HTML names it."""
    return _TAGS.get(_language.get(), _language.get())


def add_language(file_name: str) -> str:
    """Returns a file's name for the language that `say` answers in, such as report.zh.html; English adds nothing."""
    stem, _, suffix = file_name.rpartition(".")
    return file_name if _language.get() == ENGLISH else f"{stem}.{_language.get()}.{suffix}"


@cache
def read_catalogue(language: str) -> Mapping[str, str]:
    """Returns the texts of a language by their English ones; of English, none."""
    if language == ENGLISH:
        return {}
    catalogue: dict[str, str] = {}
    for folder in _FOLDERS:
        file = files("comparison").joinpath(folder, f"texts.{language}.json")
        catalogue |= json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return catalogue
