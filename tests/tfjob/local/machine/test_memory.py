from pathlib import Path

import pytest

from tfjob.local.machine.memory import count_memory_kills


@pytest.mark.parametrize(("told", "expected"), [("nr_free_pages 5\noom_kill 6\n", 6), ("nr_free_pages 5\n", 0)])
def test_the_kernel_tells_how_many_processes_it_killed_for_memory(tmp_path: Path, told: str, expected: int) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/vmstat").write_text(told)
    assert count_memory_kills(tmp_path) == expected


def test_a_system_that_does_not_tell_counts_none(tmp_path: Path) -> None:
    assert count_memory_kills(tmp_path) == 0
