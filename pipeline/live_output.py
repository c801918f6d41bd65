"""What a person sees of a local run: each step, each replica's epochs, and one live line for the steps between."""

import io
import re
import shutil
from collections.abc import Callable
from typing import TextIO

from pipeline.streams import describe_storage_error, make_printable

_COLOUR = re.compile(r"\x1b\[\d+m")
_LOGGED = re.compile(r"\d\d:\d\d:\d\d\.\d+ - (?P<level>[A-Z]+) - (?P<message>.*)")
_STEP_BEGAN = re.compile(r"Executing task '(?P<step>.+)'")
_STEP_FAILED = re.compile(r"Task '(?P<step>.+)' finished with status FAILURE")
_RUNNER_FAILED = re.compile(r"Task (?P<step>\S+) failed with exception: (?P<error>.+)")
_PROGRESS = re.compile(
    r"\[(?P<replica>[\w-]+)\] epoch (?P<epoch>\d+)/(?P<epochs>0*[1-9]\d*) "
    r"step (?P<step>\d+)/(?P<steps>0*[1-9]\d*) (?P<rest>.*)"
)
_NOISE = re.compile(r" *([IWEF]\d{4} |WARNING: All log messages before absl|To enable the following instructions: )")
# The first of two exceptions has no head where it has no traceback: what closing a file of text meets, say.
_TRACEBACK_BEGINS = ("Traceback (", "During handling of the above exception", "OSError: ")
_BAR_WIDTH = 24


class StepsStopped(BaseException):
    """The next step would begin, and must not. No `Exception`: logging and the local runner would go on after one."""


class LiveOutput(io.TextIOBase):
    """A text stream that keeps everything in a file and shows a person what matters.

    It understands the local runner's own lines, of which it shows where each step begins and that one failed. After a
    failure, and after `stop`, the line that announces a further step raises `StepsStopped` in the runner: on its own it
    would start the trials that are left.

    Args:
        terminal: Where the person looks.
        log: Where everything is kept, as long as that is possible; not buffered.
        num_steps: Number of steps that will run.
        hide: Takes what nobody may read out of a line.
    """

    def __init__(
        self, terminal: TextIO, log: TextIO, num_steps: int, hide: Callable[[str], str] = lambda line: line
    ) -> None:
        self.current_step = ""
        self.is_stopped = False
        self.has_told_storage = False  # that the disk is full, or takes no more for another reason
        self._terminal, self._log, self._num_steps = terminal, log, num_steps
        self._hide = hide
        self._is_kept = True
        self._traceback: list[str] = []
        self._told_storage = ""
        self._is_live = terminal.isatty()
        self._has_live_line = False
        self._is_in_block = False
        self._has_failed = False
        self._steps_begun = 0
        self._rest = ""

    def write(self, text: str) -> int:
        """Takes text in any portions and handles it line by line."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in map(self._hide, lines):
            self._keep(line)
            self._show(make_printable(_COLOUR.sub("", line)))
        return len(text)

    def flush(self) -> None:
        """Flushes what a person sees; a line is in the file once it is written."""
        self._terminal.flush()

    def stop(self) -> None:
        """Shows nothing more and lets no further step begin; what the running step still says is kept."""
        self.is_stopped = True
        self._end_live_line()
        self._terminal.flush()

    def _keep(self, line: str) -> None:
        if self._is_kept:
            try:
                self._log.write(f"{line}\n")
            except OSError as error:
                self._is_kept = False
                self._print(f"Warning: no more of this is kept in the log: {error.strerror}")

    def _show(self, line: str) -> None:
        if logged := _LOGGED.match(line):
            self._is_in_block = " outputs:" in line  # the runner's listing of a step's outputs follows
            self._show_logged(logged["message"])
        elif line.startswith("    "):
            self._show_own(line[4:])

    def _show_logged(self, message: str) -> None:
        if began := _STEP_BEGAN.match(message):
            if self._has_failed or self.is_stopped:
                raise StepsStopped
            self._steps_begun += 1
            self.current_step = began["step"]
            self._print(f"\n▶ {self._steps_begun}/{self._num_steps} {self.current_step}")
        elif failed := _STEP_FAILED.match(message):
            self._has_failed = True
            self._print(f"✗ {failed['step']} failed")
        elif (broke := _RUNNER_FAILED.match(message)) and not self._has_failed:  # where no step has said why
            self._has_failed = True
            self._print(f"✗ {broke['step']} failed: {broke['error']}")

    def _show_own(self, line: str) -> None:
        if line.startswith("[KFP Executor "):
            self._is_in_block = line.endswith("Got executor_input:")  # a JSON object follows
        elif self._is_in_block:
            self._is_in_block = line != "}"
        elif self._traceback or line.startswith(_TRACEBACK_BEGINS):
            self._take_traceback(line)
        elif progress := _PROGRESS.match(line):
            self._show_progress(progress)
        elif line.strip() and not _NOISE.match(line):
            self._print(line)

    def _take_traceback(self, line: str) -> None:
        """Holds a step's traceback back until its last line: KFP's own, of a full disk say, is told by that alone."""
        self._traceback.append(line)
        if not line or line.startswith((" ", *_TRACEBACK_BEGINS[:2])):
            return
        lines, self._traceback = self._traceback, []
        if describe_storage_error(OSError(line)):
            told, self._told_storage = self._told_storage, f"error: {line.partition(': ')[2]}"
            lines = [] if told == self._told_storage else [self._told_storage]
        for held in lines:
            self._print(held)

    def _show_progress(self, progress: re.Match[str]) -> None:
        if not self._is_live or self.is_stopped:
            return
        steps = int(progress["steps"])
        done = (int(progress["epoch"]) - 1) * steps + int(progress["step"])
        share = done / (int(progress["epochs"]) * steps)
        bar = "█" * round(share * _BAR_WIDTH)
        text = f"[{progress['replica']}] {bar:░<{_BAR_WIDTH}} {share:4.0%} {progress['rest']}"
        columns = shutil.get_terminal_size().columns  # a line that wraps could not be removed
        self._terminal.write(f"\r\x1b[2K{text[: columns - 1]}")
        self._terminal.flush()
        self._has_live_line = True

    def _print(self, line: str) -> None:
        if self.is_stopped:
            return
        self.has_told_storage |= bool(describe_storage_error(OSError(line)))
        self._end_live_line()
        self._terminal.write(line + "\n")
        self._terminal.flush()

    def _end_live_line(self) -> None:
        if self._has_live_line:
            self._terminal.write("\r\x1b[2K")
            self._has_live_line = False
