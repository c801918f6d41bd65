import json
from dataclasses import asdict
from pathlib import Path

import pytest

from benchmarks.measure import describe_run
from comparison.records import RUN_FILE, TRIALS_FILE, format_records
from tests.comparison.record_factory import make_record, make_run_info


@pytest.mark.parametrize(
    ("resumed", "share"), [(False, "67.5%"), (True, "not known, for the run was interrupted and resumed")]
)
def test_a_run_is_described_even_if_its_overhead_is_unknown(resumed: bool, share: str, tmp_path: Path) -> None:
    records = [make_record(evaluated_at=200.0), make_record(trial=1, evaluated_at=476.0, resumed=resumed)]
    (tmp_path / TRIALS_FILE).write_text(format_records(records))
    (tmp_path / RUN_FILE).write_text(json.dumps(asdict(make_run_info(started_at=76.0))))

    text = describe_run(tmp_path)

    assert "\n| single | 2 | 75.0 | 60.0 | 99.00% | 900 |\n" in text
    assert text.endswith(f"\nShare of the run's wall time outside training and evaluation: {share}")
