"""Where a step of the single node goes on one core: milliseconds by kind of operation, and the convolutions' share.

TensorFlow's own profiler times each operation, which slows a step by a few percent.
"""

import argparse
import json
import operator
import re
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.peers import BATCH_SIZE, STRIDES, describe_machine
from benchmarks.programs import run_program
from benchmarks.turns import bind_to_one_core

STEPS = 30
_WARMUP_STEPS = 30
_NUM_SHOWN = 12
# An event of an executor's thread is `NAME:KIND` for an operation, and has no colon, or a C++ name, for its own work.
_OPERATION = re.compile(r"[^:]:(\w+)(?:#|$)")
_THREADS = "tf_Compute"
_CONVOLUTION = "Conv2D"

# Kind of operation to milliseconds a step.
Profile = Mapping[str, float]


def main() -> None:
    """Prints a Markdown table for each stride of the stem, and the convolutions' share of the step."""
    argparse.ArgumentParser(prog="python -m benchmarks.step_profile", description=__doc__).parse_args()
    bind_to_one_core()
    print(f"{describe_machine()}\n", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run_program(["model.prepare", "--output-dir", f"{folder}/data"])
        for stride in STRIDES:
            print(report(stride, profile_step(Path(folder, "data"), stride, Path(folder, f"profile-{stride}"))))


def profile_step(data_dir: Path, stride: int, log_dir: Path) -> Profile:
    """Returns the milliseconds of a step of resnet8 by kind of operation."""
    from model.data import PreparedDataset  # noqa: PLC0415 - TensorFlow is imported once the threads are set
    from model.frameworks import tf  # noqa: PLC0415
    from model.strategies import connect  # noqa: PLC0415
    from model.training import Clock, Task, TrainingConfig, parse_tf_config  # noqa: PLC0415

    arguments = json.dumps({"stem_stride": stride})
    config = TrainingConfig(global_batch_size=BATCH_SIZE, model_arguments=arguments)
    trainer = connect(Task(config, PreparedDataset.open(data_dir)), parse_tf_config(None), Clock())
    trainer.train(0, _WARMUP_STEPS, lambda _: None)
    with tf.profiler.experimental.Profile(str(log_dir)):
        trainer.train(_WARMUP_STEPS, _WARMUP_STEPS + STEPS, lambda _: None)
    return sum_by_kind(_read_events(log_dir), STEPS)


def sum_by_kind(events: Iterable[tuple[str, float]], num_steps: int) -> Profile:
    """Returns the milliseconds of a step by kind of operation, the dearest first.

    Args:
        events: What the executor's threads did, and for how many milliseconds.
        num_steps: Of how many steps.
    """
    totals: defaultdict[str, float] = defaultdict(float)
    for name, milliseconds in events:
        if found := _OPERATION.search(name):
            totals[found[1]] += milliseconds / num_steps
    return dict(sorted(totals.items(), key=operator.itemgetter(1), reverse=True))


def report(stride: int, profile: Profile) -> str:
    """Returns a Markdown table of the dearest kinds of operation, and the convolutions' share of them all."""
    total = sum(profile.values())
    share = sum(own for kind, own in profile.items() if _CONVOLUTION in kind) / total
    rest = dict([*profile.items()][_NUM_SHOWN:])
    rows = [*[*profile.items()][:_NUM_SHOWN], (f"{len(rest)} others", sum(rest.values()))]
    lines = [f"| resnet8, batch {BATCH_SIZE}, stem stride {stride} | ms a step | share |", "|---|---|---|"]
    lines += [f"| {kind} | {own:.2f} | {own / total:.1%} |" for kind, own in rows]
    return "\n".join([*lines, f"| all | {total:.1f} | |", "", f"share convolutions-stride-{stride} {share:.3f}", ""])


def _read_events(log_dir: Path) -> Iterable[tuple[str, float]]:
    """Yields what TensorFlow's executor did, from the file that its profiler left."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2  # noqa: PLC0415

    (file,) = log_dir.rglob("*.xplane.pb")
    for plane in xplane_pb2.XSpace.FromString(file.read_bytes()).planes:
        for line in plane.lines:
            if line.name.startswith(_THREADS):
                for event in line.events:
                    yield plane.event_metadata[event.metadata_id].name, event.duration_ps / 1e9


if __name__ == "__main__":
    main()
