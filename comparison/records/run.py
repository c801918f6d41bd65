"""What was planned of a run, as docs/schemas.md defines it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from comparison.records.parsing import check_schema_version, load_json, parse_object, read_text

RUN_FILE = "run.json"
# Parameters that say something of this project's own loop, and nothing of a person's program.
OF_OWN_LOOP = (
    "dataset",
    "max_train_images",
    "model",
    "model_arguments",
    "loss",
    "epochs",
    "learning_rate",
    "target_accuracy",
    "scaling",
    "strategies",
    "same_batch_norm",
    "precision",
    "deterministic",
    "jit_compile",
    "bigger_nodes",
    "a_a",
    "study_depth",
)
# Parameters that a person's manifest says itself.
OF_MANIFEST = ("cpus_per_replica", "memory_per_replica", "gpus_per_replica")


@dataclass(frozen=True)
class RunInfo:
    """What was planned: the contents of `run.json`.

    `free_cpus` are those of the largest single node that there was room for, or null where nobody looked or could see.
    `failed_trials` are those that were left out of the comparison, each with its configuration, trial,
    reason and, in newer files, attempts.
    """

    schema_version: int
    run_id: str
    started_at: float
    parameters: dict[str, Any]
    configurations: list[dict[str, Any]]
    free_cpus: float | None = None
    failed_trials: list[dict[str, Any]] | None = None


def read_run_info(path: Path) -> RunInfo:
    """Returns what `run.json` says about a run.

    Raises:
        RecordError: The file is missing or not of this schema version.
    """
    values = load_json(read_text(path), str(path))
    check_schema_version(values, str(path))
    values.pop("warnings", None)  # that earlier versions wrote, always empty
    return parse_object(RunInfo, values, str(path))
