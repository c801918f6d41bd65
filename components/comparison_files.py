"""From the trials' folders to the comparison, and into the artifacts of the last step."""

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kfp import dsl

from comparison.compare import compare
from comparison.groups import add_confusion_matrices
from comparison.parsing import RecordError
from comparison.records import TrialRecord, assemble_record, read_run_info
from comparison.report import Analysis
from components.planning import LAUNCH_FILE, read_launched
from components.trials import TRAINING_FILE, list_left_out, list_trials, read_json
from tfjob.launch import print_line


def read_trials(trained: Sequence[Path], evaluations_path: Path) -> list[TrialRecord]:
    """Returns the records of all trials.

    Args:
        trained: Folders that hold the folders of trials.
        evaluations_path: The evaluations of their models, a JSON line each.

    Raises:
        RecordError: The files of a trial do not belong together.
    """
    lines = evaluations_path.read_text(encoding="utf-8").splitlines()
    evaluations = {(e["configuration"], e["trial"]): e for e in map(json.loads, lines)}
    records = []
    for folder in list_trials(trained):
        name, trial = read_launched(folder)
        launch = read_json(folder / LAUNCH_FILE)
        if (name, trial) not in evaluations:
            raise RecordError(f"{evaluations_path} lacks the evaluation of {name}, trial {trial}.")
        records.append(assemble_record(read_json(folder / TRAINING_FILE), launch, evaluations[name, trial]))
    return records


def show_confusions(
    trained: Sequence[Path], evaluations_path: Path, shown_by: Mapping[str, dsl.ClassificationMetrics]
) -> None:
    """Logs for the dashboard what the models of each strategy take for what; rows are true classes.

    Of many classes it is the most confused ones, so that these metadata stay far below what a server takes.

    Args:
        trained: Folders that hold the folders of trials.
        evaluations_path: The evaluations of their models.
        shown_by: What shows it, by strategy.
    """
    records = read_trials(trained, evaluations_path)
    for strategy, metrics in shown_by.items():
        if own := [record for record in records if record.strategy == strategy]:
            matrix = add_confusion_matrices(own)
            classes = matrix.select_classes()
            if left_out := matrix.count_left_out(classes):
                shown = f"the {len(classes)} most confused classes are shown, {left_out:,} more are left out."
                print_line(f"{strategy}: {shown}")
            metrics.log_confusion_matrix([str(label) for label in classes], matrix.to_rows(classes))


def compare_trials(
    run_info_path: Path, trained: Sequence[Path], evaluations_path: Path, outputs: Mapping[str, str]
) -> Analysis:
    """Returns the comparison of all trials, its files written.

    Args:
        run_info_path: The run's `run.json`.
        trained: Folders that hold the folders of trials.
        evaluations_path: The evaluations of their models.
        outputs: Where each file that `compare` writes goes, by its name.
    """
    records = read_trials(trained, evaluations_path)
    failed = [which for _, which in list_left_out(trained)]
    for which in failed:
        print_line(f"Left out: {which['configuration']}, trial {which['trial']}. {which['reason']}")
    run_info = replace(read_run_info(run_info_path), failed_trials=failed or None)
    with tempfile.TemporaryDirectory() as folder:
        comparison = compare(records, run_info, Path(folder))
        for name, path in outputs.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            shutil.move(Path(folder) / name, path)
    return comparison
