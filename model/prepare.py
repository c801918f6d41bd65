"""The data preparation program: a name or a file in, a prepared data set out."""

import argparse
import sys
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from model.data import (
    DEFAULT_VALIDATION_FRACTION,
    NAMED_DATASETS,
    NPZ_FORM,
    SPLITS,
    PreparedDataset,
    Report,
    Shape,
    check_options,
    list_doubts,
    load_dataset,
    write_dataset,
)
from model.errors import ConfigError, DatasetError, describe_storage_error, tell
from model.objectives import LOSSES, check_loss_name
from model.streams import replace_unencodable

# Inputs that are told by name and shape.
_MAX_SHOWN = 20


def prepare(
    dataset: str,
    output_dir: Path,
    *,
    validation_fraction: float = DEFAULT_VALIDATION_FRACTION,
    seed: int = 0,
    max_train_images: int | None = None,
    loss: str = "",
    report: Report = print,
) -> PreparedDataset:
    """Fetches, checks, splits and writes a data set, and returns it.

    Args:
        dataset: A name (`mnist`, `fashion_mnist`), or the path or URL of an .npz or of a folder of .npy files.
        output_dir: Where the prepared data set goes; an earlier one there is replaced.
        validation_fraction: Share of the training images that becomes the validation split.
        seed: Decides which images.
        max_train_images: Take no more than so many training examples, validation included, of each class its share.
        loss: What the labels are for: a name of `model.objectives.LOSSES`; nothing leaves that to them.
        report: Takes a line about each thing worth telling.

    Raises:
        DatasetError: The data set cannot be had or used, or an option is out of range.
        ConfigError: The loss is unknown, or does not take such labels.
    """
    check_options(validation_fraction, seed, max_train_images)
    check_loss_name(loss)
    loaded = load_dataset(dataset, loss=loss, report=report)
    for doubt in list_doubts(loaded.arrays):
        report(f"Warning: {doubt}")
    prepared = write_dataset(
        loaded.arrays,
        output_dir,
        name=loaded.name,
        source=loaded.source,
        validation_fraction=validation_fraction,
        seed=seed,
        max_train_images=max_train_images,
    )
    report(_summarize(prepared))
    return prepared


def _summarize(prepared: PreparedDataset) -> str:
    counts = ", ".join(f"{prepared.split(split).count:,} {split}" for split in SPLITS)
    shapes = prepared.input_shape
    if isinstance(shapes, dict):
        shown = [f"{name} {_describe_shape(own)}" for name, own in islice(shapes.items(), _MAX_SHOWN)]
        more = [f"{len(shapes) - _MAX_SHOWN:,} more"] if len(shapes) > _MAX_SHOWN else []
        examples = f"examples of {', '.join([*shown, *more])}"
    else:
        examples = f"{'images' if prepared.is_images else 'examples'} of {_describe_shape(shapes)}"
    labels = {"classes": "classes", "several_hot": "labels, any of them 1", "numbers": "numbers to predict"}
    told = f"{prepared.num_labels} {labels[prepared.label_kind]}"
    return f"{prepared.name}: {counts} {examples}, {told}, in {prepared.directory}"


def _describe_shape(shape: Shape) -> str:
    return " x ".join(map(str, shape))


def build_parser(prog: str) -> argparse.ArgumentParser:
    """Returns the program's command line."""
    parser = argparse.ArgumentParser(prog=prog, description=__doc__)
    parser.add_argument(
        "--dataset", default="mnist", help=f"{', '.join(NAMED_DATASETS)}; or {NPZ_FORM} (default: mnist)"
    )
    parser.add_argument("--output-dir", type=Path, required=True, help="directory to write the prepared data set to")
    parser.add_argument(
        "--validation-fraction",
        type=float,
        default=DEFAULT_VALIDATION_FRACTION,
        help="share of the training images that becomes the validation split (default: %(default).4f)",
    )
    parser.add_argument("--seed", type=int, default=0, help="decides which images those are (default: 0)")
    parser.add_argument("--max-train-images", type=int, help="take no more than so many training images")
    parser.add_argument(
        "--loss", default="", help=f"what the labels are for, of {', '.join(LOSSES)} (default: as the labels are)"
    )
    return parser


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m model.prepare") -> int:
    """Runs the program and returns its exit code: 0, or 2 where something the user gave does not work."""
    replace_unencodable()
    options = build_parser(prog).parse_args(arguments)
    try:
        prepare(
            options.dataset,
            options.output_dir,
            validation_fraction=options.validation_fraction,
            seed=options.seed,
            max_train_images=options.max_train_images,
            loss=options.loss,
        )
    except (ConfigError, DatasetError) as error:
        return tell(error)
    except OSError as error:
        return tell(describe_storage_error(error) or error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
