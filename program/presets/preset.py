"""The presets by name, and what each one's lines mean."""

from collections.abc import Callable
from dataclasses import dataclass

from program.presets.estimator import EstimatorReader
from program.presets.keras_bar import KerasReader
from program.presets.name_value import NameValueReader
from program.presets.orbit import OrbitReader
from program.presets.tf_cnn_benchmarks import BenchmarkReader
from program.told import Reader


@dataclass(frozen=True)
class Preset:
    """How the lines of a kind of program are read.

    Args:
        name: What a person calls it.
        expects: An example of what is read.
        means: Whose its figures are (this replica's or the whole job's), of an instant or an average since the start.
        make_reader: Makes a reader for one replica, given the metric that a person names and whether the preset was
            chosen rather than tried.
        unit: What its counts of examples count.
        counts_own_steps: Whether a step is one of the worker that prints it, rather than of the whole job.
        prints_same: Whether workers that train together print the same final metrics, to the last digit.
    """

    name: str
    expects: str
    means: str
    make_reader: Callable[[str, bool], Reader]
    unit: str = "examples"
    counts_own_steps: bool = False
    prints_same: bool = False


# In the order in which `auto` prefers them: the more special a form, the less it is met by chance.
PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "tf_cnn_benchmarks",
            "10 images/sec: 100.1 +/- 0.3 (jitter = 1.2) 7.5",
            "images/sec is one worker's, total images/sec the whole job's; both are averages since its own clock began",
            lambda metric, is_chosen: BenchmarkReader(),  # noqa: ARG005
            unit="images",
            counts_own_steps=True,
        ),
        Preset(
            "orbit",
            "train | step: 1000 | steps/sec: 12.1 | output: {'loss': 0.3}",
            "steps are the whole job's, metrics an average since the line before",
            lambda metric, is_chosen: OrbitReader(),  # noqa: ARG005
        ),
        Preset(
            "estimator",
            "INFO:tensorflow:loss = 0.3, step = 100 (0.7 sec)",
            "steps are the whole job's (global_step), whoever prints them; metrics are an instant's",
            lambda metric, is_chosen: EstimatorReader(),  # noqa: ARG005
        ),
        Preset(
            "keras",
            "Epoch 1/5 and below it 938/938 - 5s - 5ms/step - accuracy: 0.91 - loss: 0.3",
            "a step is one of all workers together; metrics are averages over the epoch, so far",
            lambda metric, is_chosen: KerasReader(),  # noqa: ARG005
            prints_same=True,
        ),
        Preset(
            "name=value",
            "step=100 loss=0.3 accuracy=0.97",
            "steps are taken for the whole job's, metrics for an instant's",
            lambda metric, is_chosen: NameValueReader(metric, takes_all=is_chosen),
        ),
    )
}
