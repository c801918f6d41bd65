import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfjob.local.kubelet import expand, expand_all, expand_env


# Source: kubernetes third_party/forked/golang/expansion/expand_test.go
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(VAR_A)", "A"),
        ("___$(VAR_B)___", "___B___"),
        ("$(VAR_A)_$(VAR_B)_$(VAR_A)", "A_B_A"),
        ("$$(VAR_B)_$(VAR_A)", "$(VAR_B)_A"),
        ("$$$(VAR_A)", "$A"),
        ("$$$$$$$(VAR_A)", "$$$A"),
        ("foo$(VAR_AWOL)", "foo$(VAR_AWOL)"),
        ("$VAR_A", "$VAR_A"),
        ("${VAR_A}", "${VAR_A}"),
        ("foo\\$(VAR_A)bar", "foo\\Abar"),
        ("$()", "$()"),
        ("$(VAR_A", "$(VAR_A"),
        ("$$$", "$$"),
        ("echo $(date)", "echo $(date)"),
    ],
)
def test_a_text_is_expanded_as_by_the_kubelet(text: str, expected: str) -> None:
    assert expand(text, {"VAR_A": "A", "VAR_B": "B", "VAR_EMPTY": ""}) == expected


def test_a_variable_refers_to_those_before_it_alone() -> None:
    env = {"A": "$(B)", "B": "b", "C": "$(A) $(B) $$(B)"}
    assert expand_env(env) == {"A": "$(B)", "B": "b", "C": "$(B) b $(B)"}


def test_what_a_value_holds_is_not_expanded_again() -> None:
    assert expand_all(["$(A)"], {"A": "$(B)", "B": "b"}) == ("$(B)",)


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_a_text_without_a_dollar_stays(text: str) -> None:
    assert expand(text, {"A": "a"}) == text
