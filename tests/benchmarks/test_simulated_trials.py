from pathlib import Path

import numpy as np
import pytest

from benchmarks.simulated_trials import MESSAGE_BYTES, Truth, describe_simulated_run, simulate_run, simulate_trial
from comparison.audit.findings import list_violations
from comparison.audit.rules import audit_fairness
from comparison.groups import group_trials, split_by_scaling
from comparison.records import format_records, read_records
from comparison.summary import compute_speedups


@pytest.mark.parametrize("scaling", ["strong", "weak"])
@pytest.mark.parametrize("num_workers", [2, 4, 8])
def test_without_noise_a_trial_takes_what_it_costs(scaling: str, num_workers: int) -> None:
    truth = Truth(scaling=scaling)
    generator = np.random.default_rng(0)
    trials = [simulate_trial(truth, count, 0, generator, noise=0.0) for count in (1, num_workers)]

    speedup = compute_speedups(group_trials(trials))[trials[1].configuration]

    images = num_workers if scaling == "weak" else 1
    step = truth.compute(num_workers) + truth.exchange(num_workers, MESSAGE_BYTES)
    # Whole steps only: eight workers make 107 in place of 858 / 8.
    assert speedup.value == pytest.approx(images * truth.step_seconds / step, rel=0.003)


def test_simulated_records_are_records(tmp_path: Path) -> None:
    records = list(simulate_run(24))
    (tmp_path / "trials.jsonl").write_text(format_records(records))

    assert read_records(tmp_path / "trials.jsonl") == records
    assert {record.run_id for record in records} == {describe_simulated_run().run_id}
    assert all(record.confusion and record.confusion.total == record.test_n_examples for record in records)


def test_a_simulated_run_is_a_fair_comparison_of_each_scaling() -> None:
    halves = split_by_scaling(group_trials(simulate_run(24)))

    assert list(halves) == ["strong", "weak"]
    for half in halves.values():
        assert [finding.sentence for finding in list_violations(audit_fairness(half))] == []


def test_one_seed_repeats_the_trials_and_another_one_does_not() -> None:
    first, same, other = (list(simulate_run(8, seed=seed)) for seed in (1, 1, 2))

    assert first == same
    assert first != other
