"""The baseline, or Keras' own `fit` of the same network: a contestant of `benchmarks.peers` and `benchmarks.gpu`.

The baseline is this project's program as a run trains it: random shifts, the clocks of its steps, the loss fetched.
`fit` has neither shifts nor metrics. On a core it runs without XLA, which is slower there; on a GPU as Keras chooses.
"""

import functools
import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.turns import Case, Stopwatch, Train, Turn, parse_options, repeat, take_turns
from model.training import Precision

# Between two looks at the clock, at least. On a GPU a call of the trainer makes many steps, and a look waits for them.
_STEPS, _STEPS_ON_GPU = 8, 64


def main() -> None:
    """Takes turns."""
    options = parse_options("benchmarks.contestant", __doc__, [*MAKERS])
    if options.gpu:
        from model.frameworks import tf  # noqa: PLC0415 - which not every contestant needs so early

        if not tf.config.list_physical_devices("GPU"):
            sys.exit("TensorFlow sees no GPU.")
    make = MAKERS[options.name]
    take_turns({case: make(options.data_dir, case) for case in options.cases})


def make_ours(data_dir: Path, case: Case, precision: Precision = "float32", steps: int = _STEPS) -> Train:
    """Returns the baseline's training, which makes at least so many steps at a time, by whole calls of its trainer."""
    from model.data import PreparedDataset  # noqa: PLC0415 - TensorFlow is imported once the threads are set
    from model.strategies import connect  # noqa: PLC0415
    from model.training import Clock, Task, TrainingConfig, parse_tf_config  # noqa: PLC0415

    config = TrainingConfig(
        global_batch_size=case.batch_size,
        model_arguments=json.dumps({"stem_stride": case.stride}),
        epochs=1000,
        precision=precision,
    )
    trainer = connect(Task(config, PreparedDataset.open(data_dir)), parse_tf_config(None), Clock())
    # The warm-up finds out how many steps a call makes; without it a GPU would be timed with one.
    trainer.compile()
    trainer.warm_up()
    steps_per_call: int = trainer.describe_computing()["steps_per_call"]
    stretch = math.ceil(steps / steps_per_call) * steps_per_call
    first = itertools.count(step=stretch)

    def compute() -> int:
        start = next(first)
        trainer.train(start, start + stretch, lambda _: None)
        return stretch * case.batch_size

    return functools.partial(repeat, compute)


def make_fit(data_dir: Path, case: Case, jit_compile: bool | str = False, steps_per_execution: int = 1) -> Train:
    """Returns Keras' training of the same network with the same loss and optimizer."""
    from model.data import PreparedDataset  # noqa: PLC0415
    from model.frameworks import keras  # noqa: PLC0415
    from model.networks import build_model  # noqa: PLC0415
    from model.training import TrainingConfig  # noqa: PLC0415

    config, split = TrainingConfig(), PreparedDataset.open(data_dir).split("train")
    # As many whole batches as there are: a last one of another size would be compiled anew.
    count = split.count // case.batch_size * case.batch_size
    images, labels = split.images[:count].copy(), keras.utils.to_categorical(split.labels[:count])
    model = build_model(config.model, images.shape[1:], labels.shape[1], {"stem_stride": case.stride})
    model.compile(
        keras.optimizers.SGD(0.01, momentum=config.momentum, nesterov=True, weight_decay=config.weight_decay),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing),
        jit_compile=jit_compile,
        steps_per_execution=steps_per_execution,
    )

    def train(seconds: float) -> Turn:
        watch = _make_watch(seconds, case.batch_size)
        model.fit(images, labels, batch_size=case.batch_size, epochs=1000, verbose=0, callbacks=[watch])
        turn: Turn = watch.turn
        return turn

    return train


def _make_watch(seconds: float, batch_size: int) -> Any:
    """Returns a callback of Keras that ends a training after so many seconds, and has the turn from its first batch on.

    What `fit` does before that it does once in a training, not once in a turn. Keras calls it once in as many steps as
    it executes at once. A GPU may still compute what Keras has handed it; the loss, which is fetched before the clock
    is read first and last, is there when it has done so.
    """
    from model.frameworks import keras  # noqa: PLC0415

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        stopwatch: Stopwatch | None = None
        turn, steps = Turn(0, 0.0, 0.0), 0

        def on_epoch_begin(self, *_: Any, **__: Any) -> None:
            self.steps = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            steps, self.steps = batch + 1 - self.steps, batch + 1
            if self.stopwatch is None:
                float(logs["loss"])
                self.stopwatch = Stopwatch()
                return
            images = self.turn.images + steps * batch_size
            self.turn = self.stopwatch.read(images)
            if self.turn.seconds >= seconds:
                float(logs["loss"])
                self.turn = self.stopwatch.read(images)
                self.model.stop_training = True

    return Watch()


MAKERS: dict[str, Callable[[Path, Case], Train]] = {
    "ours": make_ours,
    "ours-bfloat16": functools.partial(make_ours, precision="bfloat16"),
    "ours-on-gpu": functools.partial(make_ours, steps=_STEPS_ON_GPU),
    "fit": make_fit,
    "fit-auto": functools.partial(make_fit, jit_compile="auto"),
    "fit-auto-32": functools.partial(make_fit, jit_compile="auto", steps_per_execution=32),
}

if __name__ == "__main__":
    main()
