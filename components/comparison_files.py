"""From the trials' folders to the comparison, and into the artifacts of the last steps."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from kfp import dsl

from comparison.records import read_run_info
from components.planning import Report, RunPlan, list_trials
from components.trials import list_left_out
from model.files import write_atomically
from tfjob.launch import print_line


def show_confusions(
    plan: RunPlan, trained: Sequence[Path], evaluations_path: Path, shown_by: Mapping[str, dsl.ClassificationMetrics]
) -> None:
    """Logs for the dashboard what the models of each strategy take for what; rows are true classes.

    Of many classes it is the most confused ones, so that these metadata stay far below what a server takes.

    Args:
        plan: The run's plan.
        trained: Folders that hold the folders of trials.
        evaluations_path: The evaluations of their models.
        shown_by: What shows it, by strategy.
    """
    matrices = plan.program.add_confusions(list_trials(trained), evaluations_path)
    for strategy in shown_by.keys() & matrices.keys():
        matrix = matrices[strategy]
        classes = matrix.select_classes()
        if left_out := matrix.count_left_out(classes):
            shown = f"the {len(classes)} most confused classes are shown, {left_out:,} more are left out."
            print_line(f"{strategy}: {shown}")
        shown_by[strategy].log_confusion_matrix([str(label) for label in classes], matrix.to_rows(classes))


def compare_trials(
    run_info_path: Path, trained: Sequence[Path], evaluations_path: Path, outputs: Mapping[str, str]
) -> Report:
    """Returns the comparison of all trials, its files written.

    Args:
        run_info_path: The run's `run.json`.
        trained: Folders that hold the folders of trials.
        evaluations_path: The evaluations of their models.
        outputs: Where each file that the comparison writes goes, by its name.
    """
    program = RunPlan.read(run_info_path).program
    failed = [which for _, which in list_left_out(trained)]
    for which in failed:
        print_line(f"Left out: {which['configuration']}, trial {which['trial']}. {which['reason']}")
    run_info = replace(read_run_info(run_info_path), failed_trials=failed or None)
    with tempfile.TemporaryDirectory() as folder:
        report = program.report(run_info, list_trials(trained), evaluations_path, Path(folder))
        for name, path in outputs.items():
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            # Not moved: from another file system that is a copy, of which a full disk leaves the beginning.
            write_atomically(Path(path), (Path(folder) / name).read_bytes())
    return report
