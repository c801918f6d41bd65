"""The baseline, or Keras' own `fit` of the same network: a contestant of `benchmarks.peers`.

The baseline is this project's program as a run trains it: random shifts, the clocks of each step, the loss fetched.
`fit` has neither shifts nor metrics. It runs without XLA, which on CPUs is slower, and which Keras would choose.
"""

import argparse
import functools
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.turns import Stopwatch, Train, Turn, bind_to_one_core, repeat, take_turns
from model.training import Precision

_STEPS = 8  # of a look at the clock


def main() -> None:
    """Takes turns."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.contestant", description=__doc__)
    parser.add_argument("name", choices=MAKERS)
    parser.add_argument("--data-dir", type=Path, required=True, help="the prepared data set")
    parser.add_argument("--batch-size", type=int, required=True)
    parser.add_argument("--strides", type=int, nargs="+", required=True, help="of the networks' stems")
    options = parser.parse_args()
    bind_to_one_core()
    make = MAKERS[options.name]
    take_turns({stride: make(options.data_dir, options.batch_size, stride) for stride in options.strides})


def make_ours(data_dir: Path, batch_size: int, stride: int, precision: Precision = "float32") -> Train:
    """Returns the baseline's training."""
    from model.data import PreparedDataset  # noqa: PLC0415 - TensorFlow is imported once the threads are set
    from model.strategies import connect  # noqa: PLC0415
    from model.training import Clock, Task, TrainingConfig, parse_tf_config  # noqa: PLC0415

    arguments = json.dumps({"stem_stride": stride})
    config = TrainingConfig(global_batch_size=batch_size, model_arguments=arguments, epochs=1000, precision=precision)
    trainer = connect(Task(config, PreparedDataset.open(data_dir)), parse_tf_config(None), Clock())
    first = itertools.count(step=_STEPS)

    def compute() -> int:
        start = next(first)
        trainer.train(start, start + _STEPS, lambda _: None)
        return _STEPS * batch_size

    return functools.partial(repeat, compute)


def make_fit(data_dir: Path, batch_size: int, stride: int) -> Train:
    """Returns Keras' training of the same network with the same loss and optimizer."""
    from model.data import PreparedDataset  # noqa: PLC0415
    from model.frameworks import keras  # noqa: PLC0415
    from model.networks import build_model  # noqa: PLC0415
    from model.training import TrainingConfig  # noqa: PLC0415

    config, split = TrainingConfig(), PreparedDataset.open(data_dir).split("train")
    # As many whole batches as there are: a last one of another size would be compiled anew.
    count = split.count // batch_size * batch_size
    images, labels = split.images[:count].copy(), keras.utils.to_categorical(split.labels[:count])
    model = build_model(config.model, images.shape[1:], labels.shape[1], {"stem_stride": stride})
    model.compile(
        keras.optimizers.SGD(0.01, momentum=config.momentum, nesterov=True, weight_decay=config.weight_decay),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=config.label_smoothing),
        jit_compile=False,
    )

    def train(seconds: float) -> Turn:
        watch = _make_watch(seconds, batch_size)
        model.fit(images, labels, batch_size=batch_size, epochs=1000, verbose=0, callbacks=[watch])
        turn: Turn = watch.turn
        return turn

    return train


def _make_watch(seconds: float, batch_size: int) -> Any:
    """Returns a callback of Keras that ends a training after so many seconds, and has the turn from its first batch on.

    What `fit` does before that it does once in a training, not once in a turn.
    """
    from model.frameworks import keras  # noqa: PLC0415

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        stopwatch: Stopwatch | None = None
        turn = Turn(0, 0.0, 0.0)

        def on_train_batch_end(self, *_: Any, **__: Any) -> None:
            if self.stopwatch is None:
                self.stopwatch = Stopwatch()
                return
            self.turn = self.stopwatch.read(self.turn.images + batch_size)
            self.model.stop_training = self.turn.seconds >= seconds

    return Watch()


MAKERS: dict[str, Callable[[Path, int, int], Train]] = {
    "ours": make_ours,
    "ours-bfloat16": functools.partial(make_ours, precision="bfloat16"),
    "fit": make_fit,
}

if __name__ == "__main__":
    main()
