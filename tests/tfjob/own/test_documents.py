import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfjob.errors import SpecError
from tfjob.own.documents import MAX_BYTES, read_documents

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet=st.characters(categories=["L", "N", "P"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet="abc"), inner),
    max_leaves=20,
)


def test_documents_come_one_by_one_and_empty_ones_are_left_out() -> None:
    assert read_documents("---\n---\na: 1\n---\n# nothing\n---\nb: 2\n...\n") == [{"a": 1}, {"b": 2}]
    assert read_documents("") == []


def test_anchors_and_merges_are_written_out() -> None:
    text = "base: &base {cpu: 1}\none: *base\ntwo: {<<: *base, memory: 2Gi}\n"
    (document,) = read_documents(text)
    assert document["one"] == {"cpu": 1}
    assert document["two"] == {"cpu": 1, "memory": "2Gi"}


def test_json_may_be_indented_by_tabs() -> None:
    assert read_documents('{\n\t"a": [1]\n}') == [{"a": [1]}]


def test_a_list_is_its_items() -> None:
    assert read_documents("kind: List\nitems: [{a: 1}, {b: 2}]") == [{"a": 1}, {"b": 2}]


def test_a_date_is_a_text_as_for_kubectl() -> None:
    assert read_documents("since: 2024-01-31") == [{"since": "2024-01-31"}]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "no YAML: .* at line 1"),
        ("a: b: c", "no YAML: mapping values are not allowed here at line 1, column 5"),
        ("a: \0", "no YAML: .*special characters"),
        ('{"a": "\\u0000"}', "a must have no NUL"),
        ('{"a": "\\ud800"}', "half of a character"),
        ("[" * 20_000, "must not be nested so deeply"),
        ('{"a":' * 12_000, "must not be nested so deeply"),
        ("[" * 80 + "]" * 80, "nested at most 60 levels"),
        ("a: &a [*a]", "must not contain itself: the alias at line 1"),
        ("!!python/object/apply:os.system [id]", "no YAML: could not determine a constructor"),
        ("a: !!binary aGVsbG8=", "a must be a text, a number.*bytes"),
        ("a: !!set {b}", "a must be a text, a number.*set"),
        ("yes: 1", "must have texts for keys: put it in quotes. Received: True"),
        ("? [a]\n: 1", "no YAML: found unhashable key"),
        ("a: .nan", "a must be a number that is finite"),
        ("a: 1\na: 2", "has 'a' twice in one mapping: line 2, column 1"),
        (f"a: {'9' * 5000}", "value that is none"),
        ("x" * (10 << 20), "at most 96 KiB, .* Received: 10240 KiB"),
        ("é" * (20 << 10), "at most 96 KiB, .* Received: 120 KiB"),  # six letters each, where it is handed over
    ],
)
def test_what_is_no_plain_data_is_one_error(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        read_documents(text)
    assert len(str(caught.value)) < 500


def test_aliases_of_aliases_are_refused_before_they_are_written_out() -> None:
    names = "abcdefghij"
    lines = ["a: &a {x: 1, y: 2}"]
    lines += [f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in pairwise(names)]
    with pytest.raises(SpecError, match="at most 50000 values"):
        read_documents("\n".join(lines))


def test_merges_of_merges_are_refused_before_they_are_written_out() -> None:
    names = "abcdefghij"
    lines = ["a: &a {x: 1, y: 2}"]
    lines += [f"{name}: &{name} {{<<: [{', '.join([f'*{before}'] * 10)}]}}" for before, name in pairwise(names)]
    with pytest.raises(SpecError, match="at most 50000 values"):
        read_documents("\n".join(lines))


@given(VALUES)
def test_json_is_read_as_it_was_written(value: object) -> None:
    text = json.dumps({"value": value}, ensure_ascii=False)
    assert read_documents(text) == [{"value": value}]


@given(st.text(max_size=200) | st.text(alphabet="{}[]:,&*!|>-? \n\"'a1", max_size=60))
def test_any_text_is_data_or_one_error(text: str) -> None:
    try:
        read_documents(text)
    except SpecError as error:
        assert len(str(error)) < 1000  # noqa: PT017 - what it says is of no matter, its size is


def test_a_manifest_of_the_largest_size_is_still_read() -> None:
    text = "a: |\n" + "  x\n" * ((MAX_BYTES - 9) // 5)  # in JSON, the end of a line is two letters
    assert len(read_documents(text)) == 1
