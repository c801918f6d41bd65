import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfjob.own.placeholders import PLACEHOLDERS, describe_near_misses, fill, find_placeholders

VALUES = {name: f"<{name}>" for name in PLACEHOLDERS}
OTHERS = (
    "awk '{print $1}'",
    'echo \'{"seed": 1, "workers": {"a": 2}}\'',
    "echo ${workers} ${X} $(X) $$ $${seed}",
    "--lr=${trialParameters.learningRate}",
    "python -c 'print(f\"{x:.2f} {x!r}\")'",
    "{{ .Values.workers }} {{workflow.name}} {%d}",
    "for i in {1..4}; do echo {a,b}; done",
    "find . -exec rm {} +",
    "${{workers}}",
    "{ workers }",
    "{Workers}",
)


@pytest.mark.parametrize("text", OTHERS)
def test_braces_that_belong_to_others_stay(text: str) -> None:
    assert fill(text, VALUES) == text
    assert find_placeholders([text]) == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("--workers={workers}", "--workers=<workers>"),
        ("{output_dir}/ckpt-{trial}", "<output_dir>/ckpt-<trial>"),
        ('{"batch":{per_replica_batch_size}}', '{"batch":<per_replica_batch_size>}'),
        ("awk '{print {seed}}' ${seed} $((2*{workers}))", "awk '{print <seed>}' ${seed} $((2*<workers>))"),
        ("{{workers}}", "{workers}"),
        ("{{{workers}}}", "{{workers}}"),
        ("{{workers}} of {workers}", "{workers} of <workers>"),
    ],
)
def test_exactly_the_known_names_are_filled_in(text: str, expected: str) -> None:
    assert fill(text, VALUES) == expected


def test_what_a_value_holds_is_not_filled_in_again() -> None:
    assert fill("{output_dir}", {"output_dir": "/{seed}/{{seed}}"}) == "/{seed}/{{seed}}"


@given(st.text(alphabet="{}$ abworkers_1\"'\\", max_size=60))
def test_a_text_without_known_names_stays_to_the_last_character(text: str) -> None:
    if not any(name in text for name in PLACEHOLDERS):
        assert fill(text, VALUES) == text


@given(st.lists(st.sampled_from([*OTHERS, "{workers}", "{seed}", "{{seed}}"]), max_size=6))
def test_neighbours_have_no_effect_on_each_other(parts: list[str]) -> None:
    assert fill(" ".join(parts), VALUES) == " ".join(fill(part, VALUES) for part in parts)


@given(st.text(max_size=40))
def test_every_text_can_be_written_with_the_escape(text: str) -> None:
    for name in PLACEHOLDERS:
        if "{" not in text and "}" not in text and not text.endswith("$"):
            assert fill(f"{text}{{{{{name}}}}}", VALUES) == f"{text}{{{name}}}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("--n={worker}", "workers"),
        ("{num_workers}", "workers"),
        ("{batch_size}", "per_replica_batch_size"),
        ("{global_batchsize}", "global_batch_size"),
        ("sh -c 'train {OUTPUT_DIR}'", "output_dir"),
        ("{output-dir}", "output_dir"),
        ("{ workers }", "workers"),
        ("{Workers}", "workers"),
    ],
)
def test_a_near_miss_is_told(text: str, meant: str) -> None:
    (told,) = describe_near_misses("Worker.args", text)
    assert told.endswith(f"did you mean {{{meant}}}?")


def test_an_argument_that_is_nothing_but_an_unknown_name_is_told() -> None:
    (told,) = describe_near_misses("Worker.args", "--rate={lr}")
    assert told.startswith("Worker.args: {lr} is left as it is: it is none of {workers}, {num_ps}")


@pytest.mark.parametrize("text", [*OTHERS[:-2], "{workers}", "--seed={seed}"])
def test_what_is_nobodys_mistake_is_not_told(text: str) -> None:
    assert describe_near_misses("Worker.args", text) == []
