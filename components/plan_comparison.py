"""First step: check every parameter and write down what will be trained."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def plan_comparison(
    pipeline_job_id: str,
    run_info: dsl.Output[dsl.Artifact],
    image: str,
    dataset: str,
    max_train_images: int,
    model: str,
    model_arguments: str,
    epochs: int,
    global_batch_size: int,
    learning_rate: float,
    target_accuracy: float,
    scaling: str,
    strategies: list[str],
    workers: list[int],
    num_ps: int,
    bigger_nodes: bool,
    trials: int,
    seed: int,
    cpus_per_replica: float,
    memory_per_replica: str,
    gpus_per_replica: int,
    deadline_minutes: int,
    pending_minutes: int,
    job_settings: str,
    keep_failed_jobs: bool,
    study_depth: bool,
) -> list[int]:
    """Checks the parameters and plans the trials, before anything expensive starts.

    Args:
        pipeline_job_id: Identifier of this run.

    Returns:
        run_info: The plan, as run.json.
        Output: The numbers of the rounds, from 1.
    """
    # The other arguments are the fields of `Parameters`, which describes them.
    parameters = {name: value for name, value in locals().items() if name not in ("pipeline_job_id", "run_info")}

    from pathlib import Path

    from components.errors import told_plainly
    from components.parameters import Parameters
    from components.run_plan import list_rounds, name_run, plan_run

    with told_plainly():
        plan = plan_run(name_run(pipeline_job_id), Parameters(**parameters))
        plan.write(Path(run_info.path))
    return list_rounds(plan)
