"""The heart of the training: values in, gradients out. No variable and no collective inside."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from model.data import PreparedDataset, Split
from model.errors import ConfigError
from model.frameworks import keras, tf
from model.objectives import Objective
from model.strategies.batch_norm import fused_batch_norm
from model.strategies.computing import PLAIN, Computing
from model.strategies.losses import make_loss, score_examples
from model.training import TrainingConfig, Vector

EVALUATION_BATCH_SIZE = 500
# A GPU can gather, too, and would be sent the whole data for it in each step. Without a task: that of whoever computes.
_READER = "/device:CPU:0"


@dataclass(frozen=True)
class FlatModel:
    """A Keras model as a function of flat vectors.

    One vector is what a reduction, a parameter server and a checkpoint handle best: a collective for each tensor
    costs more than the sum of its bytes.

    Attributes:
        model: The Keras model; its variables serve for shapes and initial values only.
        weight_decay_mask: 1 for the parameters that weight decay applies to (kernels), else 0; shape [P].
    """

    model: keras.Model
    weight_decay_mask: Vector

    @classmethod
    def wrap(cls, model: keras.Model) -> Self:
        """Returns `model` as a function of flat vectors.

        Raises:
            ConfigError: The model has state that is neither float32 nor a Keras random seed.
        """
        for variable in model.non_trainable_variables:
            if not _is_statistic(variable) and not _is_seed(variable):
                raise ConfigError(
                    "A model's non-trainable state must be float32 or a Keras SeedGenerator's. "
                    f"Received: {variable.path} of type {variable.dtype}, shape {tuple(variable.shape)}."
                )
        masks = [np.full(np.prod(v.shape, dtype=int), len(v.shape) > 1, np.float32) for v in model.trainable_variables]
        return cls(model, np.concatenate(masks))

    @property
    def num_parameters(self) -> int:
        """Number of trainable parameters P."""
        return len(self.weight_decay_mask)

    def initial_weights(self) -> Vector:
        """Returns the model's trainable parameters, shape [P]."""
        return _flatten(v.numpy() for v in self.model.trainable_variables)

    def initial_statistics(self) -> Vector:
        """Returns the model's float non-trainable state, shape [Q]."""
        return _flatten(v.numpy() for v in self.model.non_trainable_variables if _is_statistic(v))

    def call(self, weights: tf.Tensor, statistics: tf.Tensor, inputs: Any, group: tf.Tensor | None) -> Any:
        """Returns the outputs, shape [batch, outputs], and the new statistics, shape [Q].

        Args:
            weights: All trainable parameters, shape [P].
            statistics: Float non-trainable state, shape [Q].
            inputs: Of shape [batch, …], or several by name. Integers stay, all else becomes float32.
            group: Number of this group of examples since the training's start, which random layers draw from, so that
                the draw does not depend on which worker computes the group; None for inference.
        """
        state = iter(_unflatten(statistics, [v for v in self.model.non_trainable_variables if _is_statistic(v)]))
        non_trainable = [
            next(state) if _is_statistic(v) else _seed_at(v, group) for v in self.model.non_trainable_variables
        ]
        trainable = _unflatten(weights, self.model.trainable_variables)
        with fused_batch_norm():
            outputs, updated = self.model.stateless_call(
                trainable, non_trainable, self._fit_inputs(inputs), training=group is not None
            )
        kept = [u for u, v in zip(updated, self.model.non_trainable_variables, strict=True) if _is_statistic(v)]
        return tf.cast(outputs, tf.float32), _concat(kept)

    def _fit_inputs(self, inputs: Any) -> Any:
        """Returns inputs as the model takes them; one by name is no dictionary to a model that knows no names."""
        if isinstance(inputs, dict) and len(inputs) == 1 and takes_one_tensor(self.model):
            (inputs,) = inputs.values()
        return tf.nest.map_structure(_as_model_type, inputs)

    def assign(self, weights: Vector, statistics: Vector) -> None:
        """Writes the vectors into the Keras model's variables, to save it."""
        _assign(self.model.trainable_variables, weights)
        _assign([v for v in self.model.non_trainable_variables if _is_statistic(v)], statistics)


def make_group_function(
    flat: FlatModel, config: TrainingConfig, objective: Objective, computing: Computing = PLAIN
) -> Any:
    """Returns the pure function that computes one group's contribution to a step.

    The function takes `(weights, statistics, inputs, labels, group)` and returns one vector of length P + Q + 1: the
    gradient of the group's mean loss, the new statistics, and the loss. A step's result is the mean of its groups'
    contributions, whichever worker computed them.
    """
    find_loss = make_loss(objective, config.label_smoothing)

    def contribute(
        weights: tf.Tensor, statistics: tf.Tensor, inputs: Any, labels: tf.Tensor, group: tf.Tensor
    ) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(weights)
            outputs, updated = flat.call(weights, statistics, inputs, group)
            loss = find_loss(labels, outputs)
            scaled = loss * computing.loss_scale
        gradient = tape.gradient(scaled, weights) / computing.loss_scale
        gradient += config.weight_decay * flat.weight_decay_mask * weights
        return tf.concat([gradient, updated, [loss]], axis=0)

    return tf.function(contribute, jit_compile=computing.jit_compile or None, autograph=False)


