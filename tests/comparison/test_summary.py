from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from comparison.groups import find_work_differences, group_trials
from comparison.records import TrialRecord
from comparison.statistics import Ratio, count_trials_to_find
from comparison.summary import (
    COLUMNS,
    compute_robust_speedups,
    compute_speedups,
    compute_undisturbed_speedups,
    compute_whole_job_speedups,
    count_trials_needed,
    estimate_trial_noise,
    find_disagreeing,
    find_outlying_trials,
    find_possibly_fastest,
    split_rows,
    summarize,
)
from tests.comparison.record_factory import make_record, make_run, make_run_of_both


def test_the_order_of_the_records_does_not_matter() -> None:
    assert summarize(group_trials(make_run())) == summarize(group_trials(reversed(make_run())))


def test_every_figure_of_a_row_is_that_of_its_records() -> None:
    records = make_run()
    base = [record for record in records if record.configuration == "single"]
    own = [record for record in records if record.configuration == "parameter-server-2w-1ps"]
    row = summarize(group_trials(records))[2]

    def t_half_width(values: list[float]) -> float:
        return float(stats.t.interval(0.95, len(values) - 1, 0, stats.sem(values))[1])

    def mean(read: Callable[[TrialRecord], float]) -> float:
        return float(np.mean([read(record) for record in own]))

    base_seconds, own_seconds = np.array([[r.train_seconds for r in group] for group in (base, own)])
    # Contended, and so with a noise of its own: the paired t-test at the level of two comparisons.
    differences = np.log(base_seconds) - np.log(own_seconds)
    factor = np.exp(stats.t.ppf((1 + 0.95 ** (1 / 2)) / 2, 1) * stats.sem(differences))
    speedup = base_seconds.mean() / own_seconds.mean()
    expected = {
        "configuration": "parameter-server-2w-1ps",
        "strategy": "parameter_server",
        "scaling": "strong",
        "num_workers": 2,
        "num_ps": 1,
        "cpus_per_replica": 1.0,
        "global_batch_size": 128,
        "trials": 2,
        "images_per_second": mean(lambda record: record.images_per_second),
        "images_per_second_ci95": t_half_width([record.images_per_second for record in own]),
        "train_seconds": 90.5,
        "train_seconds_ci95": t_half_width([90.0, 91.0]),
        "startup_seconds": 5.0,
        "total_seconds": 105.5,
        "test_accuracy": (2965 + 2970) / 6000,
        "test_accuracy_ci95": t_half_width([2965 / 3000, 2970 / 3000]),
        "seconds_to_target": 45.0,
        "trials_reaching_target": 1,
        "speedup": speedup,
        "speedup_ci95_low": speedup / factor,
        "speedup_ci95_high": speedup * factor,
        "scaling_efficiency": speedup / 2,
        "cpu_seconds": np.mean([3 * (10 + 90 / 2), 3 * (10 + 91 / 2)]),
        "peak_rss_bytes": 900 * 2**20 + 1,
    }

    assert list(expected) == list(COLUMNS)
    assert {name: getattr(row, name) for name in list(COLUMNS)[:3]} == {
        name: expected[name] for name in list(COLUMNS)[:3]
    }
    assert [getattr(row, name) for name in COLUMNS[3:]] == pytest.approx([expected[name] for name in COLUMNS[3:]])


def test_the_baseline_is_one_by_definition_and_without_an_interval() -> None:
    row = summarize(group_trials(make_run()))[0]

    assert (row.speedup, row.scaling_efficiency) == (1, 1)
    assert row.speedup_ci95_low is None
    assert row.speedup_ci95_high is None


def test_single_trials_have_no_intervals() -> None:
    row = summarize(group_trials(make_run()[:2]))[1]

    assert row.speedup == pytest.approx(60 / 36)
    assert all(getattr(row, name) is None for name in COLUMNS if "_ci95" in name)


def test_a_target_nobody_reached_has_no_time() -> None:
    row = summarize(group_trials([make_record(seconds_to_target=None)]))[0]

    assert row.seconds_to_target is None
    assert row.trials_reaching_target == 0


def test_weak_scaling_compares_throughputs() -> None:
    records = [
        make_record("single", scaling="weak", images_per_second=1000.0),
        make_record(
            "all-reduce-2w", scaling="weak", images_per_second=1500.0, images_seen=2, per_replica_batch_size=128
        ),
    ]

    row = summarize(group_trials(records))[1]

    assert (row.speedup, row.scaling_efficiency) == (1.5, 0.75)


