"""The fixed texts of the report in the reader's language: English stands in the code, each other one in a catalogue."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib.resources import files

ENGLISH = "en"
LANGUAGES = (ENGLISH, "zh")
# As the `lang` attribute of HTML names them.
_TAGS = {"zh": "zh-CN"}

# Where the catalogues of a language are: that of the whole package, and those of wings that have their own.
_FOLDERS = (".", "programs")

_language = ContextVar("language", default=ENGLISH)


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
    translated = read_catalogue(_language.get()).get(text, text)
    return translated.format(**values) if values else translated


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
        text = files("comparison").joinpath(folder, f"texts.{language}.json").read_text(encoding="utf-8")
        catalogue |= json.loads(text)
    return catalogue
