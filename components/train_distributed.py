"""The distributed configurations of a trial: one TFJob after another."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def train_distributed(
    trial: int,
    workspace_path: str,
    run_info: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    trained: dsl.Output[dsl.Model],
) -> None:
    """Trains every distributed configuration as a TFJob, one after another.

    Args:
        trial: Number of the repeat, from 0.
        workspace_path: The run's shared folder.
        run_info: The plan.
        prepared: The prepared data set.

    Returns:
        trained: A folder for each configuration, with the model, its records and logs.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.run_plan import RunPlan
    from components.trial import run_trials
    from tfjob.launch import choose_backend

    with told_plainly():
        plan = RunPlan.read(Path(run_info.path))
        folders = (Path(prepared.path), Path(workspace_path), Path(trained.path))
        trained.metadata.update(run_trials(plan, plan.distributed, trial, *folders, choose_backend()))
