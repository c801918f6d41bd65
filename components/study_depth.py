"""An optional step: why residual networks, shown on the run's own data."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def study_depth(
    prepared: dsl.Input[dsl.Dataset], seed: int, page: dsl.Output[dsl.HTML], study: dsl.Output[dsl.Dataset]
) -> None:
    """Trains residual and plain networks of 20 and 56 layers alike, and measures their gradients before that.

    Args:
        prepared: The prepared data set.

    Returns:
        page: The study, one self-contained page.
        study: depth_study.json, everything that was measured.
    """
    from pathlib import Path

    from comparison.depth_study import read_study, render_study, state_losses
    from components.errors import told_plainly
    from model.depth_study import StudyConfig, measure_study, write_study
    from model.files import write_atomically

    with told_plainly():
        write_study(measure_study(Path(prepared.path), StudyConfig(seed=seed)), Path(study.path))
        measured = read_study(Path(study.path))
        write_atomically(Path(page.path), render_study(measured).encode())
    print(state_losses(measured))