@pytest.mark.parametrize(
    ("change", "received"),
    [
        ({"images_seen": 5}, "109,824 (single), 5 (all-reduce-2w)"),
        ({"global_batch_size": 256}, "128 (single), 256 (all-reduce-2w)"),
        ({"dataset_sha256": "e"}, f"'{64 * 'd'}' (single), 'e' (all-reduce-2w)"),
        ({"model": "resnet20"}, "'resnet8' (single), 'resnet20' (all-reduce-2w)"),
    ],
)
def test_trials_that_did_other_work_have_no_speedup_but_all_other_figures(
    change: dict[str, Any], received: str
) -> None:
    records = [make_record("single"), make_record("all-reduce-2w", **change), make_record("all-reduce-4w")]
    groups = group_trials(records)

    baseline, other, same = summarize(group_trials(records))

    assert (baseline.speedup, other.ratio, same.speedup) == (1, None, 1)
    assert other.scaling_efficiency is None
    assert other.train_seconds == 60
    differences = find_work_differences(groups["single"], groups["all-reduce-2w"])
    assert differences[next(iter(change))] == received


def test_a_configuration_that_mixes_work_has_no_speedup_and_no_say_in_the_noise() -> None:
    quiet = [make_record(name, trial, 60.0 + trial) for name in ("single", "all-reduce-2w") for trial in range(2)]
    mixed = [make_record("all-reduce-4w", trial, 20.0 + 30 * trial, images_seen=trial) for trial in range(2)]
    groups = group_trials([*quiet, *mixed])

    assert compute_speedups(groups).keys() == {"single", "all-reduce-2w"}
    assert estimate_trial_noise(groups) == estimate_trial_noise(group_trials(quiet))


def test_the_interval_of_the_whole_job_is_that_of_its_own_clock() -> None:
    seconds = {"single": (70.0, 71.0), "all-reduce-2w": (50.0, 50.5)}
    groups = group_trials(
        [
            make_record(name, trial, own, total_seconds=own)
            for name, values in seconds.items()
            for trial, own in enumerate(values)
        ]
    )

    assert compute_whole_job_speedups(groups) == compute_speedups(groups)


def test_the_more_trials_scatter_the_more_are_needed() -> None:
    def scatter(deviation: float) -> dict[str, list[TrialRecord]]:
        return group_trials(
            make_record(name, trial, seconds * (1 + deviation * (trial - 1) * sign))
            for name, seconds, sign in (("single", 60.0, 1), ("all-reduce-2w", 40.0, -1), ("all-reduce-4w", 30.0, 1))
            for trial in range(3)
        )

    needed = [count_trials_needed(scatter(deviation)) for deviation in (0.005, 0.03, 0.06)]

    assert needed == [3, count_trials_to_find(float(estimate_trial_noise(scatter(0.03)).relative_sd), 3), needed[2]]
    assert needed[2] is not None
    assert needed[1] is not None
    assert 3 < needed[1] < needed[2]
    assert count_trials_needed(group_trials([make_record(), make_record("all-reduce-2w")])) is None
    assert count_trials_needed(group_trials([make_record(), make_record(trial=1)])) is None


@pytest.mark.parametrize("changes", [{}, {"scaling": "weak", "per_replica_batch_size": 128}])
def test_an_outlying_trial_is_found_by_its_clock(changes: dict[str, Any]) -> None:
    records = [
        make_record(name, trial, base * factor, **changes)
        for name, base in (("single", 60.0), ("all-reduce-2w", 40.0), ("all-reduce-4w", 30.0))
        for trial, factor in enumerate((1.0, 1.01, 0.7 if name == "all-reduce-2w" else 1.005))
    ]

    outliers = find_outlying_trials(group_trials(records))

    assert [(own.trial.configuration, own.trial.trial) for own in outliers] == [("all-reduce-2w", 2)]
    assert outliers[0].factor == pytest.approx(0.7, rel=0.02)


def test_a_run_of_both_scalings_has_the_rows_of_strong_scaling_before_those_of_weak() -> None:
    table = summarize(group_trials(make_run_of_both()))

    assert [row.configuration for row in table] == [
        "single",
        "all-reduce-2w",
        "parameter-server-2w-1ps",
        "all-reduce-2w-weak",
        "all-reduce-4w-weak",
    ]
    assert [row.scaling for row in table] == ["strong"] * 3 + ["weak"] * 2