def map_into_memory(split: Split) -> tuple[Any, tf.Tensor]:
    """Returns a split's inputs and labels, mapped into memory by whichever replica runs the graph.

    Inside a `tf.function` this is a node of the graph, so a parameter-server worker reads its own copy of the files
    and the coordinator sends it nothing but indices.
    """

    def map_array(array: Any) -> tf.Tensor:
        return tf.raw_ops.ImmutableConst(
            dtype=tf.as_dtype(array.dtype), shape=array.shape, memory_region_name=str(array.filename)
        )

    with tf.device(_READER):
        return map_structure(map_array, split.inputs), map_array(split.labels)


def map_structure(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Returns what a function makes of the one input, or of each of several by name."""
    return {name: function(own) for name, own in inputs.items()} if isinstance(inputs, dict) else function(inputs)


def read_range(split: Split, start: tf.Tensor | int, stop: tf.Tensor | int) -> tuple[Any, tf.Tensor]:
    """Returns the inputs and labels from `start` up to `stop`, or the split's end, as a copy.

    A slice would share the mapping, which cannot be written: a model's first operation on float32 writes its result
    over an operand that nobody else reads, and the process would end in a segmentation fault.
    """
    inputs, labels = map_into_memory(split)
    with tf.device(_READER):
        indices = tf.range(start, tf.minimum(stop, split.count))
        return map_structure(lambda own: tf.gather(own, indices), inputs), tf.gather(labels, indices)


def crop_shifted(images: Any, shifts: tf.Tensor, max_shift: int) -> tf.Tensor:
    """Returns each image moved by its own shift, what moves in being 0.

    Args:
        images: Pixels, shape [batch, height, width, channels]; anything that is not to be moved.
        shifts: Row and column where each crop starts in the image padded by `max_shift`, int32, shape [batch, 2].
        max_shift: Padding on each side in pixels.
    """
    if max_shift == 0:
        return images
    _, height, width, channels = images.shape
    padded = _pad(_pad(images, 2, max_shift), 1, max_shift)
    # All images moved to each side: copies that cost little. Of these an image's rows are gathered whole, which costs
    # much less than to gather its pixels.
    moved = tf.stack([padded[:, :, start : start + width] for start in range(2 * max_shift + 1)])
    count = tf.shape(images)[0]
    first_rows = (shifts[:, 1] * count + tf.range(count)) * (height + 2 * max_shift) + shifts[:, 0]
    return tf.gather(tf.reshape(moved, [-1, width, channels]), first_rows[:, tf.newaxis] + tf.range(height))


def _pad(images: tf.Tensor, axis: int, size: int) -> tf.Tensor:
    """Returns images between zeros on both sides of an axis: of bytes faster than tf.pad, which copies them singly."""
    sizes = [size if i == axis else tf.shape(images)[i] for i in range(len(images.shape))]
    margin = tf.zeros(sizes, images.dtype)
    return tf.concat([margin, images, margin], axis)


def read_batch(
    dataset: PreparedDataset, indices: tf.Tensor, shifts: tf.Tensor, max_shift: int
) -> tuple[Any, tf.Tensor]:
    """Returns training inputs, of shape [batch, …] or several by name, and their labels; images are shifted.

    Args:
        dataset: The prepared data.
        indices: Positions in the training split, int64, shape [batch].
        shifts: As `crop_shifted` takes them.
        max_shift: Likewise; 0 for what is no image.
    """
    inputs, labels = map_into_memory(dataset.split("train"))
    with tf.device(_READER):
        chosen = map_structure(lambda own: tf.gather(own, indices), inputs)
        return crop_shifted(chosen, shifts, max_shift), tf.gather(labels, indices)


def sum_over_groups(
    group_function: Any,
    config: TrainingConfig,
    values: tuple[tf.Tensor, tf.Tensor],
    batch: tuple[Any, tf.Tensor],
    first_group: tf.Tensor,
    *,
    devices: Sequence[str] = (),
) -> tf.Tensor:
    """Returns the sum of the contributions of one worker's groups, shape [P + Q + 1].

    The groups of a device run one after another in one compiled shape, so that a worker needs the memory of one group
    only and computes exactly what the same groups give elsewhere.

    Args:
        group_function: What `make_group_function` returned.
        config: The training's settings.
        values: Weights, shape [P], and statistics, shape [Q].
        batch: Inputs and labels of the worker's share of the global batch.
        first_group: Number of the first of these groups since the training's start, int32.
        devices: The worker's, side by side, where it has several. Groups that every configuration has are dealt out to
            them as they are; else the share is one group, and each device normalises over its own part of it.
    """
    if len(devices) <= 1:
        groups = range(config.groups_per_replica)
        return _sum_in_turn(group_function, config.group_size, values, batch, [(g, first_group + g) for g in groups])
    if config.same_batch_norm:
        size, num_parts, numbers = config.group_size, config.groups_per_replica, 1
    else:  # random layers draw by a part's number, as they draw by a group's
        size, num_parts, numbers = config.group_size // len(devices), len(devices), len(devices)
    sums = []
    for place, device in enumerate(devices[:num_parts]):
        parts = [(part, first_group * numbers + part) for part in range(place, num_parts, len(devices))]
        with tf.device(device):
            sums.append(_sum_in_turn(group_function, size, values, batch, parts))
    with tf.device(devices[0]):
        return tf.add_n(sums) / numbers


def _sum_in_turn(
    group_function: Any,
    size: int,
    values: tuple[tf.Tensor, tf.Tensor],
    batch: tuple[Any, tf.Tensor],
    parts: Sequence[tuple[int, tf.Tensor]],
) -> tf.Tensor:
    """Returns the sum of the contributions of some parts of a batch, each by its place and its group's number."""
    weights, statistics = values
    inputs, labels = batch
    total: tf.Tensor | None = None
    for place, number in parts:
        part = slice(place * size, (place + 1) * size)
        with tf.control_dependencies([] if total is None else [total]):
            with tf.device(_READER):  # where the batch is: a device is sent its own part alone
                own = map_structure(operator.itemgetter(part), inputs), labels[part]
            contribution = group_function(weights, statistics, *own, number)
        total = contribution if total is None else total + contribution
    return total


def sum_scores(
    flat: FlatModel,
    objective: Objective,
    values: tuple[tf.Tensor, tf.Tensor],
    batch: tuple[Any, tf.Tensor],
) -> tf.Tensor:
    """Returns the sum of the examples' scores, float32, shape []: how many are right, or the errors' sum.

    Args:
        flat: The model.
        objective: What decides the score.
        values: Weights, shape [P], and statistics, shape [Q].
        batch: Inputs and labels.
    """
    inputs, labels = batch
    outputs, _ = flat.call(*values, inputs, group=None)
    return tf.reduce_sum(score_examples(objective, labels, outputs))


def split_contribution(contribution: tf.Tensor, num_parameters: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns a contribution's gradient, shape [P], statistics, shape [Q], and loss, shape []."""
    return contribution[:num_parameters], contribution[num_parameters:-1], contribution[-1]


def apply_momentum(
    weights: tf.Variable, velocity: tf.Variable, gradient: tf.Tensor, learning_rate: tf.Tensor, momentum: float
) -> tf.Operation:
    """Returns the operation v ← momentum·v + g, w ← w − rate·(g + momentum·v), made under the variable's lock.

    The fused kernel runs where the variable lives, so that a parameter server receives the gradient only and two
    workers' updates never mix.

    Source: Sutskever et al. 2013, section 2, in the form of TensorFlow's ResourceApplyMomentum with use_nesterov.
    """
    return tf.raw_ops.ResourceApplyMomentum(
        var=weights.handle,
        accum=velocity.handle,
        lr=learning_rate,
        grad=gradient,
        momentum=momentum,
        use_locking=True,
        use_nesterov=True,
    )


def takes_one_tensor(model: keras.Model) -> bool:
    """Returns whether a model is made of layers from one input on; a subclass takes what it was written for."""
    return len(getattr(model, "inputs", None) or []) == 1 and not isinstance(getattr(model, "input", None), dict)


def _as_model_type(values: tf.Tensor) -> tf.Tensor:
    is_whole = values.dtype in (tf.int32, tf.int64)
    return values if is_whole else tf.cast(values, tf.float32)


def _is_statistic(variable: Any) -> bool:
    return bool(variable.dtype == "float32")


def _is_seed(variable: Any) -> bool:
    return bool(variable.name == "seed_generator_state") and tuple(variable.shape) == (2,)


def _seed_at(variable: Any, group: tf.Tensor | None) -> tf.Tensor:
    with tf.init_scope():  # the seed itself is a constant of the model
        seed = int(variable.numpy()[0])
    counter = tf.constant(0, variable.dtype) if group is None else tf.cast(group, variable.dtype)
    return tf.stack([tf.constant(seed, variable.dtype), counter])


def _flatten(arrays: Any) -> Vector:
    return np.concatenate([np.zeros(0, np.float32), *(np.ravel(a).astype(np.float32) for a in arrays)])


def _unflatten(vector: tf.Tensor, variables: Sequence[Any]) -> list[tf.Tensor]:
    sizes = [int(np.prod(v.shape, dtype=int)) for v in variables]
    parts = tf.split(vector, sizes) if sizes else []
    return [tf.reshape(part, v.shape) for part, v in zip(parts, variables, strict=True)]


def _concat(tensors: Sequence[tf.Tensor]) -> tf.Tensor:
    return tf.concat([tf.reshape(t, [-1]) for t in tensors], axis=0) if tensors else tf.zeros([0])


def _assign(variables: Sequence[Any], vector: Vector) -> None:
    start = 0
    for variable in variables:
        size = int(np.prod(variable.shape, dtype=int))
        variable.assign(vector[start : start + size].reshape(variable.shape))
        start += size
