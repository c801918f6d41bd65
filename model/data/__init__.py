"""Data sets: where they come from, how they are checked, split and kept, and who sees which example when."""

from model.data.arrays import NPZ_FORM
from model.data.batches import BatchPlan
from model.data.dataset import (
    DEFAULT_VALIDATION_FRACTION,
    PARTS,
    SPLITS,
    PreparedDataset,
    Shape,
    Split,
    check_options,
    pick_stratified,
    write_dataset,
)
from model.data.doubts import list_doubts
from model.data.sources import NAMED_DATASETS, Report, check_dataset_name, load_dataset

__all__ = [
    "DEFAULT_VALIDATION_FRACTION",
    "NAMED_DATASETS",
    "NPZ_FORM",
    "PARTS",
    "SPLITS",
    "BatchPlan",
    "PreparedDataset",
    "Report",
    "Shape",
    "Split",
    "check_dataset_name",
    "check_options",
    "list_doubts",
    "load_dataset",
    "pick_stratified",
    "write_dataset",
]
