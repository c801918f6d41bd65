"""The training program: the baseline and every replica of a distributed training run it.

The role comes from TF_CONFIG: absent, this is the single process; with `ps`, a replica of a parameter-server training;
else a worker of a synchronous all-reduce.
"""

import argparse
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from model.data import PreparedDataset
from model.errors import (
    ConfigError,
    DatasetError,
    DeviceFailed,
    ExitCode,
    PeerLost,
    TrainingDiverged,
    TrainingOver,
    describe_device_fault,
    describe_storage_error,
    is_peer_lost,
    tell,
)
from model.host import describe_versions, seconds_since_process_start
from model.streams import replace_unencodable
from model.training import (
    FINISHED_FILE,
    PATIENCE_SECONDS,
    Clock,
    GpuWatch,
    Role,
    ServerWatch,
    Signs,
    Task,
    TrainingLoop,
    add_arguments,
    begin,
    find_gpu,
    find_signs_folder,
    from_arguments,
    identify,
    meet_ending,
    name_life,
    note_complete,
    parse_tf_config,
    supervise,
    write_replica_record,
)

_BAD_LOOKUP = re.compile(r"indices\[[\d,]*\] = (?P<number>-?\d+) is not in \[0, (?P<rows>\d+)\)")
_LOST_TASK = re.compile(r"/job:(?P<kind>\w+)/replica:\d+/task:(?P<index>\d+)")


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m model.train") -> int:
    """Runs this replica and returns its exit code: 0, or one that tells the operator whether to try again."""
    replace_unencodable()
    clock = Clock({"process_start_seconds": seconds_since_process_start()})
    options = build_parser(prog).parse_args(arguments)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported
    try:
        with clock.measure("build_seconds"):
            role = parse_tf_config(os.environ.get("TF_CONFIG"), options.strategy)
        folder = find_signs_folder()
        if options.heartbeat_file:
            supervise(options.heartbeat_file, PATIENCE_SECONDS, ExitCode.LAUNCHER_GONE, name_life(folder, role))
        with clock.measure("build_seconds"):
            config = from_arguments(options, role)
            task = Task(config, PreparedDataset.open(options.data_dir, verify=True))
        run(task, role, options.output_dir, clock, Signs(folder, role))
    except TrainingDiverged as error:
        return tell(error, ExitCode.DIVERGED)
    except TrainingOver as error:
        return tell(error, ExitCode.TRAINING_OVER)
    except DeviceFailed as error:
        return tell(error, ExitCode.DEVICE_FAILED)
    except (ConfigError, DatasetError) as error:
        return tell(error)
    except OSError as error:
        if not (told := describe_storage_error(error)):
            raise
        return tell(told)  # another try would meet it again
    return 0


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
    add_arguments(parser)
    return parser


def run(task: Task, role: Role, output_dir: Path, clock: Clock, signs: Signs) -> None:
    """Trains or serves, as `role` says, and writes the results into `output_dir`.

    Args:
        task: What is trained.
        role: This replica's.
        output_dir: The training's folder.
        clock: What this process has spent so far.
        signs: Tell the launcher where this replica is.

    Raises:
        TrainingDiverged: The loss is no longer finite.
        ConfigError: The model does not fit the data or the program.
        TrainingOver: This replica was lost after all others had ended.
        DeviceFailed: What it computes on cannot go on.
    """
    describe_versions()  # what cannot be told is told now, and not after the training
    identity = identify(task.config, task.dataset.sha256)
    if meet_ending(output_dir, role, identity):
        print("the training is complete: nothing is left to do", flush=True)
        return
    with clock.measure("import_seconds"):  # errors of the user's are told before TensorFlow's seconds of import
        from model.strategies import RuntimeFailure, connect, serve  # noqa: PLC0415

    with clock.measure("build_seconds"):
        begin(output_dir, role)
    if role.is_server:
        print("serving", flush=True)
        signs.tell("serving")
        watch, gpu = ServerWatch(output_dir / FINISHED_FILE), GpuWatch(find_gpu())
        with gpu.measure(), clock.measure("serve_seconds"):
            serve(role, watch.is_finished)
        figures = gpu.to_json(watch.read_spans())
        write_replica_record(output_dir, role, clock.seconds, disturbance=watch.to_json(), gpu=figures)
        return
    try:
        signs.tell("meeting the others")
        trainer = connect(task, role, clock, lambda: signs.tell("building"))
        TrainingLoop(task, trainer, role, output_dir, clock, signs=signs).run()
    except RuntimeFailure as error:
        if fault := describe_device_fault(error):
            raise DeviceFailed(fault) from error
        if told := describe_bad_lookup(str(error)):
            raise ConfigError(told) from error
        if not is_peer_lost(error):
            raise
        # Another replica is gone: this one is healthy, and starts again from the last checkpoint with it.
        _end_without(_find_cause(error.message))
    except PeerLost as error:
        _end_without(str(error))
    if role.is_chief:
        note_complete(output_dir, identity)


def describe_bad_lookup(message: str) -> str | None:
    """Returns what is wrong where a model looks a number up that its table does not have, or None.

    Args:
        message: TensorFlow's, which names the place in its graph and neither the model nor the data.
    """
    found = _BAD_LOOKUP.search(message)
    return found and (
        f"The model looks up the number {found['number']} in a table of {found['rows']} rows, numbered from 0. Give "
        "its Embedding an input_dim above the largest number in the data (--model-arguments), or number them from 0 on."
    )


def _end_without(cause: str) -> NoReturn:
    tell(f"lost contact with another replica: {cause}")
    os._exit(ExitCode.PEER_LOST)  # the runtime's own end would wait for peers that are gone


def _find_cause(message: str) -> str:
    """Returns the line of a TensorFlow error that says what happened, which follows the node and its call stack.

    Whom TensorFlow takes for lost, it names in the lines after that.
    """
    preamble = ("Graph execution error", "Detected at node", "<stack traces unavailable>", " ", "\t")
    lines = [line for line in message.splitlines() if line and not line.startswith(preamble)]
    lost = [f"{found['kind']}-{found['index']}" for line in lines if (found := _LOST_TASK.fullmatch(line))]
    return " ".join(filter(None, (lines[0] if lines else message, ", ".join(dict.fromkeys(lost)))))


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # everything is written; the runtime's own end would take most of a second of every trial