def test_each_kind_of_scaling_is_a_table_of_its_own_with_the_baseline_in_both() -> None:
    tables = split_rows(summarize(group_trials(make_run_of_both())))

    assert {scaling: [row.configuration for row in table] for scaling, table in tables.items()} == {
        "strong": ["single", "all-reduce-2w", "parameter-server-2w-1ps"],
        "weak": ["single", "all-reduce-2w-weak", "all-reduce-4w-weak"],
    }
    assert list(split_rows(summarize(group_trials(make_run())))) == ["strong"]
    assert list(split_rows(summarize(group_trials([make_record(scaling="weak")])))) == ["weak"]


def test_the_strong_half_of_both_scalings_is_what_strong_scaling_alone_gives() -> None:
    tables = split_rows(summarize(group_trials(make_run_of_both())))

    assert tables["strong"] == summarize(group_trials(make_run()))


def test_the_weak_half_of_both_scalings_is_what_weak_scaling_alone_gives() -> None:
    records = make_run_of_both()
    alone = [replace(own, scaling="weak") for own in records if own.strategy == "single" or own.scaling == "weak"]
    tables = split_rows(summarize(group_trials(records)))

    assert tables["weak"][1:] == summarize(group_trials(alone))[1:]
    assert compute_whole_job_speedups(group_trials(records)).keys() == {
        row.configuration for row in summarize(group_trials(records))
    }


def test_the_efficiency_of_weak_scaling_is_the_ratio_of_throughputs_over_the_workers() -> None:
    rows = {row.configuration: row for row in summarize(group_trials(make_run_of_both()))}
    own, base = (rows[name].images_per_second for name in ("all-reduce-4w-weak", "single"))
    assert own is not None
    assert base is not None
    ratio = own / base

    assert rows["all-reduce-4w-weak"].speedup == pytest.approx(ratio)
    assert rows["all-reduce-4w-weak"].scaling_efficiency == pytest.approx(ratio / 4)


def test_runs_can_be_joined() -> None:
    table = summarize(
        group_trials([*make_run(), *(make_record("single", run_id=run_id) for run_id in ("run-2", "run-3"))])
    )

    assert [row.trials for row in table] == [4, 2, 2]


def test_without_a_baseline_there_is_no_speedup() -> None:
    row = summarize(group_trials([make_record("all-reduce-2w")]))[0]

    assert row.ratio is None
    assert row.scaling_efficiency is None


def make_mirrored_run() -> list[TrialRecord]:
    """Returns three rounds of two configurations; the last one has the baseline at both ends."""
    seconds = [("single", 1, 1, 60.0), ("single", 2, 2, 62.0), ("single", 3, 3, 61.0), ("single", 4, 3, 65.0)]
    seconds += [("all-reduce-2w", trial, trial, own) for trial, own in ((1, 40.0), (2, 41.0), (3, 42.0))]
    seeded = {1: 2970, 2: 2974, 3: 2960}
    return [
        make_record(name, trial, own, seeded[turn], round=turn, seed=turn, weights_sha256=f"{turn}")
        for name, trial, turn, own in seconds
    ]


def test_means_speedups_and_accuracies_are_over_rounds() -> None:
    groups = group_trials(make_mirrored_run())
    single, double = summarize(groups)
    values = np.array([[60.0, 62.0, 63.0], [40.0, 41.0, 42.0]])

    assert (single.trials, double.trials) == (4, 3)
    assert single.train_seconds == pytest.approx(values[0].mean())
    assert single.train_seconds_ci95 == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(values[0]))
    assert double.speedup == pytest.approx(values[0].mean() / values[1].mean())
    assert single.test_accuracy == double.test_accuracy == pytest.approx((2970 + 2974 + 2960) / 9000)
    assert single.test_accuracy_ci95 == double.test_accuracy_ci95
    assert single.total_seconds == pytest.approx(values[0].mean() + 15)
    assert single.seconds_to_target == pytest.approx(values[0].mean() / 2)
    assert estimate_trial_noise(groups)[1:] == (2, True, 2, (0.5,))


def test_of_a_round_with_two_baselines_the_one_that_is_off_is_noted() -> None:
    records = [
        make_record(name, trial, seconds * factor, round=min(trial, 5))
        for name, seconds in (("single", 60.0), ("all-reduce-2w", 40.0), ("all-reduce-4w", 30.0))
        for trial, factor in ((1, 1.0), (2, 1.01), (3, 0.99), (4, 1.005), (5, 1.0))
    ]
    outliers = find_outlying_trials(group_trials([*records, make_record("single", 6, 120.0, round=5)]))

    assert [(own.trial.configuration, own.trial.trial) for own in outliers] == [("single", 6)]
    assert outliers[0].factor > 1.3


