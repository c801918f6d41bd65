"""The pipeline: what runs, in what order, with which parameters."""

from typing import List  # noqa: UP035 - KFP reads typing's List

from kfp import dsl

from components.clean_up import clean_up
from components.compare import compare
from components.evaluate import evaluate
from components.image import DEFAULT_IMAGE
from components.plan_comparison import plan_comparison
from components.prepare_data import prepare_data
from components.study_depth import study_depth as study_depth_step
from components.train import train_distributed, train_single_node

WORKSPACE = dsl.WorkspaceConfig(
    size="2Gi",
    kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch={"accessModes": ["ReadWriteMany"]}),
)


@dsl.pipeline(
    name="tfjob-speedup",
    description="Does distributing my TensorFlow training pay off here, by how much, and from how many workers on?",
    pipeline_config=dsl.PipelineConfig(workspace=WORKSPACE),
)
def speedup_pipeline(
    image: str = DEFAULT_IMAGE,
    dataset: str = "mnist",
    max_train_images: int = 0,
    model: str = "resnet8",
    model_arguments: str = "{}",
    epochs: int = 2,
    global_batch_size: int = 128,
    learning_rate: float = 0.2,
    target_accuracy: float = 0.98,
    scaling: str = "strong",
    strategies: List[str] = ["all_reduce", "parameter_server"],  # noqa: B006, UP006
    workers: List[int] = [2],  # noqa: B006, UP006
    num_ps: int = 1,
    bigger_nodes: bool = False,
    trials: int = 3,
    seed: int = 0,
    cpus_per_replica: float = 1.0,
    memory_per_replica: str = "2Gi",
    gpus_per_replica: int = 0,
    deadline_minutes: int = 60,
    pending_minutes: int = 10,
    job_settings: str = "{}",
    keep_failed_jobs: bool = False,
    study_depth: bool = False,
) -> None:
    """Trains the same model on the same data on a single node and as TFJobs, and compares time and accuracy.

    Args:
        image: Image of every step and replica.
        dataset: mnist, fashion_mnist, or the path or URL of an .npz with x_train, y_train, x_test and y_test.
        max_train_images: Take no more than so many training images; 0 takes all.
        model: A model's name (resnet8, 14, 20, 32, 44, 56, 110; plain8, …) or the import path of a builder.
        model_arguments: Further arguments of the model's builder, as JSON.
        epochs: Passes over the training images.
        global_batch_size: Images in a step, over all workers; every number of workers must divide it.
        learning_rate: Highest learning rate, for the global batch size.
        target_accuracy: Validation accuracy whose time is recorded; 0 for none.
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
        pending_minutes: Longest wait of a replica for its node, image and volumes; waiting in a queue does not count.
        job_settings: Further settings of every TFJob, as JSON: queue_name, node_selector, tolerations, …
        keep_failed_jobs: Leave a TFJob that failed in the cluster, for inspection.
        study_depth: Also train residual and plain networks of 20 and 56 layers, on a page of their own: why ResNet.
    """
    last = clean_up(pipeline_job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, keep_failed_jobs=keep_failed_jobs)
    with dsl.ExitHandler(last, name="comparison"):
        plan = plan_comparison(
            pipeline_job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
            image=image,
            dataset=dataset,
            max_train_images=max_train_images,
            model=model,
            model_arguments=model_arguments,
            epochs=epochs,
            global_batch_size=global_batch_size,
            learning_rate=learning_rate,
            target_accuracy=target_accuracy,
            scaling=scaling,
            strategies=strategies,
            workers=workers,
            num_ps=num_ps,
            bigger_nodes=bigger_nodes,
            trials=trials,
            seed=seed,
            cpus_per_replica=cpus_per_replica,
            memory_per_replica=memory_per_replica,
            gpus_per_replica=gpus_per_replica,
            deadline_minutes=deadline_minutes,
            pending_minutes=pending_minutes,
            job_settings=job_settings,
            keep_failed_jobs=keep_failed_jobs,
            study_depth=study_depth,
        )
        data = prepare_data(dataset=dataset, max_train_images=max_train_images).after(plan)
        # One round after another: every round trains each configuration once, so that drift hits all alike.
        with dsl.ParallelFor(plan.outputs["Output"], name="trials", parallelism=1) as trial:
            inputs = {
                "trial": trial,
                "workspace_path": dsl.WORKSPACE_PATH_PLACEHOLDER,
                "run_info": plan.outputs["run_info"],
                "prepared": data.outputs["prepared"],
            }
            single = train_single_node(**inputs)
            distributed = train_distributed(**inputs).after(single)
        evaluated = evaluate(
            prepared=data.outputs["prepared"],
            baselines=dsl.Collected(single.outputs["trained"]),  # the compiler changes it: one for each consumer
            distributed=dsl.Collected(distributed.outputs["trained"]),
        )
        compared = compare(
            run_info=plan.outputs["run_info"],
            baselines=dsl.Collected(single.outputs["trained"]),
            distributed=dsl.Collected(distributed.outputs["trained"]),
            evaluations=evaluated.outputs["evaluations"],
        )
        with dsl.If(study_depth == True, name="why-resnet"):  # noqa: E712 - KFP makes a condition of the comparison
            # Last, so that it never runs beside a timed trial.
            studied = study_depth_step(prepared=data.outputs["prepared"], seed=seed).after(compared)
    for task in (plan, data, single, distributed, evaluated, compared, studied, last):
        task.set_container_image(image)
        task.set_caching_options(enable_caching=task is data)  # a timed step is never answered from a cache
