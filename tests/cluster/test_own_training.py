"""A person's own training as pods, of which nothing but the manifest is given."""

import pytest

from tests.cluster.own_run import OwnRun

pytestmark = pytest.mark.slow

ALL_REDUCE = """
import os, sys
import tensorflow as tf
strategy = tf.distribute.MultiWorkerMirroredStrategy()
with strategy.scope():
    weights = tf.Variable(tf.zeros([10, 1]))
@tf.function
def train(x, y):
    def step(x, y):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((x @ weights - y) ** 2)
        weights.assign_sub(0.01 * tf.distribute.get_replica_context().all_reduce('sum', tape.gradient(loss, weights)))
        return loss
    return strategy.reduce('MEAN', strategy.run(step, args=(x, y)), axis=None)
batch = int(sys.argv[1])
x, y = tf.random.normal([batch, 10]), tf.random.normal([batch, 1])
for number in range(10**6):
    print('step=%d loss=%.6f' % (number + 1, train(x, y)), flush=True)
"""


def test_an_all_reduce_program_that_never_ends_is_measured(own_run: OwnRun) -> None:
    replica = own_run.make_replica(ALL_REDUCE)
    container = replica["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-c", ALL_REDUCE]
    container["args"] = ["{per_replica_batch_size}"]
    container["resources"] = {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "300m"}}
    result = own_run(
        {"worker": replica},
        values={"per_replica_batch_size": "32"},
        is_measured=lambda: sum(text.startswith("step=") for text in own_run.lines("worker-1")) >= 20,
    )
    assert result.was_ended
    steps = {
        name: [text for text in own_run.lines(name) if text.startswith("step=")] for name in ("worker-0", "worker-1")
    }
    shared = min(map(len, steps.values()))
    assert steps["worker-0"][:shared] == steps["worker-1"][:shared]
    times = [line.at for line in own_run.heard if line.replica == "worker-0" and line.text.startswith("step=")]
    assert times == sorted(at for at in times if at)
