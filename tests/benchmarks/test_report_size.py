from pathlib import Path

from benchmarks.report_size import LIMITS, Size, write_run
from comparison.records import RUN_FILE, TRIALS_FILE, read_records, read_run_info


def test_a_run_of_so_many_trials_is_written_as_a_run_leaves_it(tmp_path: Path) -> None:
    write_run(tmp_path, 17)

    records = read_records(tmp_path / TRIALS_FILE)
    assert len({(record.configuration, record.trial) for record in records}) == 17
    assert read_run_info(tmp_path / RUN_FILE).run_id == records[0].run_id


def test_a_report_that_takes_longer_or_more_memory_than_it_may_is_told() -> None:
    size = Size(10_000, 60.0, 10**9, 1, 1)

    assert {60, 10_000} == LIMITS.keys()
    assert size.is_within_limits
    assert not size._replace(seconds=60.1).is_within_limits
    assert not size._replace(peak_rss_bytes=10**9 + 1).is_within_limits
    assert not Size(60, 5.1, 1, 1, 1).is_within_limits
    assert Size(7, 1000.0, 10**12, 1, 1).is_within_limits
