import ast
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import jinja2
import pytest
from jinja2 import nodes

from comparison.audit.findings import Status
from comparison.audit.plan import PLAN_RULE, SEEDS_RULE, SETTINGS_RULE, TARGET_RULE
from comparison.audit.rules import audit_fairness
from comparison.clocks import KINDS, PARTS, PHASES, TOTAL, TRAINING
from comparison.environment import describe_environment
from comparison.groups import SAME_WORK, group_trials
from comparison.programs.audit import FACTS, RULES
from comparison.programs.cautions import DECLARED, OPTIONS
from comparison.programs.measure import UNITS
from comparison.programs.page import FACTS as ENVIRONMENT
from comparison.programs.plots import PARTS as PARTS_OF_JOBS
from comparison.report.analysis import SCALINGS
from comparison.report.recorded import RECORDED
from comparison.summary import summarize
from comparison.table import format_table
from comparison.texts import (
    DIALECTS,
    ENGLISH,
    EXAMPLES,
    LANGUAGES,
    METRIC,
    METRIC_NAMES,
    add_language,
    list_items,
    name_language,
    read_catalogue,
    say,
    say_count,
    speak_of,
)
from comparison.texts import speak as speak_language
from tests.comparison.record_factory import make_record, make_run

PACKAGE = Path(__file__).parents[2] / "comparison"
TRANSLATED = (
    "report/report.html.j2",
    "report/run_comparison.html.j2",
    "page/data_table.html.j2",
    "page/card.html.j2",
    "programs/program.html.j2",
    "report/breakdown.html.j2",
    "report/time_to_accuracy.html.j2",
)
TEMPLATES = [PACKAGE / name for name in TRANSLATED]
OTHERS = [language for language in LANGUAGES if language != ENGLISH]
# What is the same in every language: names of software, machines' facts by their own names.
UNTRANSLATED = {"python", "tensorflow", "keras", "numpy", "tfjob-speedup", "git-sha", "all-reduce"}


NO_TARGET = "There is no time to a target: a target accuracy says nothing of models that are judged by their {metric}."
OTHER_TRACES = ("clocks, up to a factor,", "learning curve", "wrong answers", "confusions")


def list_texts_in_code() -> Iterator[str]:
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        constants: dict[str, list[str]] = {}
        for node in ast.walk(tree):
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
                for target in node.targets:
                    constants.setdefault(ast.unparse(target), []).append(str(node.value.value))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"say", "say_count"}:
                arguments = node.args[1:] if node.func.id == "say_count" else node.args
                for argument in arguments:
                    if isinstance(argument, ast.Constant):
                        yield str(argument.value)
                    else:
                        yield from constants.get(ast.unparse(argument), [])


def list_texts_in_templates() -> Iterator[str]:
    for path in TEMPLATES:
        for call in jinja2.Environment().parse(path.read_text(encoding="utf-8")).find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name in {"say", "say_count"}:
                yield from (argument.value for argument in call.args if isinstance(argument, nodes.Const))


def list_texts_by_value() -> Iterator[str]:
    records = make_run()
    yield from (finding.rule for finding in audit_fairness(group_trials(records)))
    yield from (PLAN_RULE, TARGET_RULE, SEEDS_RULE, SETTINGS_RULE)
    yield from (status.value for status in Status)
    for clock in (*PHASES, TOTAL, TRAINING):
        yield from (clock.label, clock.definition)
    yield from (part.label for part in PARTS)
    yield from KINDS
    yield from (str(header) for header in format_table(summarize(group_trials(records))).columns)
    yield from (name for name in describe_environment([make_record()]) if name not in UNTRANSLATED)
    yield "parameter-server"
    yield from ("strong", "weak", "clocks", "start", "trained weights", *OTHER_TRACES, "local", "kubernetes")
    yield from (field for fields in SAME_WORK.values() for field in fields if field not in UNTRANSLATED)
    yield from SCALINGS.values()
    yield from RECORDED
    yield from (rule.name for rule in RULES)
    yield from (fact.label for fact in FACTS.values())
    yield from (*PARTS_OF_JOBS, *PARTS_OF_JOBS.values(), *ENVIRONMENT, *UNITS, *DECLARED, *OPTIONS.values())


def list_texts_of_images() -> set[str]:
    return {*list_texts_in_code(), *list_texts_in_templates(), *list_texts_by_value()}


