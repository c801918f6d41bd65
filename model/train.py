"""The training program: the baseline and every replica of a distributed training run it.

The role comes from TF_CONFIG: absent, this is the single process; with `ps`, a replica of a parameter-server training;
else a worker of a synchronous all-reduce.
"""

import argparse
import hashlib
import json
import os
import shutil
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from model.atomic import write_atomically
from model.config import TrainingConfig, add_arguments, from_arguments
from model.dataset import PreparedDataset
from model.errors import ConfigError, DatasetError
from model.heartbeat import PATIENCE_SECONDS, supervise
from model.host import calibrate, seconds_since_process_start
from model.mllog import FILE as MLLOG_FILE
from model.mllog import TrainingLog
from model.record import FINISHED_FILE, StepParts, describe_training, finish, write_replica_record
from model.registry import build_model, find_builder
from model.role import Role, parse_tf_config
from model.state import State, load_newest_checkpoint, save_checkpoint
from model.streams import replace_unencodable
from model.trainer import Clock, StepTiming, Task, Trainer, TrainingDiverged

if TYPE_CHECKING:
    from model.step import FlatModel

USER_ERROR_EXIT_CODE = 2
DIVERGED_EXIT_CODE = 3
LAUNCHER_GONE_EXIT_CODE = 4
# The training operator restarts a replica that ends with 128 or more, and fails the job on 1 to 127.
RETRYABLE_EXIT_CODE = 138
PROGRESS_SECONDS = 2.0


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m model.train") -> int:
    """Runs this replica and returns its exit code: 0, or one that tells the operator whether to try again."""
    replace_unencodable()
    clock = Clock({"process_start_seconds": seconds_since_process_start()})
    options = build_parser(prog).parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    try:
        if options.heartbeat_file:
            supervise(options.heartbeat_file, options.heartbeat_patience_seconds, LAUNCHER_GONE_EXIT_CODE)
        with clock.measure("build_seconds"):
            role = parse_tf_config(os.environ.get("TF_CONFIG"), options.strategy)
            config = from_arguments(options, role)
            dataset = PreparedDataset.open(options.data_dir, verify=True)
            check_batches(config, dataset)
        with clock.measure("import_seconds"):  # of the user's module, which may import TensorFlow
            find_builder(config.model)
        return run(config, role, dataset, options.output_dir, clock)
    except TrainingDiverged as error:
        return _fail(error, DIVERGED_EXIT_CODE)
    except (ConfigError, DatasetError) as error:
        return _fail(error, USER_ERROR_EXIT_CODE)


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Returns the program's command line."""
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir", type=Path, required=True, help="the prepared data set")
    parser.add_argument(
        "--output-dir", type=Path, required=True, help="where checkpoints, the model and the results go; all replicas'"
    )
    parser.add_argument(
        "--heartbeat-file", type=Path, help="what the launcher renews; once it no longer does, this replica ends itself"
    )
    parser.add_argument(
        "--heartbeat-patience-seconds",
        type=float,
        default=PATIENCE_SECONDS,
        help="how long the heartbeat file may stay as it is (default: %(default)g)",
    )
    add_arguments(parser)
    return parser


def check_batches(config: TrainingConfig, dataset: PreparedDataset) -> None:
    """Checks that the training split fills a batch.

    Raises:
        ConfigError: It is smaller than the global batch.
    """
    count = dataset.split("train").count
    if config.global_batch_size > count:
        raise ConfigError(
            "global_batch_size must not exceed the number of training images. "
            f"Received: {config.global_batch_size} and {count}."
        )


def run(config: TrainingConfig, role: Role, dataset: PreparedDataset, output_dir: Path, clock: Clock) -> int:
    """Trains as `role` says, writes the results into `output_dir` and returns the exit code.

    Args:
        config: The training's settings.
        role: This replica's.
        dataset: The prepared data.
        output_dir: The training's folder.
        clock: What this process has spent so far.

    Raises:
        TrainingDiverged: The loss is no longer finite.
        ConfigError: The model does not fit the data or the program.
    """
    with clock.measure("import_seconds"):  # errors of the user's are told before TensorFlow's seconds of import
        import keras  # noqa: PLC0415
        import tensorflow as tf  # noqa: PLC0415

    with clock.measure("build_seconds"):
        keras.utils.set_random_seed(config.seed)
        if role.strategy != "parameter_server":  # asynchronous updates come in no fixed order anyway
            tf.config.experimental.enable_op_determinism()
        if role.is_chief:
            output_dir.mkdir(parents=True, exist_ok=True)
            (output_dir / FINISHED_FILE).unlink(missing_ok=True)
            shutil.rmtree(output_dir / "replicas", ignore_errors=True)  # of an earlier start
    if role.strategy == "parameter_server" and not role.is_chief:
        return _serve(role, output_dir, clock)
    try:
        return _train(config, role, dataset, output_dir, clock)
    except (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.InternalError) as e:
        # Another replica is gone: this one is healthy, and starts again from the last checkpoint with it.
        print(f"error: lost contact with another replica: {_find_cause(e.message)}", file=sys.stderr, flush=True)
        os._exit(RETRYABLE_EXIT_CODE)  # the runtime's own end would wait for peers that are gone


