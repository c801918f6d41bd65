"""Keras' `fit` on several workers, as nearly every such program is written. It tells nothing on purpose: level 1.

    make run ARGS='--command "python examples/programs/keras_multi_worker.py --out {output_dir}" --workers 1 2'

It needs the package tf_keras, for Keras 3 does not train on several workers.
"""

import argparse
import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"  # before TensorFlow is imported: tf.keras is then Keras 2

import tensorflow as tf


def make_dataset(batch_size: int, examples: int) -> tf.data.Dataset:
    """Returns points of two classes; Keras gives each worker its share of every batch."""
    points = tf.random.stateless_normal((examples, 16), seed=(1, 2))
    labels = tf.cast(tf.reduce_sum(points[:, :8], axis=1) > 0, tf.int32)
    dataset = tf.data.Dataset.from_tensor_slices((points, labels)).repeat().batch(batch_size, drop_remainder=True)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return dataset.with_options(options)


def main() -> None:
    """Trains, and says how well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--steps-per-epoch", type=int, default=50)
    parser.add_argument("--batch-size-per-replica", type=int, default=64)
    parser.add_argument("--verbose", type=int, default=2)
    parser.add_argument("--out", default=".")
    args = parser.parse_args()
    strategy = tf.distribute.MultiWorkerMirroredStrategy()  # it reads TF_CONFIG; without it there is one worker
    batch_size = args.batch_size_per_replica * strategy.num_replicas_in_sync
    with strategy.scope():
        model = tf.keras.Sequential([tf.keras.layers.Dense(32, activation="relu"), tf.keras.layers.Dense(2)])
        loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile("sgd", loss, metrics=["accuracy"])
    model.fit(
        make_dataset(batch_size, 50 * batch_size),
        epochs=args.epochs,
        steps_per_epoch=args.steps_per_epoch,
        verbose=args.verbose,
    )
    # Every worker has to save, for variables are gathered from all; each into a folder of its own.
    task = strategy.cluster_resolver.task_id or 0
    model.save_weights(os.path.join(args.out, f"worker-{task}", "weights"))  # noqa: PTH118 - as such programs do


if __name__ == "__main__":
    main()
