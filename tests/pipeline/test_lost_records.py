import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from comparison.records import read_records, read_run_info
from tests.pipeline.test_whole_run import ROOT, find_run_dir, start, wait_until_nothing_is_left

pytestmark = pytest.mark.slow

PATIENCE_SECONDS = 1800.0
SERVERS = "parameter-server-1w-1ps"
LACKS = "succeeded, but training.json lacks the record of ps-0: lost in the last second, or unable to write it."
# What a parameter server runs whose node has another volume than the others': whatever it leaves, it leaves elsewhere.
# So it goes to the first attempt at trial 1, and to all at trial 2.
PROGRAM = """#!/bin/sh
case "$TF_CONFIG $*" in
    *'"type": "ps"'*/{servers}-t1\\ * | *'"type": "ps"'*/{servers}-t2*) set -- "$@" --output-dir {elsewhere} ;;
esac
exec {python} "$@"
"""


def test_a_replica_whose_record_is_missing_has_its_trial_repeated_once_and_then_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "python"
    elsewhere = tmp_path / "elsewhere"
    program.write_text(PROGRAM.format(servers=SERVERS, elsewhere=elsewhere, python=sys.executable))
    program.chmod(0o755)
    path = json.dumps({"env": {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"}})
    monkeypatch.setenv("TFJOB_SPEEDUP_JOB_SETTINGS", path)
    options = ("--trials=2", "--epochs=1", "--strategies=parameter_server", "--workers=1")

    with start(tmp_path / "runs", *options) as process:
        output, errors = process.communicate(timeout=PATIENCE_SECONDS)
        assert wait_until_nothing_is_left(tmp_path / "runs") == []

    assert (process.returncode, errors) == (0, ""), output
    assert output.count("only 2 of 3 replicas wrote their record in 30 s") == 3
    assert output.count(f"{LACKS}\n") == 4  # each time, and of the one that is left out once more in the end
    for trial in (1, 2):
        assert output.count(f"== {SERVERS}, trial {trial}, is trained anew from step 0, once") == 1
    told = f"== {SERVERS}, trial 2, is left out: the comparison goes on without it"
    assert [line for line in output.splitlines() if "is left out: " in line] == [told]

    run_dir = find_run_dir(tmp_path / "runs")
    records = {(record.configuration, record.trial): record for record in read_records(run_dir / "trials.jsonl")}
    assert sorted(records) == [(SERVERS, 1), ("single", 1), ("single", 2)]
    (attempt,) = records[SERVERS, 1].earlier_attempts or []
    assert LACKS in attempt["reason"]
    names = [f"{replica.type}-{replica.index}" for replica in records[SERVERS, 1].replicas]
    assert sorted(names) == ["chief-0", "ps-0", "worker-0"]
    (failed,) = read_run_info(run_dir / "run.json").failed_trials or []
    assert (failed["configuration"], failed["trial"]) == (SERVERS, 2)
    assert LACKS in failed["reason"]
    report = (run_dir / "report.html").read_text()
    assert "trial 2 is left out, because its record was not whole even when it was repeated" in report
    assert "every planned trial there" in report
    assert (run_dir / "logs" / SERVERS / "trial-2" / "chief-0.log").exists()
    assert not (run_dir / "models" / SERVERS / "trial-2").exists()

    subprocess.run([sys.executable, "-m", "comparison", run_dir], cwd=ROOT, check=True, timeout=600)
    assert (run_dir / "report.html").read_text() == report
