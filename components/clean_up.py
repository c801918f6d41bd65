"""Exit handler: whatever became of the run, none of its TFJobs stays."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def clean_up(pipeline_job_id: str, settings: str) -> None:
    """Deletes the run's TFJobs that are still there: a step that is terminated has no time to do so itself.

    Args:
        pipeline_job_id: Identifier of this run.
    """
    from components.errors import told_plainly
    from components.form import keeps_failed_jobs
    from components.run_plan import name_run
    from tfjob.launch import delete_jobs

    with told_plainly():
        delete_jobs(name_run(pipeline_job_id), keep_failed=keeps_failed_jobs(settings))
