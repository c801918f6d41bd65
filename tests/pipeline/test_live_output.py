import io
from pathlib import Path

import pytest

from components.planning import Parameters
from pipeline.live_output import LiveOutput, StepsStopped
from pipeline.results import open_log

# As kfp.local writes it, shortened.
RECORDED = """\
18:00:53.288 - INFO - Running pipeline: \x1b[95m'tfjob-speedup'\x1b[0m
--------------------------------------------------------------------------------
18:00:53.477 - INFO - Executing task \x1b[96m'prepare-data'\x1b[0m
18:00:53.477 - INFO - Streamed logs:

    [KFP Executor 2026-11-23 18:00:53,522 INFO]: Looking for component `prepare_data`
    [KFP Executor 2026-11-23 18:00:53,523 INFO]: Got executor_input:
    {
        "inputs": {
            "parameterValues": {
                "dataset": "mnist"
            }
        }
    }
    mnist: 5,500 train, 500 validation, 10,000 test images of 28 x 28 x 1, 10 classes
    [KFP Executor 2026-11-23 18:00:53,776 INFO]: Wrote executor output file to executor_output.json.
    

18:00:53.808 - INFO - Task \x1b[96m'prepare-data'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
18:00:53.809 - INFO - Task \x1b[96m'prepare-data'\x1b[0m outputs:
    prepared: Dataset( name='prepared',
                       uri='artifacts/prepare-data/prepared',
                       metadata={'num_classes': 10.0} )
--------------------------------------------------------------------------------
18:00:53.812 - INFO - Executing task \x1b[96m'train-single-node'\x1b[0m
18:00:53.812 - INFO - Streamed logs:

    == single, trial 1 of 2
    I0000 00:00:1795456854.823134   20598 port.cc:153] oneDNN custom operations are on.
    [worker-0] epoch 1/2 step 41/85 loss 0.830 2,607 images/s
    [worker-0] epoch 1/2 done: loss 1.435, validation accuracy 84.20% after 1.4 s of training
"""  # noqa: W293 - kfp leaves spaces on an empty line
SHOWN = """\

▶ 1/6 prepare-data
mnist: 5,500 train, 500 validation, 10,000 test images of 28 x 28 x 1, 10 classes

▶ 2/6 train-single-node
== single, trial 1 of 2
[worker-0] epoch 1/2 done: loss 1.435, validation accuracy 84.20% after 1.4 s of training
"""
PROGRESS = "    [worker-0] epoch 2/2 step 42/84 loss 0.682 2,685 images/s\n"
BEGIN = "18:00:53.812 - INFO - Executing task \x1b[96m'evaluate'\x1b[0m\n"
FAILURE = "18:00:54.138 - ERROR - Task \x1b[96m'train-single-node'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m\n"
REMOVE_LINE = "\r\x1b[2K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def show(text: str, *, terminal: io.StringIO | None = None, portion: int | None = None) -> tuple[str, str]:
    terminal, log = terminal or io.StringIO(), io.StringIO()
    live = LiveOutput(terminal, log, num_steps=6)
    size = portion or len(text)
    for start in range(0, len(text), size):
        assert live.write(text[start : start + size]) == len(text[start : start + size])
    live.flush()
    return terminal.getvalue(), log.getvalue()


def test_a_reader_sees_where_each_step_begins_and_what_it_says() -> None:
    assert show(RECORDED)[0] == SHOWN


def test_the_log_keeps_everything() -> None:
    assert show(RECORDED)[1] == RECORDED


def test_what_a_program_prints_does_not_steer_the_terminal() -> None:
    assert show("    [worker-0] \x1b]0;title\x07\x1b[2Jdone\n")[0] == "[worker-0] \\x1b]0;title\\x07\\x1b[2Jdone\n"


@pytest.mark.parametrize("portion", [1, 5])
def test_what_nobody_may_read_is_neither_shown_nor_kept(portion: int) -> None:
    terminal, log = io.StringIO(), io.StringIO()
    live = LiveOutput(terminal, log, 6, lambda line: line.replace("secret", "(hidden)"))
    text = "    the secret is told\n"
    for start in range(0, len(text), portion):
        live.write(text[start : start + portion])
    assert (terminal.getvalue(), log.getvalue()) == ("the (hidden) is told\n", "    the (hidden) is told\n")


@pytest.mark.parametrize("portion", [1, 7, 100])
def test_text_may_come_in_any_portions(portion: int) -> None:
    assert show(RECORDED, portion=portion) == (SHOWN, RECORDED)


def test_a_line_is_shown_when_it_is_complete() -> None:
    assert show("    == single, trial")[0] == ""


def test_progress_is_a_bar_over_all_epochs_on_a_terminal() -> None:
    shown, _ = show(PROGRESS, terminal=Terminal())
    assert shown == f"{REMOVE_LINE}[worker-0] {'█' * 18}{'░' * 6}  75% loss 0.682 2,685 images/s"


