"""Exit handler: whatever became of the run, none of its TFJobs stays, and no finished trial is lost."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def clean_up(pipeline_job_id: str, settings: str, workspace_path: str, finished: dsl.Output[dsl.Artifact]) -> None:
    """Deletes the run's TFJobs that are still there: a step that is terminated has no time to do so itself.

    Args:
        pipeline_job_id: Identifier of this run.
        workspace_path: The run's shared folder.

    Returns:
        finished: A folder for each finished trial of a run that broke off, for a step that fails stores nothing.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import keeps_failed_jobs, name_run
    from components.trials import hand_out_finished
    from tfjob.errors import TFJobError
    from tfjob.launch import delete_jobs

    with told_plainly():
        number = 0
        try:
            number = hand_out_finished(Path(workspace_path), Path(finished.path))
        finally:  # where there is no room for them, too: a job that waits for its node would wait for ever
            try:
                delete_jobs(name_run(pipeline_job_id), keep_failed=keeps_failed_jobs(settings))
            except TFJobError as error:
                if not number:  # KFP stores nothing of a step that fails: no trial is given for a job
                    raise
                print(f"Warning: {error}")
    if number:
        print(f"The run broke off: {number} finished trial(s) are in the artifact `finished`")
