"""The test: every trained model on the split that no training has seen."""

from typing import List  # noqa: UP035 - KFP reads typing's List

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def evaluate(
    workspace_path: str,
    run_info: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    baselines: dsl.Input[List[dsl.Model]],  # noqa: UP006
    distributed: dsl.Input[List[dsl.Model]],  # noqa: UP006
    evaluations: dsl.Output[dsl.Dataset],
    single_confusion: dsl.Output[dsl.ClassificationMetrics],
    all_reduce_confusion: dsl.Output[dsl.ClassificationMetrics],
    parameter_server_confusion: dsl.Output[dsl.ClassificationMetrics],
) -> None:
    """Counts what every trained model gets right on the test split.

    Args:
        workspace_path: The run's shared folder.
        run_info: The plan.
        prepared: The prepared data set.
        baselines: The single node's trainings, one folder a trial.
        distributed: The TFJobs' trainings, one folder a trial.

    Returns:
        evaluations: One JSON line a model, each an evaluation.json.
        single_confusion: Confusion matrix of the single node's models.
        all_reduce_confusion: Confusion matrix of the models trained by all-reduce.
        parameter_server_confusion: Confusion matrix of the models trained with parameter servers.
    """
    import json
    from pathlib import Path

    from components.comparison_files import show_confusions
    from components.errors import told_plainly
    from components.planning import RunPlan, list_trials
    from components.trials import note_handed_out
    from model.files import write_atomically

    trained = [Path(model.path) for model in [*baselines, *distributed]]
    shown_by = {
        "single": single_confusion,
        "all_reduce": all_reduce_confusion,
        "parameter_server": parameter_server_confusion,
    }
    with told_plainly():
        note_handed_out(Path(workspace_path))
        plan = RunPlan.read(Path(run_info.path))
        results = plan.program.judge(Path(prepared.path), list_trials(trained))
        write_atomically(Path(evaluations.path), "\n".join(map(json.dumps, results)).encode())
        show_confusions(plan, trained, Path(evaluations.path), shown_by)
