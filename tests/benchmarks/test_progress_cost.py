import pytest

from benchmarks.progress_cost import LINES, measure_call, measure_listening


@pytest.mark.slow
def test_a_call_of_the_helper_has_a_price() -> None:
    assert 0 < measure_call() < 1000


@pytest.mark.parametrize("line", LINES.values(), ids=list(LINES))
def test_listening_has_a_price(line: str) -> None:
    assert 0 < measure_listening(line, lines=200) < 100
