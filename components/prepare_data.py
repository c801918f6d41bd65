"""Second step: fetch, check and split the data."""

from kfp import dsl

from components.image import DEFAULT_IMAGE


@dsl.component(base_image=DEFAULT_IMAGE, install_kfp_package=False)
def prepare_data(dataset: str, max_train_images: int, loss: str, prepared: dsl.Output[dsl.Dataset]) -> None:
    """Fetches and checks the data set, splits it into training, validation and test, and writes plain arrays.

    Returns:
        prepared: The prepared data set, a folder.
    """
    from pathlib import Path

    from components.errors import told_plainly
    from components.planning import reveal
    from model.prepare import prepare

    with told_plainly():
        whole = reveal("dataset", dataset)
        data = prepare(whole, Path(prepared.path), max_train_images=max_train_images or None, loss=loss)
    known = {key: data.manifest[key] for key in ("name", "source", "sha256", "num_classes")}
    prepared.metadata.update({key: value for key, value in known.items() if value is not None})