def _serve(role: Role, output_dir: Path, clock: Clock) -> int:
    with clock.measure("import_seconds"):
        from model.parameter_server import serve  # noqa: PLC0415

    _say("serving")
    with clock.measure("serve_seconds"):
        serve(role, (output_dir / FINISHED_FILE).exists)
    write_replica_record(output_dir, role, clock.seconds)
    return 0


def _train(config: TrainingConfig, role: Role, dataset: PreparedDataset, output_dir: Path, clock: Clock) -> int:
    log = TrainingLog(output_dir / MLLOG_FILE if role.is_chief else None, config.target_accuracy)
    task, trainer = _connect(config, role, dataset, clock)
    with clock.measure("build_seconds"):
        initial = trainer.read_state()
        initial_sha256 = initial.sha256
        restored = load_newest_checkpoint(find_checkpoints(output_dir, config, dataset.sha256), _say)
        state = restored or initial
    with clock.measure("rendezvous_seconds"):
        state.step = trainer.load(state)
    restored_step = state.step
    if restored_step:
        _say(f"resumed from the checkpoint at step {restored_step}")
    with clock.measure("compile_seconds"):
        trainer.compile()
    with clock.measure("warmup_seconds"):
        trainer.warm_up()
    with clock.measure("calibrate_seconds"):
        calibrations = [calibrate()]
    for name, seconds in clock.seconds.items():  # start-up and compilation of every start add up
        state.clocks[name] = state.clocks.get(name, 0.0) + seconds
    log.start_run(task, restored_step)
    steps = StepParts()
    state = _run_epochs(task, trainer, role, state, output_dir, steps=steps, log=log)
    log.stop_training()
    clock = Clock(state.clocks)
    with clock.measure("calibrate_seconds"):
        calibrations.append(calibrate())
    if role.is_chief:
        with clock.measure("save_seconds"):
            save_model(task.flat, state, output_dir / "model.keras")
    state.clocks = clock.seconds
    write_replica_record(
        output_dir,
        role,
        state.clocks,
        state,
        restored_step=restored_step,
        calibration_seconds=calibrations,
        steps=steps,
    )
    finish(output_dir, role)
    if role.is_chief:
        record = describe_training(task, role, state, initial_sha256, output_dir, steps=steps)
        write_atomically(output_dir / "training.json", json.dumps(record, indent=1).encode())
        _say(f"trained in {state.clocks['train_seconds']:.1f} s, {record['images_per_second']:,.0f} images/s")
    return 0


def _connect(config: TrainingConfig, role: Role, dataset: PreparedDataset, clock: Clock) -> tuple[Task, Trainer]:
    """Returns the task and the trainer of this role, once all replicas have met.

    The collectives must be set up before anything else runs, hence before the model is built.
    """
    with clock.measure("import_seconds"):
        from model.parameter_server import ParameterServerTrainer, connect_servers  # noqa: PLC0415
        from model.step import FlatModel  # noqa: PLC0415
        from model.synchronous import SynchronousTrainer, connect_all_reduce, reduce_nothing  # noqa: PLC0415

    with clock.measure("rendezvous_seconds"):
        reduce = connect_all_reduce() if role.strategy == "all_reduce" else reduce_nothing
        servers = connect_servers() if role.strategy == "parameter_server" else None
    with clock.measure("build_seconds"):
        model = build_model(config.model, dataset.image_shape, dataset.num_classes, config.builder_arguments)
        task = Task(config, dataset, FlatModel.wrap(model))
        if servers is not None:
            return task, ParameterServerTrainer(task, role, servers)
        return task, SynchronousTrainer(task, role, reduce)


def find_checkpoints(output_dir: Path, config: TrainingConfig, dataset_sha256: str) -> Path:
    """Returns the folder of this training's checkpoints, which one with other settings or data never looks into."""
    identity = f"{config} {dataset_sha256}"
    return output_dir / "checkpoints" / hashlib.sha256(identity.encode()).hexdigest()[:12]


