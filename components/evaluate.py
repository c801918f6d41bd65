"""The test: every trained model on the split that no training has seen."""

from typing import List  # noqa: UP035 - KFP reads typing's List

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def evaluate(
    workspace_path: str,
    prepared: dsl.Input[dsl.Dataset],
    baselines: dsl.Input[List[dsl.Model]],  # noqa: UP006
    distributed: dsl.Input[List[dsl.Model]],  # noqa: UP006
    evaluations: dsl.Output[dsl.Dataset],
) -> None:
    """Counts what every trained model gets right on the test split.

    Args:
        workspace_path: The run's shared folder.
        prepared: The prepared data set.
        baselines: The single node's trainings, one folder a trial.
        distributed: The TFJobs' trainings, one folder a trial.

    Returns:
        evaluations: One JSON line a model, each an evaluation.json.
    """
    import json
    from pathlib import Path

    from components.errors import told_plainly
    from components.finished_trials import note_handed_out
    from components.trial import evaluate_trials

    note_handed_out(Path(workspace_path))
    with told_plainly():
        results = evaluate_trials(Path(prepared.path), [Path(model.path) for model in [*baselines, *distributed]])
    Path(evaluations.path).write_text("\n".join(map(json.dumps, results)), encoding="utf-8")