def test_a_slow_trial_moves_the_mean_and_not_the_median_of_the_rounds() -> None:
    seconds = {"single": [60.0, 61.0, 60.5], "all-reduce-2w": [40.0, 40.5, 55.0]}
    groups = group_trials(
        make_record(name, trial, own) for name, all_ in seconds.items() for trial, own in enumerate(all_)
    )
    robust, speedups = compute_robust_speedups(groups), compute_speedups(groups)

    assert robust == {"all-reduce-2w": Ratio(60.0 / 40.0)}
    assert find_disagreeing(speedups, robust) == robust
    assert find_disagreeing(robust, {"all-reduce-2w": Ratio(1.5 * 1.029), "single": Ratio(3.0)}) == {}
    few = {name: own[:2] for name, own in groups.items()}
    assert compute_robust_speedups(few) == {}


def wait(record: TrialRecord, *seconds: float | None) -> TrialRecord:
    pairs = zip(record.replicas, seconds, strict=True)
    return replace(record, replicas=[replace(own, waited_seconds=waited) for own, waited in pairs])


def test_what_a_trial_waited_beyond_its_configurations_own_floor_is_taken_from_its_time() -> None:
    single = [wait(make_record("single", trial, own), own / 10) for trial, own in ((1, 60.0), (2, 61.0))]
    # A replica waits for half of its time anyway; in the second trial one of them for 15 s more of 45 s.
    double = [
        wait(make_record("all-reduce-2w", 1, 30.0), 15.0, 14.0),
        wait(make_record("all-reduce-2w", 2, 45.0), 22.5, 37.5),
    ]
    undisturbed = compute_undisturbed_speedups(group_trials([*single, *double]))

    assert undisturbed["all-reduce-2w"].value == pytest.approx((60 + 61) / (30 + (45 - 15)))
    assert undisturbed["single"] == Ratio(1.0)
    unknown = [*single, *double[:1], wait(double[1], None, 37.5)]
    assert compute_undisturbed_speedups(group_trials(unknown)) == {}


def test_those_that_cannot_be_told_from_the_fastest_may_all_be_it() -> None:
    seconds = {"single": 60.0, "all-reduce-2w": 40.0, "all-reduce-4w": 40.1, "parameter-server-2w-1ps": 50.0}
    noise = [[0.999, 1.0, 1.001], [1.0, 1.001, 0.999], [1.001, 0.999, 1.0], [0.999, 1.001, 1.0]]
    groups = group_trials(
        make_record(name, trial, own * factor)
        for (name, own), factors in zip(seconds.items(), noise, strict=True)
        for trial, factor in enumerate(factors)
    )

    assert find_possibly_fastest(groups) == ["all-reduce-2w", "all-reduce-4w"]
    assert find_possibly_fastest(groups, {"single", "parameter-server-2w-1ps"}) == ["parameter-server-2w-1ps"]
    assert find_possibly_fastest(groups, ()) == []
    one_trial = {name: own[:1] for name, own in groups.items()}
    assert find_possibly_fastest(one_trial) == [*groups]


def test_the_promise_counts_the_comparisons_of_contended_rows_too() -> None:
    def scatter(*, contended: bool) -> dict[str, list[TrialRecord]]:
        names = {"single": 60.0, "all-reduce-2w": 40.0, "all-reduce-4w": 30.0}
        factors = [[0.97, 1.0, 1.03], [1.02, 0.97, 1.01], [1.03, 0.98, 0.99]]
        records = [
            make_record(name, trial, own * factors[row][trial])
            for row, (name, own) in enumerate(names.items())
            for trial in range(3)
        ]
        more = [make_record("parameter-server-2w-1ps", trial, 90.0 + trial, contended=True) for trial in range(3)]
        return group_trials([*records, *more * contended])

    alone, beside = (scatter(contended=contended) for contended in (False, True))
    needed = count_trials_needed(beside)

    assert estimate_trial_noise(alone).shares == (0.5, 0.5)
    assert estimate_trial_noise(beside).shares == (0.0, 0.0, 0.0)
    assert estimate_trial_noise(beside)[:4] == estimate_trial_noise(alone)[:4]
    assert needed == count_trials_to_find(float(estimate_trial_noise(beside).relative_sd), 3, shares=(0.0,) * 3)
    only = {name: own for name, own in beside.items() if name in {"single", "parameter-server-2w-1ps"}}
    assert count_trials_needed(only) is None
