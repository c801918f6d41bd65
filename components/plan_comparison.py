"""First step: check every parameter and write down what will be trained."""

from typing import List  # noqa: UP035 - KFP reads typing's List

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
    strategies: List[str],  # noqa: UP006
    workers: List[int],  # noqa: UP006
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
) -> List[int]:  # noqa: UP006
    """Checks the parameters and plans the trials, before anything expensive starts.

    Args:
        pipeline_job_id: Identifier of this run.
        image: Image of every step and replica.
        dataset: mnist, fashion_mnist, or the path or URL of an .npz.
        max_train_images: Take no more than so many training images; 0 takes all.
        model: A model's name or the import path of a builder.
        model_arguments: Further arguments of the model's builder, as JSON.
        epochs: Passes over the training images.
        global_batch_size: Images in a step, over all workers.
        learning_rate: Highest learning rate, for the global batch size.
        target_accuracy: Validation accuracy whose time is recorded.
        scaling: strong (one global batch for all), weak (one batch size a worker), or both.
        strategies: all_reduce, parameter_server, or both.
        workers: Numbers of workers to compare.
        num_ps: Parameter servers of each parameter-server training.
        bigger_nodes: Also compare with one node that has the CPUs of all workers.
        trials: Repeats of each configuration.
        seed: Seed of the first trial.
        cpus_per_replica: CPUs of each replica.
        memory_per_replica: Memory of each replica.
        gpus_per_replica: GPUs of each replica.
        deadline_minutes: Longest time of one training.
        pending_minutes: Longest wait of a replica for its node, image and volumes.
        job_settings: Further settings of every TFJob, as JSON.
        keep_failed_jobs: Leave a TFJob that failed in the cluster, for inspection.
        study_depth: Also train residual and plain networks of 20 and 56 layers.

    Returns:
        run_info: The plan, as run.json.
        Output: The numbers of the trials, from 1.
    """
    parameters = {name: value for name, value in locals().items() if name not in ("pipeline_job_id", "run_info")}

    from pathlib import Path

    from components.errors import told_plainly
    from components.run_plan import name_run, plan_run
    from components.trial import check_machine

    with told_plainly():
        plan = plan_run(name_run(pipeline_job_id), parameters)
        check_machine(plan)
        plan.write(Path(run_info.path))
    return [*range(1, trials + 1)]
