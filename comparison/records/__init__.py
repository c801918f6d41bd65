"""The files of a run and its trials: what they hold, and how each is read or refused."""

from comparison.records.parsing import (
    SCHEMA_VERSION,
    RecordError,
    check_schema_version,
    load_json,
    parse_object,
    read_json_lines,
    read_text,
    write_text,
)
from comparison.records.reading import TRIALS_FILE, assemble_record, format_records, parse_record, read_records
from comparison.records.run import OF_MANIFEST, OF_OWN_LOOP, RUN_FILE, RunInfo, read_run_info
from comparison.records.trial import Collective, Gpu, Misclassified, QuietWait, Replica, TrialRecord

__all__ = [
    "OF_MANIFEST",
    "OF_OWN_LOOP",
    "RUN_FILE",
    "SCHEMA_VERSION",
    "TRIALS_FILE",
    "Collective",
    "Gpu",
    "Misclassified",
    "QuietWait",
    "RecordError",
    "Replica",
    "RunInfo",
    "TrialRecord",
    "assemble_record",
    "check_schema_version",
    "format_records",
    "load_json",
    "parse_object",
    "parse_record",
    "read_json_lines",
    "read_records",
    "read_run_info",
    "read_text",
    "write_text",
]
