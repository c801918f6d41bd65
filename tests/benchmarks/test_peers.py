import itertools
import sys
from pathlib import Path

import pytest

from benchmarks.peers import compute_ratios, describe_machine, judge, measure, report, rotate
from benchmarks.turns import Case

# Computes 100 images at once with stem stride 1, and 200 with 2.
QUICK = """
from benchmarks.turns import Case, repeat, take_turns
take_turns({Case(n, 8): lambda seconds, n=n: repeat(lambda: 100 * n, seconds) for n in (1, 2)}, 1e-9)
"""
FAILS = "import sys; print('no PyTorch here', file=sys.stderr); exit(3)"
TWO, ONE = CASES = (Case(2, 8), Case(1, 8))
RATES = {
    ("ours", TWO): [300.0, 150.0, 330.0],
    ("fit", TWO): [200.0, 100.0, 300.0],
    ("ours", ONE): [90.0, 90.0, 90.0],
    ("fit", ONE): [100.0, 80.0, 100.0],
}


def name_case(case: Case) -> str:
    return f"stride-{case.stride}"


def test_a_ratio_is_the_median_over_rounds_so_that_a_slow_round_slows_both() -> None:
    assert compute_ratios(RATES, name_case) == {"stride-2-fit": 1.5, "stride-1-fit": 0.9}


def test_the_report_has_a_row_for_each_contestant_and_a_line_for_each_ratio() -> None:
    lines = report(RATES, compute_ratios(RATES, name_case), dict.fromkeys(RATES, 0.991)).splitlines()
    assert lines[2] == "| ours | 2 | 8 | 300 | 150 | 330 | 0.99 |"
    assert lines[-2:] == ["ratio stride-2-fit 1.500", "ratio stride-1-fit 0.900"]


def test_a_table_without_shares_of_a_core_has_as_many_cells_in_each_line() -> None:
    lines = report(RATES, {}).splitlines()[:-1]
    assert lines[2] == "| ours | 2 | 8 | 300 | 150 | 330 |"
    assert {line.count("|") for line in lines} == {7}


def test_a_baseline_slower_than_its_goal_is_told_and_ends_with_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert judge({"one-fit": 0.99, "two-fit": 1.2, "one-pytorch": 0.5}, {"one-pytorch": 0.7}) == 1
    told = "NO: the baseline is slower than it may be: one-fit below 1, one-pytorch below 0.7\n"
    assert capsys.readouterr().out == told
    assert judge({"one-fit": 1.0, "one-pytorch": 0.7}, {"one-pytorch": 0.7}) == 0


@pytest.mark.parametrize("names", ["ab", "abc"])
def test_each_contestant_is_at_each_place_equally_often_and_before_and_after_each_other(names: str) -> None:
    rounds = [rotate(names, number) for number in range(2 * len(names))]
    for places in zip(*rounds, strict=True):
        assert {places.count(name) for name in names} == {2}
    pairs = [pair for order in rounds for pair in itertools.pairwise(order)]
    assert {pairs.count((a, b)) for a in names for b in names if a != b} == {2}


def test_contestants_take_turns_in_processes_of_their_own() -> None:
    programs = {name: [sys.executable, "-c", QUICK] for name in ("ours", "fit")}
    turns = measure(programs, CASES, rounds=2, seconds=0.01)
    assert {key: len(own) for key, own in turns.items()} == dict.fromkeys(RATES, 2)
    for (_, case), own in turns.items():
        assert all(turn.seconds >= 0.01 and turn.images > 0 for turn in own)
        assert all(turn.images % (100 * case.stride) == 0 for turn in own)


def test_a_contestant_that_fails_is_told_with_its_last_lines() -> None:
    with pytest.raises(RuntimeError, match=r"ended with 3:\nno PyTorch here"):
        measure({"ours": [sys.executable, "-c", FAILS]}, CASES, 1, 1)


def test_the_machine_is_described() -> None:
    assert f"Python {sys.version.split()[0]}" in describe_machine()
    assert not Path("/proc/cpuinfo").exists() or " cores, " in describe_machine()
