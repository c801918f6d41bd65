# This file runs in a person's own image, so that its syntax is Python 3.6's; what a callback is called with, and its
# switches, are its library's.
# ruff: noqa: UP006, UP031, UP032, UP035, UP045, ARG002, SLF001
"""Tells tfjob-speedup how a training gets on; it does nothing where nobody asks for it.

    import tfjob_speedup_progress as progress

    with progress.training():
        for batch in data:
            train(batch)
            progress.step(examples=len(batch))       # this replica's own
        progress.metric("accuracy", accuracy, n=10000)

With Keras: `model.fit(..., callbacks=[progress.keras_callback(batch_size=64)])`. With an Estimator or a session:
`hooks=[progress.session_hook(batch_size=64)]`. One file, no dependencies, Python 3.6 or later. What it writes is
documented in docs/schemas.md: any program, in any language, may write it instead. It never raises: where a file cannot
be written it says so once and is silent from then on.
"""

import atexit
import contextlib
import importlib
import json
import os
import re
import socket
import sys
import threading
import time
from typing import Any, Iterator, List, Optional

VARIABLE = "TFJOB_SPEEDUP_PROGRESS"
REPLICA = "TFJOB_SPEEDUP_REPLICA"

_FLUSH_SECONDS, _MOST_LINES = 1.0, 1000
# A clock that nobody sets while a training runs, told as seconds since the epoch.
_EPOCH = time.time() - time.perf_counter()
_now = time.perf_counter


def name_replica() -> str:
    """Returns e.g. `worker-0`: by the variable, else by TF_CONFIG, else by the pod's name."""
    named = os.environ.get(REPLICA)
    if named:
        return re.sub(r"[^\w.-]", "-", named)
    try:
        task = json.loads(os.environ.get("TF_CONFIG") or "{}")["task"]
        return "{}-{:d}".format(re.sub(r"[^\w.-]", "-", str(task["type"])), int(task["index"]))
    except (KeyError, TypeError, ValueError):
        pass
    host = socket.gethostname()
    match = re.search(r"-((?:chief|master|worker|ps|evaluator)-\d+)$", host)
    return match.group(1) if match else "{}-{}".format(re.sub(r"[^\w.-]", "-", host), os.getpid())


