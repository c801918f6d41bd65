"""Second step: fetch, check and split the data."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def prepare_data(dataset: str, run_info: dsl.Input[dsl.Artifact], prepared: dsl.Output[dsl.Dataset]) -> None:
    """Fetches and checks the data set, splits it into training, validation and test, and writes plain arrays.

    Args:
        run_info: The plan.

    Returns:
        prepared: The prepared data set, a folder.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import RunPlan, reveal

    with told_plainly():
        program = RunPlan.read(Path(run_info.path)).program  # the plan does not tell what is secret in a URL
        prepared.metadata.update(program.prepare(reveal("dataset", dataset), Path(prepared.path)))
