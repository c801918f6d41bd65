import re
from dataclasses import replace

import pytest

from comparison.records import TrialRecord
from comparison.report.analysis import analyze
from comparison.report.markdown import render_markdown
from comparison.texts import LANGUAGES, speak
from tests.comparison.record_factory import make_record, make_run, make_run_info


def render_text(records: list[TrialRecord]) -> str:
    return render_markdown(analyze(records, make_run_info()))


def test_markdown_starts_with_the_verdict_and_ends_with_the_warnings() -> None:
    records = [replace(record, warnings=["slow"]) for record in make_run()]
    text = render_text(records)

    assert text.startswith("# Distributing pays off here: ")
    assert "\n| parameter-server-2w-1ps † |" in text
    assert "\n† contended: " in text
    assert "\n- single: slow (2 trials)\n" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_table_has_five_columns_in_every_language(language: str) -> None:
    with speak(language):
        header = next(line for line in render_text(make_run()).splitlines() if line.startswith("| "))

    assert len(header.strip("|").split("|")) == 5


def test_each_kind_of_scaling_has_a_table_and_a_verdict_of_its_own() -> None:
    weak = make_record("all-reduce-2w", images_per_second=3000.0, scaling="weak", per_replica_batch_size=128)
    records = [make_record("single"), make_record("all-reduce-4w"), replace(weak, configuration="all-reduce-2w-weak")]

    text = render_text(records)

    assert re.match(r"# Strong scaling: .*\. Weak scaling: .*\.\n", text)
    strong, _, rest = text.partition("## Weak scaling: one batch size a worker\n")
    assert "## Strong scaling: one global batch for all\n" in strong
    assert ("| all-reduce-4w" in strong, "| all-reduce-2w-weak" in strong) == (True, False)
    assert ("| all-reduce-4w" in rest, "| all-reduce-2w-weak" in rest) == (False, True)


def test_a_name_begins_no_html_no_link_and_no_block_wherever_it_stands() -> None:
    name = "\\<img src=x>\n# [all is well](https://evil.example)"
    records = [replace(record, dataset=name, model=name, warnings=[f"of {name}"]) for record in make_run()]

    text = render_text(records)

    assert text.count(r"\\\<img src=x> # \[all is well](") >= 2
    assert not re.search(r"(?<!\\)(\\\\)*[<\[]", text)
    assert "\n# [" not in text