class _Teller:
    """Collects lines and writes them about once a second, whole ones only, into a file that the first ones make."""

    def __init__(self, place: str) -> None:
        self.count = 0
        self._place = place
        self._file: Optional[int] = None
        self._lines: List[str] = []
        self._written_at = _now()
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._is_open = True

    def tell(self, line: str) -> None:
        self._lines.append(line)
        if len(self._lines) >= _MOST_LINES or _now() - self._written_at >= _FLUSH_SECONDS:
            self.write()

    def write(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
            self._written_at = _now()
            # A forked process holds a copy of what its parent will write.
            if not lines or not self._is_open or os.getpid() != self._pid:
                return
            data = ("\n".join(lines) + "\n").encode("utf-8", "replace")
            try:
                if self._file is None:
                    self._file = _open(self._place)
                while data:
                    data = data[os.write(self._file, data) :]
            except (OSError, ValueError) as error:
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        self._is_open = False
        sys.stderr.write("tfjob_speedup_progress: progress is not told: {}\n".format(error))


def _open(place: str) -> int:
    if place.endswith(os.sep) or os.path.isdir(place):  # noqa: PTH112 - pathlib would cost every program its import
        place = os.path.join(place, name_replica() + ".jsonl")  # noqa: PTH118
    folder = os.path.dirname(place)  # noqa: PTH120
    if folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
    return os.open(place, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)


_place = os.environ.get(VARIABLE)
_teller = _Teller(_place) if _place else None
if _teller:
    atexit.register(_teller.write)


def begin(scope: str = "replica") -> None:
    """Says that the training begins: the data and the model are there.

    Args:
        scope: `job` where this replica's examples are those of the whole job, as a coordinator's are.
    """
    if _teller:
        _teller.tell(
            '{"event":"begin","time":%.6f,"scope":%s,"schema_version":1}' % (_now() + _EPOCH, json.dumps(scope))
        )
        _teller.write()


def end() -> None:
    """Says that the training has ended: what follows, such as saving, is not a part of it."""
    if _teller:
        _teller.tell('{"event":"end","time":%.6f}' % (_now() + _EPOCH))
        _teller.write()


@contextlib.contextmanager
def training(scope: str = "replica") -> Iterator[None]:
    """Marks the training, in a `with` statement; one that fails does not end."""
    begin(scope)
    yield
    end()


def step(examples: Optional[float] = None, step: Optional[int] = None) -> None:
    """Says that a step is done.

    Args:
        examples: Examples that this replica trained on since it last said so.
        step: Steps done so far; counted from 1 where it is left out.
    """
    if not _teller:
        return
    _teller.count = count = _teller.count + 1 if step is None else int(step)
    if examples is None:
        _teller.tell('{"event":"step","time":%.6f,"step":%d}' % (_now() + _EPOCH, count))
    else:
        _teller.tell('{"event":"step","time":%.6f,"step":%d,"examples":%g}' % (_now() + _EPOCH, count, examples))


def metric(name: str, value: Any, n: Optional[int] = None) -> None:
    """Tells a metric's value.

    Args:
        name: e.g. `accuracy`.
        value: A number, or whatever `float` makes one of.
        n: Of how many examples it is a share.
    """
    if not _teller:
        return
    try:
        values = {"event": "metric", "time": _now() + _EPOCH, "name": str(name), "value": float(value)}
        if n is not None:
            values["n"] = int(n)
    except (TypeError, ValueError):
        return
    _teller.tell(json.dumps(values))


def keras_callback(batch_size: Optional[float] = None, base: Any = None) -> Any:
    """Returns a callback for `fit` and `evaluate`, of Keras 2 or 3.

    Args:
        batch_size: Examples in a step of this replica.
        base: The class `Callback` of your Keras, where both Keras 2 and 3 are loaded.
    """
    methods = {name: value for name, value in vars(_KerasProgress).items() if not name.startswith("__")}
    callback = type("Progress", (base or _find_callback(),), methods)()
    callback._supports_tf_logs = True  # Keras 2 then need not fetch its values after every step
    callback.batch_size = batch_size
    return callback


class _KerasProgress:
    """The methods of the callback; its class is made of them and of the Keras that is there."""

    batch_size: Optional[float] = None
    params: Any = None
    _before = _done = 0
    _is_training = False

    def on_train_begin(self, logs: Any = None) -> None:
        self._is_training = True
        begin()

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        steps = (self.params or {}).get("steps")
        self._before = self._done = epoch * steps if steps and epoch and not self._done else self._done

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        done = self._before + batch + 1
        step(None if self.batch_size is None else self.batch_size * (done - self._done), done)
        self._done = done

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for name, value in (logs or {}).items():
            metric(name, value)

    def on_train_end(self, logs: Any = None) -> None:
        self._is_training = False
        end()

    def on_test_end(self, logs: Any = None) -> None:
        if not self._is_training:
            for name, value in (logs or {}).items():
                metric("eval_" + name, value)


def _find_callback() -> Any:
    """Returns the class `Callback` of the Keras that the program uses: the one that is loaded."""
    for name in ("tf_keras", "keras", "tensorflow.keras"):
        if name.split(".")[0] in sys.modules:
            return importlib.import_module(name).callbacks.Callback
    return importlib.import_module("keras").callbacks.Callback


def session_hook(batch_size: Optional[float] = None) -> Any:
    """Returns a hook for Estimators and monitored sessions, of TensorFlow 1.15 and 2.

    Args:
        batch_size: Examples in a step of this replica.
    """
    train = importlib.import_module("tensorflow").compat.v1.train

    class Progress(train.SessionRunHook):  # type: ignore[misc, name-defined]  # whichever TensorFlow is there
        def begin(self) -> None:
            self._step = train.get_global_step()

        def after_create_session(self, session: Any, coord: Any) -> None:
            begin()

        def before_run(self, run_context: Any) -> Any:
            return train.SessionRunArgs(self._step)

        def after_run(self, run_context: Any, run_values: Any) -> None:
            step(batch_size, run_values.results)

        def end(self, session: Any) -> None:
            end()

    return Progress()
