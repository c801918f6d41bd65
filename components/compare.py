"""Last step: from the records to the table, the report and the answer."""

from typing import List  # noqa: UP035 - KFP reads typing's List

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def compare(
    run_info: dsl.Input[dsl.Artifact],
    baselines: dsl.Input[List[dsl.Model]],  # noqa: UP006
    distributed: dsl.Input[List[dsl.Model]],  # noqa: UP006
    evaluations: dsl.Input[dsl.Dataset],
    report: dsl.Output[dsl.HTML],
    summary: dsl.Output[dsl.Markdown],
    metrics: dsl.Output[dsl.Metrics],
    table: dsl.Output[dsl.Dataset],
    trials: dsl.Output[dsl.Dataset],
    recommendation: dsl.Output[dsl.Artifact],
) -> None:
    """Compares all trials: does distributing pay off, by how much?

    Args:
        run_info: The plan.
        baselines: The single node's trainings, one folder a trial.
        distributed: The TFJobs' trainings, one folder a trial.
        evaluations: One JSON line a model.

    Returns:
        report: The report, one self-contained page.
        summary: The answer and the table.
        metrics: Speedups and test accuracies.
        table: comparison.csv, one row a configuration.
        trials: trials.jsonl, one record a trial.
        recommendation: recommendation.json, the answer for programs.
    """
    from pathlib import Path

    from components.comparison_files import compare_trials
    from components.errors import told_plainly

    folders = [Path(model.path) for model in [*baselines, *distributed]]
    artifacts = {
        "report.html": report,
        "comparison.md": summary,
        "comparison.csv": table,
        "trials.jsonl": trials,
        "recommendation.json": recommendation,
    }
    outputs = {name: artifact.path for name, artifact in artifacts.items()}
    with told_plainly():
        comparison = compare_trials(Path(run_info.path), folders, Path(evaluations.path), outputs)
    for name, value in comparison.metrics.items():
        metrics.log_metric(name, value)
    # The answer comes last; after it KFP logs the metadata of all outputs, so they are few here.
    print(f"\n{comparison.terminal_table()}\n\n{comparison.answer()}")
