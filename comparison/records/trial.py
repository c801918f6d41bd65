"""What one trial left behind, as docs/schemas.md defines it; every figure is derived from these."""

import math
from dataclasses import dataclass
from typing import Any

from comparison.quality import ACCURACY, ConfusionMatrix, CurvePoint, MetricValue, read_matrix


@dataclass(frozen=True)
class Gpu:
    """What a replica's GPU is, and what it did while the training's clock ran; null is what it did not tell.

    `memory_used_bytes` is the most, by whomever; `utilisation_percent`, `clock_mhz` and `watts` are means; it was
    slowed down for the reasons in `throttled` in `throttled_share` of the looks at it; `other_processes` computed on it
    at most.
    """

    name: str | None
    uuid: str | None
    driver: str | None
    memory_total_bytes: int | None
    memory_used_bytes: int | None
    utilisation_percent: float | None
    clock_mhz: float | None
    watts: float | None
    throttled: list[str]
    throttled_share: float
    other_processes: int | None


@dataclass(frozen=True)
class Replica:
    """One process of a trial: what it used, and how it ended.

    `calibration_seconds` is what a fixed computation took on the replica's own core before and after the training, or
    null; `clocks` are this replica's own seconds by section. Its process was `age_seconds` old at `recorded_at`, when
    it wrote what it had measured. `num_steps` counts the updates that a worker made which only serves. During the
    training's own clock, its threads were ready and waited for a core: the busiest of them `waited_seconds`, all of
    them `waited_all_seconds`; its control group was under pressure for `pressure_seconds`; the hypervisor stole
    `steal_seconds` from its cores, and others computed on them for `others_cpu_seconds`. `host` and `node` are where it
    ran, `environment` what steers its libraries, `gpu` what it computed on. A record may lack all of these.
    """

    name: str
    type: str
    index: int
    cpu_seconds: float
    peak_rss_bytes: int
    weights_sha256: str | None
    restored_step: int | None
    restarts: int
    exit_code: int | None
    cpus: list[int] | None
    calibration_seconds: list[float] | None = None
    clocks: dict[str, float] | None = None
    age_seconds: float | None = None
    recorded_at: float | None = None
    num_steps: int | None = None
    waited_seconds: float | None = None
    waited_all_seconds: float | None = None
    pressure_seconds: float | None = None
    steal_seconds: float | None = None
    others_cpu_seconds: float | None = None
    host: str | None = None
    node: str | None = None
    environment: dict[str, str] | None = None
    gpu: Gpu | None = None


@dataclass(frozen=True)
class Collective:
    """What the strategy's own exchange costs, timed by itself between the warm-up and the first timed step.

    Medians of `repeats` exchanges of one element and of `num_elements`, the vector of a step: an `all_reduce`, or a
    parameter server's `pull_push`.
    """

    operation: str
    repeats: int
    num_elements: int
    one_element_seconds: float
    vector_seconds: float


@dataclass(frozen=True)
class QuietWait:
    """How long a trial waited for its cores to be free before it began, and who took them."""

    waited_seconds: float
    taken_by: list[str]


@dataclass(frozen=True)
class Misclassified:
    """A test image that a trained model took for another class: `pixels` are base64 of uint8, of that `shape`."""

    index: int
    true_class: int
    predicted_class: int
    confidence: float
    shape: list[int]
    pixels: str


