import math
from pathlib import Path

import pytest

from model.training.clocks import CLOCKS, SERVING, STARTUP, Clock, read_clocks


def test_a_clock_adds_up_sections_on_what_it_started_with() -> None:
    given = {"train_seconds": 2.0}
    clock = Clock(given)
    clock.add("train_seconds", 0.5)
    clock.add("eval_seconds", 1.0)
    with clock.measure("save_seconds"):
        pass
    assert given == {"train_seconds": 2.0}
    assert clock.seconds["train_seconds"] == 2.5
    assert clock.seconds["eval_seconds"] == 1.0
    assert 0 <= clock.seconds["save_seconds"] < 1


def test_a_section_that_raises_is_measured_too() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="cut short"), clock.measure("train_seconds"):
        raise ValueError("cut short")
    assert "train_seconds" in clock.seconds


def test_there_are_no_other_clocks_than_those_of_the_table() -> None:
    with pytest.raises(KeyError, match="There is no clock training_seconds"):
        Clock().add("training_seconds", 1.0)


def test_every_clock_of_the_table_is_told_and_that_of_servers_where_it_ran() -> None:
    assert list(read_clocks({})) == [name for name in CLOCKS if name != SERVING]
    assert not any(read_clocks({}).values())
    assert read_clocks({SERVING: 3.0})[SERVING] == 3


def test_the_start_up_is_the_sum_of_its_parts() -> None:
    parts = [name for name, span in CLOCKS.items() if span.part_of == STARTUP]
    assert len(parts) == 3
    assert math.isclose(read_clocks(dict.fromkeys(parts, 0.5))[STARTUP], 1.5)


def test_the_timing_rules_know_every_clock() -> None:
    rules = (Path(__file__).parents[3] / "docs" / "timing.md").read_text(encoding="utf-8")
    assert [name for name in CLOCKS if f"`{name}`" not in rules] == []
