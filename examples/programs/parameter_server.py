"""Embeddings on parameter servers, trained through a ClusterCoordinator. It tells its steps with the helper: level 2.

    make run ARGS='--tfjob my-tfjob.yaml --workers 1 2'      # a TFJob of a Chief, Workers and PS that runs this program

The chief hands out steps, workers take them, servers hold the table. Five lines tell how it gets on: without the
launcher, which puts the helper on the path, they do nothing.
"""

import argparse
import json
import os

import tensorflow as tf

try:
    import tfjob_speedup_progress as progress
except ImportError:
    progress = None

USERS, WIDTH = 10_000, 16


def serve(role: str, index: int) -> None:
    """Serves as a worker or parameter server, until the launcher ends it."""
    cluster = tf.train.ClusterSpec(json.loads(os.environ["TF_CONFIG"])["cluster"])
    # With one thread, as on one core, a worker would wait for itself for ever.
    config = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=4)
    tf.distribute.Server(cluster, job_name=role, task_index=index, config=config).join()


def train(resolver: tf.distribute.cluster_resolver.TFConfigClusterResolver, args: argparse.Namespace) -> float:
    """Trains in the chief, and returns the accuracy on points of its own."""
    partitioner = tf.distribute.experimental.partitioners.MinSizePartitioner(max_shards=2)
    strategy = tf.distribute.ParameterServerStrategy(resolver, variable_partitioner=partitioner)
    coordinator = tf.distribute.coordinator.ClusterCoordinator(strategy)
    with strategy.scope():
        table = tf.Variable(tf.zeros((USERS, WIDTH)))
        weights = tf.Variable(tf.ones((WIDTH,)) / WIDTH)

    def draw(seed: tf.Tensor, number: int) -> tuple[tf.Tensor, tf.Tensor]:
        users = tf.random.stateless_uniform((number,), (seed, 7), maxval=USERS, dtype=tf.int32)
        return users, tf.cast(users % 3 == 0, tf.float32)

    @tf.function
    def step(seed: tf.Tensor) -> None:
        users, likes = draw(seed, args.batch_size)
        rows = tf.nn.embedding_lookup(table, users)
        errors = tf.sigmoid(tf.linalg.matvec(rows, weights)) - likes
        gradient = tf.IndexedSlices(-args.learning_rate * errors[:, None] * weights[None], users)
        for part, slices in zip(table.variables, split_rows(gradient, table), strict=True):
            part.scatter_add(slices)

    if progress:
        progress.begin(scope="job")  # the chief counts for all workers
    for done in range(0, args.steps, args.steps_at_once):
        for number in range(done, done + args.steps_at_once):
            coordinator.schedule(step, args=(tf.constant(number),))
        coordinator.join()
        if progress:
            progress.step(examples=args.batch_size * args.steps_at_once, step=done + args.steps_at_once)
    if progress:
        progress.end()
    users, likes = draw(tf.constant(-1), args.test_examples)
    scores = tf.linalg.matvec(tf.gather(tf.concat([part.read_value() for part in table.variables], 0), users), weights)
    return float(tf.reduce_mean(tf.cast((scores > 0) == (likes > 0), tf.float32)))


def split_rows(gradient: tf.IndexedSlices, table: tf.Variable) -> list[tf.IndexedSlices]:
    """Returns what each server's part of the table gets: of the rows of others nothing is left but zeros."""
    slices, begin = [], 0
    for part in table.variables:
        size = part.shape[0]
        is_here = (gradient.indices >= begin) & (gradient.indices < begin + size)
        values = tf.where(is_here[:, None], gradient.values, 0.0)
        slices.append(tf.IndexedSlices(values, tf.where(is_here, gradient.indices - begin, 0)))
        begin += size
    return slices


def main() -> None:
    """Runs the role that TF_CONFIG gives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--steps-at-once", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--learning-rate", type=float, default=8.0)
    parser.add_argument("--test-examples", type=int, default=2000)
    args = parser.parse_args()
    if "TF_CONFIG" not in os.environ:
        raise SystemExit("TF_CONFIG is missing: this program needs a chief, workers and parameter servers.")
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    if resolver.task_type in {"worker", "ps"}:
        serve(resolver.task_type, resolver.task_id)
    accuracy = train(resolver, args)
    print(f"accuracy={accuracy:.4f}", flush=True)
    if progress:
        progress.metric("accuracy", accuracy, n=args.test_examples)


if __name__ == "__main__":
    main()