def _run_epochs(
    task: Task, trainer: Trainer, role: Role, state: State, output_dir: Path, *, steps: StepParts, log: TrainingLog
) -> State:
    """Returns the state after the last epoch; the chief has written a checkpoint after each."""
    clock = Clock(state.clocks)
    steps_per_epoch = task.plan.steps_per_epoch
    interval = task.config.checkpoint_steps or steps_per_epoch
    checkpoints = find_checkpoints(output_dir, task.config, task.dataset.sha256)
    while state.step < task.total_steps:
        epoch, epoch_end = state.step // steps_per_epoch + 1, (state.step // steps_per_epoch + 1) * steps_per_epoch
        stop = min(epoch_end, (state.step // interval + 1) * interval)
        recorder = _Recorder(task, role, clock, state, steps)
        if state.step == epoch_end - steps_per_epoch:
            log.start_epoch(epoch)
        with clock.measure("train_seconds"):
            trainer.train(state.step, stop, recorder.record)
        state.step = stop
        if stop == epoch_end:
            log.start_evaluation(epoch)
            with clock.measure("eval_seconds"):
                accuracy = trainer.count_correct() / task.dataset.split("validation").count
            log.stop_evaluation(epoch, accuracy)
            state.curve.append(
                {
                    "epoch": epoch,
                    "step": stop,
                    "train_seconds": clock.seconds["train_seconds"],
                    "train_loss": statistics.fmean(state.epoch_losses),
                    "validation_accuracy": accuracy,
                }
            )
            state.epoch_losses = []
            _say(_describe_epoch(task, state))
        with clock.measure("save_seconds"):
            values = trainer.read_state()
        state.weights, state.velocity, state.statistics = values.weights, values.velocity, values.statistics
        state.clocks = clock.seconds
        if role.is_chief:
            with clock.measure("save_seconds"):
                save_checkpoint(checkpoints, state)
    return state


class _Recorder:
    """Takes each step's timing and tells the progress every few seconds."""

    def __init__(self, task: Task, role: Role, clock: Clock, state: State, steps: StepParts) -> None:
        self._task, self._role, self._clock, self._state, self._steps = task, role, clock, state, steps
        self._told = time.perf_counter()
        self._seen = 0

    def record(self, timing: StepTiming) -> None:
        self._state.step_seconds.append(timing.seconds)
        self._state.epoch_losses.append(timing.loss)
        self._steps.add(timing)
        sharers = self._task.config.num_workers if self._role.strategy == "parameter_server" else 1
        for name, seconds in timing.parts.items():
            self._clock.add(name, seconds / sharers)
        self._seen += 1
        elapsed = time.perf_counter() - self._told
        if self._role.is_chief and elapsed >= PROGRESS_SECONDS:
            rate = self._seen / sharers * self._task.config.global_batch_size / elapsed
            per_epoch = self._task.plan.steps_per_epoch
            epoch, step = divmod(timing.step, per_epoch)
            _say(
                f"epoch {epoch + 1}/{self._task.config.epochs} step {step + 1}/{per_epoch} "
                f"loss {timing.loss:.3f} {rate:,.0f} images/s",
            )
            self._told, self._seen = time.perf_counter(), 0


def _describe_epoch(task: Task, state: State) -> str:
    point = state.curve[-1]
    return (
        f"epoch {point['epoch']}/{task.config.epochs} done: loss {point['train_loss']:.3f}, "
        f"validation accuracy {point['validation_accuracy']:.2%} after {point['train_seconds']:.1f} s of training"
    )


def save_model(flat: "FlatModel", state: State, path: Path) -> None:
    """Writes the trained Keras model, whole or not at all."""
    flat.assign(state.weights, state.statistics)
    partial = path.with_name(f"partial-{path.name}")
    flat.model.save(partial)
    partial.replace(path)


def _find_cause(message: str) -> str:
    """Returns the line of a TensorFlow error that says what happened, which follows the node and its call stack."""
    preamble = ("Graph execution error", "Detected at node", "<stack traces unavailable>", " ", "\t")
    lines = [line for line in message.splitlines() if line and not line.startswith(preamble)]
    return lines[0] if lines else message


def _say(text: str) -> None:
    print(text, flush=True)


def _fail(error: Exception, exit_code: int) -> int:
    print(f"error: {error}", file=sys.stderr, flush=True)
    return exit_code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is written; the runtime's own end would take most of a second of every trial
