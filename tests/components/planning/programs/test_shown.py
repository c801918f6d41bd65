import pytest

from components.planning.programs.shown import LINES_A_SECOND, ShownLines, clean


def test_of_ten_thousand_lines_a_second_a_person_sees_a_few_and_how_many_more_there_are() -> None:
    now = 0.0
    shown: list[str] = []
    lines = ShownLines(shown.append, lambda: now)
    for number in range(30_000):
        now = number / 10_000
        lines.show(f"[worker-0] step {number}")
    lines.end()
    assert len(shown) == 3 * (LINES_A_SECOND + 1)
    assert shown[LINES_A_SECOND] == "… 9,990 more lines, all of them in the replicas' logs"
    assert shown[LINES_A_SECOND + 1] == "[worker-0] step 10000"


def test_a_status_of_the_job_is_shown_however_much_the_program_says_and_the_runtimes_talk_is_not() -> None:
    shown: list[str] = []
    lines = ShownLines(shown.append, lambda: 0.0)
    for number in range(LINES_A_SECOND):
        lines.show("[worker-0] I0000 00:00:1795457185.409632   28913 port.cc:153] oneDNN custom operations are on.")
        lines.show(f"[worker-0] step {number}")
    lines.show("[worker-0] one more")
    lines.show("Succeeded: job a succeeded in 2.0 s")
    assert shown == [
        *(f"[worker-0] step {number}" for number in range(LINES_A_SECOND)),
        "Succeeded: job a succeeded in 2.0 s",
    ]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("[worker-0] 1/3\r2/3\r3/3 done\r", "[worker-0] 3/3 done"),
        ("[worker-0] 10/30\b\b\b\b\b30/30", "[worker-0] 30/30"),
        ("[worker-0] \x1b[1;32mloss\x1b[0m 0.5", "[worker-0] loss 0.5"),
        ("[worker-0] \x1b]0;title\x07hm", "[worker-0] hm"),
        ("[worker-0] \x01hm\x9b2J", "[worker-0] hm2J"),
        ("[worker-0] \r \r", ""),
        ("Running: 2 replica(s)", "Running: 2 replica(s)"),
        ("[worker-0] " + "x" * 5_000, "[worker-0] " + "x" * 389 + " …"),
    ],
)
def test_a_line_is_shown_as_it_looks_in_the_end_and_cannot_steer_a_terminal(line: str, shown: str) -> None:
    assert clean(line) == shown
