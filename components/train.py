"""The two training steps of the loop: the single node's trainings and the distributed ones, each as a TFJob."""

from kfp import dsl

from components.image import DEFAULT_IMAGE

# What a person sets on a training step goes to the replicas that it launches, rather than to its own pod.
JOB_PASSTHROUGHS = [
    # KFP knows these as one: applied to the step too, each pod that waits for its turn would hold an accelerator. Its
    # CPUs and memory are asked for by KFP's init container in it (0.1 and 256 MiB in KFP 2.17).
    dsl.TaskConfigField.RESOURCES,
    dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
    dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
    dsl.TaskConfigField.KUBERNETES_AFFINITY,
    # The step itself needs these, too: the workspace is among the volumes.
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.KUBERNETES_VOLUMES, apply_to_task=True),
]


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False, task_config_passthroughs=JOB_PASSTHROUGHS)
def train_single_node(
    iteration: int,
    workspace_path: str,
    settings: str,
    tfjob: str,
    run_info: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    trained: dsl.Output[dsl.Model],
    task_config: dsl.TaskConfig,
) -> None:
    """Trains the baseline: one process, no distribution strategy in its code path; and bigger nodes, if planned.

    Args:
        iteration: Iteration of the pipeline's loop, from 1.
        workspace_path: The run's shared folder.
        settings: The form's: `run_info` does not tell the values of the replicas' variables, which may be secret.
        tfjob: The form's, likewise.
        run_info: The plan.
        prepared: The prepared data set.
        task_config: What was set on this step for the jobs that it launches, the workspace's volume among it.

    Returns:
        trained: A folder for each trial, with the model, its records and logs.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import SINGLE_NODE, read_whole_plan
    from components.trials import run_trials

    with told_plainly():
        plan = read_whole_plan(Path(run_info.path), settings, tfjob)
        folders = (Path(prepared.path), Path(workspace_path), Path(trained.path))
        trained.metadata.update(run_trials(plan, SINGLE_NODE, iteration, *folders, task_config))


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False, task_config_passthroughs=JOB_PASSTHROUGHS)
def train_distributed(
    iteration: int,
    workspace_path: str,
    settings: str,
    tfjob: str,
    run_info: dsl.Input[dsl.Artifact],
    prepared: dsl.Input[dsl.Dataset],
    trained: dsl.Output[dsl.Model],
    task_config: dsl.TaskConfig,
) -> None:
    """Trains every distributed configuration as a TFJob, one after another.

    Args:
        iteration: Iteration of the pipeline's loop, from 1.
        workspace_path: The run's shared folder.
        settings: The form's: `run_info` does not tell the values of the replicas' variables, which may be secret.
        tfjob: The form's, likewise.
        run_info: The plan.
        prepared: The prepared data set.
        task_config: What was set on this step for the jobs that it launches, the workspace's volume among it.

    Returns:
        trained: A folder for each trial, with the model, its records and logs.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import DISTRIBUTED, read_whole_plan
    from components.trials import run_trials

    with told_plainly():
        plan = read_whole_plan(Path(run_info.path), settings, tfjob)
        folders = (Path(prepared.path), Path(workspace_path), Path(trained.path))
        trained.metadata.update(run_trials(plan, DISTRIBUTED, iteration, *folders, task_config))