def test_the_bar_is_replaced_by_the_next_one_and_removed_before_a_line() -> None:
    shown, _ = show(PROGRESS + PROGRESS + "    done\n", terminal=Terminal())
    assert shown.endswith(f"images/s{REMOVE_LINE}done\n")
    assert shown.count(REMOVE_LINE) == 3
    assert shown.count("\n") == 1


def test_the_bar_never_wraps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    shown, _ = show(PROGRESS, terminal=Terminal())
    assert len(shown.removeprefix(REMOVE_LINE)) == 39


def test_there_is_no_bar_and_no_control_character_in_a_pipe() -> None:
    assert show(PROGRESS)[0] == ""


def test_a_failing_step_is_named_after_its_own_message() -> None:
    error = "    error: Job a failed: worker-0 exited.\n    Last lines of worker-0:\n      the loss is not finite\n"
    assert show(error + FAILURE)[0] == (
        "error: Job a failed: worker-0 exited.\n"
        "Last lines of worker-0:\n"
        "  the loss is not finite\n"
        "✗ train-single-node failed\n"
    )


def test_the_runtimes_talk_is_hidden_in_quoted_lines_too() -> None:
    quoted = "    Last lines of worker-0:\n      I0000 00:00:1795457185.40   28913 port.cc:153] oneDNN\n      WARNING: "
    assert show(quoted + "All log messages before absl::InitializeLog() is called\n")[0] == "Last lines of worker-0:\n"


def test_no_step_begins_after_one_has_failed() -> None:
    live = LiveOutput(terminal := io.StringIO(), io.StringIO(), num_steps=6)
    live.write(FAILURE)
    with pytest.raises(StepsStopped):
        live.write(BEGIN)
    assert terminal.getvalue() == "✗ train-single-node failed\n"
    assert not live.is_stopped


def test_after_a_stop_nothing_is_shown_and_no_step_begins_but_the_log_goes_on() -> None:
    live = LiveOutput(terminal := Terminal(), log := io.StringIO(), num_steps=6)
    live.write(PROGRESS)
    live.stop()
    shown = terminal.getvalue()
    live.write("    KeyboardInterrupt\n" + PROGRESS + FAILURE)
    with pytest.raises(StepsStopped):
        live.write(BEGIN)
    assert shown.endswith(REMOVE_LINE)
    assert terminal.getvalue() == shown
    assert log.getvalue() == PROGRESS + "    KeyboardInterrupt\n" + PROGRESS + FAILURE + BEGIN


def test_the_current_step_is_known() -> None:
    live = LiveOutput(io.StringIO(), io.StringIO(), num_steps=6)
    live.write(BEGIN)
    assert live.current_step == "evaluate"


def test_a_log_that_can_no_longer_be_written_is_said_once_and_what_a_person_sees_goes_on() -> None:
    with open_log(Path("/dev/full"), Parameters()) as log:
        live = LiveOutput(terminal := io.StringIO(), log, num_steps=6)
        live.write("    == single, trial 1\n    == single, trial 2\n")
    assert terminal.getvalue() == (
        "Warning: no more of this is kept in the log: No space left on device\n== single, trial 1\n== single, trial 2\n"
    )


TRACEBACK = """\
    Traceback (most recent call last):
      File "executor.py", line 505, in makedirs_recursively
        os.makedirs(os.path.dirname(path), exist_ok=True)
    {last}
    and more
"""


def test_a_full_disk_under_kfps_own_feet_is_told_in_one_sentence() -> None:
    text = TRACEBACK.format(last="OSError: [Errno 28] No space left on device: 'a'")
    assert show(text) == ("error: [Errno 28] No space left on device: 'a'\nand more\n", text)


CHAINED = """\
    OSError: [Errno 28] No space left on device
    \

    During handling of the above exception, another exception occurred:
    \

"""


def test_a_full_disk_that_is_met_again_while_the_file_is_closed_is_told_once() -> None:
    text = CHAINED + TRACEBACK.format(last="OSError: [Errno 28] No space left on device")
    assert show(text) == ("error: [Errno 28] No space left on device\nand more\n", text)


def test_a_bug_keeps_its_traceback() -> None:
    text = TRACEBACK.format(last="KeyError: 'a'")
    assert show(text)[0] == "".join(line.removeprefix("    ") for line in text.splitlines(keepends=True))


def test_what_the_runner_itself_cannot_do_is_shown_and_nothing_further_begins() -> None:
    live = LiveOutput(terminal := io.StringIO(), io.StringIO(), num_steps=6)
    live.write(
        "18:00:54.138 - ERROR - Task for-loop-2 failed with exception: [Errno 28] No space left on device: 'a'\n"
    )
    assert terminal.getvalue() == "✗ for-loop-2 failed: [Errno 28] No space left on device: 'a'\n"
    with pytest.raises(StepsStopped):
        live.write(BEGIN)
