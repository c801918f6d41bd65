import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.marks import Mark, Marks


def make_marks(times: list[float], first_step: int = 0) -> Marks:
    """Marks of steps that took so long, one after another."""
    marks, at = Marks(), 100.0
    marks.add(Mark(first_step, at))
    for step, time in enumerate(times, first_step + 1):
        at += time
        marks.add(Mark(step, at))
    return marks


@pytest.mark.parametrize(
    ("times", "warmup_steps"),
    [
        ([9, 1, 1, 1, 1, 1], 1),
        ([1, 1, 1, 1, 1, 1], 1),  # the first one traces, whatever it took
        ([9, 5, 3, 1, 1, 1, 1, 1, 1], 3),
        ([9, 1, 5, 1, 1, 1, 1, 1, 1], 3),  # traced anew
        ([9, 0.1, 0.1, 0.1, 1, 1, 1, 1, 1, 1, 1, 1], 4),  # a queue that fills is not what is usual
        ([9, 8, 7, 6, 5, 4, 3, 2, 1, 1], 5),  # at most half
        ([9, 1], 1),
        ([9], 0),
    ],
)
def test_the_warm_up_ends_where_three_steps_in_a_row_are_as_usual(times: list[float], warmup_steps: int) -> None:
    marks = make_marks(times)
    span = marks.find_span()
    assert span is not None
    assert span.begin.step == warmup_steps
    assert span.begin.at - marks.first.at == pytest.approx(sum(times[:warmup_steps]))
    assert span.seconds == pytest.approx(sum(times[warmup_steps:]))


def test_one_mark_is_no_span() -> None:
    assert make_marks([]).find_span() is None


def test_times_are_of_one_step_however_many_are_told_at_once() -> None:
    marks = Marks()
    for step, at in ((0, 0.0), (10, 50.0), (20, 60.0), (120, 160.0), (130, 170.0)):
        marks.add(Mark(step, at))
    span = marks.find_span()
    assert span is not None
    times = marks.describe_times(span)
    assert times is not None
    assert (span.begin.step, times["median"], times["n"]) == (10, 1.0, 3)
    assert not marks.is_of_single_steps()


def test_of_a_million_steps_few_marks_are_kept_and_no_figure_is_lost() -> None:
    marks = make_marks([5.0] + [0.001] * 100_000)
    span = marks.find_span()
    assert span is not None
    assert len(marks) <= 8192
    assert (span.begin.step, span.end.step) == (1, 100_001)
    assert span.seconds == pytest.approx(100.0)
    assert not marks.is_of_single_steps()


@given(
    st.lists(
        st.tuples(st.integers(-(10**6), 10**6), st.floats(allow_nan=True, allow_infinity=True, width=64)), max_size=60
    )
)
def test_whatever_is_told_time_and_steps_run_forward(told: list[tuple[int, float]]) -> None:
    marks = Marks()
    for step, at in told:
        marks.add(Mark(step, at))
    span = marks.find_span()
    if span:
        assert span.steps > 0
        assert span.seconds >= 0
        assert span.begin.at >= marks.first.at