def list_texts() -> set[str]:
    otherwise = {text for dialect in DIALECTS for text in read_catalogue(dialect).values()}
    return list_texts_of_images() | otherwise | {*METRIC_NAMES}


def list_names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_every_fixed_text_has_a_translation_and_no_translation_is_left_over(language: str) -> None:
    texts, translated = list_texts(), read_catalogue(language).keys()

    assert len(texts) > 200
    assert texts - translated == set()
    assert translated - texts == set()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_said_otherwise_of_other_data_or_metrics_is_said_at_all(dialect: str) -> None:
    otherwise = read_catalogue(dialect)

    assert otherwise.keys() - list_texts_of_images() == set()
    for text, told in otherwise.items():
        assert list_names(told) <= list_names(text) | {"metric", "better"}


@pytest.mark.parametrize(
    ("dialect", "word", "kept"),
    [
        # Images of containers, and such as are shown where there are any.
        (
            EXAMPLES,
            "image",
            {"image", "same image", "image pull", "the replicas ran different images: {digests}"}
            | {"from submitting the job until its replicas run (a cluster's queue, image pull)"}
            | {"Test image, {confusion}"}
            # Of a person's program: its container's image, and a unit that it counts.
            | {"image digest", "images", "the image's digest", "the longest pull of an image", "the same image"},
        ),
        # Said of another metric alone.
        (
            METRIC,
            "accura",
            {NO_TARGET},
        ),
    ],
)
def test_every_text_that_names_images_or_accuracy_is_said_otherwise_where_there_are_none(
    dialect: str, word: str, kept: set[str]
) -> None:
    naming = {text for text in list_texts_of_images() if word in text.lower()}

    assert naming - read_catalogue(dialect).keys() <= kept


def test_a_subject_lasts_as_long_as_its_context_and_in_every_language() -> None:
    with speak_of("mean_absolute_error", higher_is_better=False, has_images=False):
        assert say("images/s") == "examples/s"
        assert say("accuracy, %") == "mean absolute error ↓"
        with speak_language("zh"):
            assert say("accuracy, %") == "平均绝对误差 ↓"
    with speak_of("my_own"), speak_language("zh"):
        assert (say("accuracy, %"), say("images/s")) == ("my own ↑", "图像/秒")
    assert (say("accuracy, %"), say("images/s")) == ("accuracy, %", "images/s")


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_the_values_that_its_text_names(language: str) -> None:
    for text, translated in read_catalogue(language).items():
        # A language without plurals may say "one" in words, or not at all.
        assert list_names(translated) == list_names(text), text


def test_chinese_is_written_in_chinese() -> None:
    for text, translated in read_catalogue("zh").items():
        english = re.findall(r"\b[a-z]{4,}", re.sub(r"{.*?}", "", translated))
        assert set(english) <= {"reduce", "docs", "timing"}, text
        assert translated != text or not re.search("[a-z]", re.sub(r"{.*?}", "", text))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_a_template_holds_no_text_that_is_not_looked_up(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    data = "".join(
        token if kind == "data" else " " for _, kind, token in jinja2.Environment().lex(source) if kind != "comment"
    )
    labels = re.findall(r'(?:aria-label|alt|title)="([^"]*)"', data)
    outside = re.sub(r"<code>.*?</code>|<[^>]*>", " ", data, flags=re.DOTALL)

    assert re.findall(r"[A-Za-z]{2,}", outside + " ".join(labels)) == []


def test_a_text_is_said_in_the_language_of_its_context_only() -> None:
    with speak_language("zh"):
        assert say("configuration") == "配置"
        assert list_items(["a", "b"]) == "a、b"
        assert (name_language(), add_language("report.html")) == ("zh-CN", "report.zh.html")
    assert say("configuration") == "configuration"
    assert list_items(["a", "b"]) == "a, b"
    assert (name_language(), add_language("report.html")) == ("en", "report.html")


def test_a_text_without_a_translation_stays_english() -> None:
    with speak_language("zh"):
        assert say("{count} unheard of", count=3) == "3 unheard of"


def test_one_thing_and_many_are_counted_in_words_of_their_own() -> None:
    assert say_count(1, "{number} worker", "{number} workers") == "1 worker"
    assert say_count(1024, "{number} worker", "{number} workers") == "1,024 workers"
    assert say_count(1234567, "{number} time", "{number} times") == "1,234,567 times"
    assert say_count(0.5, "{number} CPU", "{number} CPUs") == "0.5 CPUs"
