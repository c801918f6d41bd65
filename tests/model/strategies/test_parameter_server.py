import pytest

from model.strategies.parameter_server import cut_calls

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (3, 3), (0, 63), (5, 434)])
@pytest.mark.parametrize("most", [1, 7, 64])
def test_calls_hold_every_step_once_and_in_order(start: int, stop: int, most: int) -> None:
    calls = list(cut_calls(start, stop, most))
    assert [step for call in calls for step in call] == list(range(start, stop))
    assert all(1 <= len(call) <= most for call in calls)


def test_the_fewer_steps_are_left_the_fewer_make_a_call() -> None:
    sizes = [len(call) for call in cut_calls(0, 429, 64)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[:4] == [64, 64, 64, 59]
    assert sizes[-4:] == [1, 1, 1, 1]
