import pytest

from comparison.groups import (
    add_confusion_matrices,
    average_rounds,
    count_rounds,
    find_baseline,
    find_work_differences,
    group_trials,
    split_by_scaling,
)
from comparison.records import RecordError
from comparison.summary import compute_speedups, summarize
from tests.comparison.record_factory import make_record, make_run_of_both


def test_rows_are_the_baseline_then_strategy_workers_and_servers() -> None:
    names = ["parameter-server-2w-2ps", "all-reduce-10w", "parameter-server-2w-1ps", "all-reduce-2w", "single"]

    groups = group_trials([make_record(name) for name in ["single-2cpu", *names]])

    assert list(groups) == [
        "single",
        "single-2cpu",
        "all-reduce-2w",
        "all-reduce-10w",
        "parameter-server-2w-1ps",
        "parameter-server-2w-2ps",
    ]


def test_a_trial_that_is_there_twice_is_refused() -> None:
    with pytest.raises(RecordError, match=r"recorded once. Received more than once: \[\('run-1', 'single', 0\)\]"):
        summarize(group_trials([make_record("single"), make_record("single")]))


def test_the_scaling_of_trials_with_several_workers_is_one() -> None:
    with pytest.raises(RecordError, match=r"All trials of all-reduce-2w must have the same scaling"):
        summarize(group_trials([make_record("all-reduce-2w"), make_record("all-reduce-2w", trial=1, scaling="weak")]))
    assert [row.trials for row in summarize(group_trials([make_record(), make_record(trial=1, scaling="weak")]))] == [2]


def test_weak_scaling_of_another_batch_a_worker_has_no_speedup() -> None:
    records = [make_record("single"), make_record("all-reduce-2w-weak", per_replica_batch_size=64)]
    groups = group_trials(records)

    assert compute_speedups(groups).keys() == {"single"}
    assert find_work_differences(groups["single"], groups["all-reduce-2w-weak"]) == {
        "per_replica_batch_size": "128 (single), 64 (all-reduce-2w-weak)"
    }


def test_what_trained_with_one_worker_passes_for_a_trial_of_each_scaling() -> None:
    halves = split_by_scaling(group_trials([*make_run_of_both(), make_record("all-reduce-1w")]))

    assert [own.keys() & {"single", "all-reduce-1w"} for own in halves.values()] == [{"single", "all-reduce-1w"}] * 2
    assert [{trial.scaling for own in half.values() for trial in own} for half in halves.values()] == [
        {"strong"},
        {"weak"},
    ]


def test_a_name_stands_for_one_configuration() -> None:
    with pytest.raises(RecordError, match=r"All trials of single must have the same cpus_per_replica"):
        summarize(group_trials([make_record("single"), make_record("single", trial=1, cpus_per_replica=2.0)]))


def test_no_records_make_no_table() -> None:
    with pytest.raises(RecordError, match="at least one trial"):
        summarize(group_trials([]))


def test_the_baseline_has_as_many_cpus_as_a_replica() -> None:
    groups = group_trials(
        [
            make_record("single"),
            make_record("single-2cpu"),
            make_record("all-reduce-2w", cpus_per_replica=2.0),
            make_record("all-reduce-4w", cpus_per_replica=4.0),
        ]
    )

    assert find_baseline(groups, "single") is groups["single"]
    assert find_baseline(groups, "single-2cpu") is groups["single"]
    assert find_baseline(groups, "all-reduce-2w") is groups["single-2cpu"]
    assert find_baseline(groups, "all-reduce-4w") is None


def test_confusion_matrices_add_up() -> None:
    trials = [make_record(n_correct=2990), make_record(trial=1, n_correct=2980)]

    matrix = add_confusion_matrices(trials)

    assert matrix is not None
    assert matrix.to_rows() == [[1970, 30, 0], [0, 2000, 0], [0, 0, 2000]]


def test_confusion_matrices_of_different_sizes_add_up() -> None:
    trials = [make_record(n_correct=2990), make_record(trial=1, confusion_matrix=[[5]])]

    matrix = add_confusion_matrices(trials)

    assert matrix is not None
    assert matrix.to_rows() == [[995, 10, 0], [0, 1000, 0], [0, 0, 1000]]


def test_two_baselines_of_a_round_are_one_value_their_mean() -> None:
    trials = [make_record(trial=trial, train_seconds=60.0 + trial, round=min(trial, 2)) for trial in (1, 3, 2)]

    assert average_rounds(trials, lambda trial: trial.train_seconds) == {("run-1", 1): 61.0, ("run-1", 2): 62.5}
    assert count_rounds(trials) == 2


def test_a_record_without_a_round_was_of_the_round_that_its_number_says() -> None:
    trials = [make_record(trial=2), make_record(trial=1), make_record(trial=1, run_id="run-2")]

    assert [*average_rounds(trials, lambda trial: trial.trial)] == [("run-1", 1), ("run-1", 2), ("run-2", 1)]
