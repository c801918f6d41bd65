"""First step: check every parameter and write down what will be trained."""

from typing import NamedTuple

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def plan_comparison(
    pipeline_job_id: str,
    run_info: dsl.Output[dsl.Artifact],
    image: str,
    tfjob: str,
    dataset: str,
    model: str,
    epochs: int,
    global_batch_size: int,
    learning_rate: float,
    target_accuracy: float,
    scaling: str,
    strategies: list[str],
    workers: list[int],
    trials: int,
    cpus_per_replica: float,
    memory_per_replica: str,
    gpus_per_replica: int,
    study_depth: bool,
    settings: str,
) -> NamedTuple(  # type: ignore[valid-type]  # KFP reads it, and ships no class beside the function
    "Planned",
    # KFP's local runner loops over an output of no other name than `Output`.
    [("Output", list[int]), ("seed", int)],
):
    """Checks the parameters and plans the trials, before anything expensive starts.

    Args:
        pipeline_job_id: Identifier of this run.

    Returns:
        run_info: The plan, as run.json.
        Output: The numbers of the iterations that train, from 1.
        seed: What `settings` say of it, for the depth study.
    """
    # The other arguments are the fields of the form; KFP ships this function alone, so they stand here once more.
    form = {name: value for name, value in locals().items() if name not in ("pipeline_job_id", "run_info")}

    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import (
        count_iterations,
        find_room,
        name_run,
        plan_run,
        read_form,
        reveal_all,
    )
    from components.trials import check_machine

    with told_plainly():
        # Whole, where this is the step of a run on this machine: what is doubtful may be hidden of it.
        plan = plan_run(name_run(pipeline_job_id), reveal_all(read_form(form)), find_room)
        check_machine(plan)
        doubts = [f"Warning: {doubt}" for doubt in plan.program.list_doubts()]
        for told in [*doubts, *plan.program.list_remarks(plan.configurations, plan.free_cpus)]:
            print(told)
        plan.write(Path(run_info.path))
    return [*range(1, count_iterations(plan.parameters.trials) + 1)], plan.parameters.seed