@dataclass(frozen=True)
class TrialRecord:
    """Everything measured in one trial of one configuration: a line of `trials.jsonl`.

    `resumed` says that the run was interrupted, and resumed with this trial; `earlier_attempts` are those at this trial
    that lost a replica or their launcher. A record may lack both, `misclassified` and the parts of other clocks: of
    `queue_seconds` what was spent on finding nodes and on pulling images; of `startup_seconds` its three; of
    `compile_seconds`, in older records, the warm-up; of `communication_seconds` the transfer, which with the
    computation of the slowest and the mean worker of each step is null where workers are not in step. Of
    `confusion_matrix` and `confusion_counts`, entries of true class, predicted class and count, it has one.

    It was the run's `place`-th trial, in a `round` that holds each configuration once, the baseline perhaps twice; both
    count from 1, and a record without them is of an older version. `wrong_images` are base64 of a bit for each test
    image, the first in the highest bit, 1 where the model is wrong. `started_monotonic` and `ended_monotonic` are
    seconds on a clock that nobody sets, comparable between trials of one `boot_id`. Its layers computed in a
    `precision`, on so many `gpus` of each replica (0: on CPUs), compiled by XLA (`jit_compile`) or not; older records,
    which lack these, are of float32 on CPUs without XLA. One call of the runtime made `steps_per_call` steps; where the
    parts of these were not told apart, they are those of `traced_steps` made apart from the training. Workers
    exchanged values by `communication`. Of counted answers and a `metric` it has one at least: the counts, and with
    them the confusions, are null where a model is judged otherwise.
    """

    schema_version: int
    run_id: str
    configuration: str
    trial: int
    seed: int
    strategy: str
    scaling: str
    num_workers: int
    num_ps: int
    cpus_per_replica: float
    global_batch_size: int
    per_replica_batch_size: int
    batch_norm_group_size: int
    learning_rate: float
    epochs: int
    steps: int
    images_seen: int
    model: str
    model_arguments: str
    num_parameters: int
    dataset: str
    dataset_sha256: str
    initial_weights_sha256: str
    weights_sha256: str
    queue_seconds: float
    startup_seconds: float
    rendezvous_seconds: float
    compile_seconds: float
    train_seconds: float
    input_seconds: float
    communication_seconds: float
    update_seconds: float
    calibrate_seconds: float
    eval_seconds: float
    save_seconds: float
    total_seconds: float
    images_per_second: float
    step_seconds: dict[str, float]
    curve: list[CurvePoint]
    test_n_correct: int | None
    test_n_examples: int | None
    evaluate_seconds: float
    evaluated_at: float
    target_accuracy: float | None
    seconds_to_target: float | None
    replicas: list[Replica]
    restarts: int
    contended: bool
    warnings: list[str]
    backend: str
    started_at: float
    ended_at: float
    host: dict[str, Any]
    versions: dict[str, str | None]
    image: str | None
    confusion_matrix: list[list[int]] | None = None
    confusion_counts: list[list[int]] | None = None
    misclassified: list[Misclassified] | None = None
    schedule_seconds: float | None = None
    pull_seconds: float | None = None
    process_start_seconds: float | None = None
    import_seconds: float | None = None
    build_seconds: float | None = None
    warmup_seconds: float | None = None
    transfer_seconds: float | None = None
    slowest_compute_seconds: float | None = None
    mean_compute_seconds: float | None = None
    resumed: bool = False
    earlier_attempts: list[dict[str, Any]] | None = None
    round: int | None = None
    place: int | None = None
    same_batch_norm: bool | None = None
    collective: Collective | None = None
    wrong_images: str | None = None
    boot_id: str | None = None
    started_monotonic: float | None = None
    ended_monotonic: float | None = None
    image_digest: str | None = None
    quiet: QuietWait | None = None
    precision: str | None = None
    deterministic: bool | None = None
    jit_compile: bool | None = None
    gpus: int | None = None
    steps_per_call: int | None = None
    traced_steps: int | None = None
    communication: str | None = None
    gpus_held: int | None = None
    metric: MetricValue | None = None
    loss_name: str | None = None
    metric_name: str | None = None
    metric_higher_is_better: bool | None = None
    target_metric: float | None = None
    example_shape: Any = None

    @property
    def quality(self) -> MetricValue:
        """How good the trained model is: accuracy where its answers were counted, else what was measured.

        Raises:
            ValueError: Neither was.
        """
        if self.test_n_correct is not None and self.test_n_examples:
            share = self.test_n_correct / self.test_n_examples
            return MetricValue(ACCURACY, share, higher_is_better=True, num_examples=self.test_n_examples)
        if self.metric is None:
            raise ValueError("a trial must have test_n_correct of test_n_examples, at least one, or a metric.")
        return self.metric

    @property
    def is_accuracy(self) -> bool:
        """Whether its answers were counted as right or wrong, so that accuracy is what it is judged by."""
        return self.test_n_correct is not None

    @property
    def num_wrong(self) -> int | None:
        """How many test examples the trained model answers wrongly; None where they were not counted."""
        if self.test_n_correct is None or self.test_n_examples is None:
            return None
        return self.test_n_examples - self.test_n_correct

    @property
    def confusion(self) -> ConfusionMatrix | None:
        """Which classes were taken for which; None where a model's answers are no classes."""
        if not self.is_accuracy:
            return None
        return read_matrix(self.confusion_matrix, self.confusion_counts)

    @property
    def target(self) -> float | None:
        """What the metric was to reach on the validation split."""
        return self.target_accuracy if self.is_accuracy else self.target_metric

    @property
    def reached(self) -> CurvePoint | None:
        """Where the learning curve reaches the target first."""
        if (target := self.target) is None:
            return None
        sign = 1 if self.quality.higher_is_better else -1
        return next((point for point in self.curve if sign * point.value >= sign * target), None)

    @property
    def has_images(self) -> bool:
        """Whether its examples are images, of height, width and channels; older records have nothing else."""
        shape = self.example_shape
        return shape is None or (isinstance(shape, list) and len(shape) == len(("height", "width", "channels")))

    @property
    def cpu_seconds(self) -> float:
        """Processor time of all replicas together."""
        return math.fsum(replica.cpu_seconds for replica in self.replicas)

    @property
    def peak_rss_bytes(self) -> int:
        """Memory of the largest replica."""
        return max(replica.peak_rss_bytes for replica in self.replicas)
