from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.consistency import list_contradictions
from tests.comparison.audit.fair_run import change, change_replicas, find_violations, make_fair_run, move_to_another_run
from tests.comparison.record_factory import make_record


def test_a_cached_result_is_told_even_with_a_start_of_its_own() -> None:
    records = make_fair_run()
    original, repeated = records[0], records[3]
    times: dict[str, Any] = {
        "started_at": repeated.started_at,
        "ended_at": repeated.started_at + original.total_seconds,
    }
    cached = replace(original, trial=1, seed=1, weights_sha256=repeated.weights_sha256, **times)
    rule = "every trial measured anew"

    violation = find_violations([*records[:3], cached, *records[4:]])[rule]
    copied = find_violations(change(records, "single", 1, started_at=original.started_at))[rule]

    assert violation.sentence == (
        "single: trial 1 has the same clocks as trial 0 of single: a cached or copied result; "
        "single: trial 1 has the same learning curve as trial 0 of single: a cached or copied result."
    )
    assert copied.sentence == "single: trial 1 has the same start as trial 0 of single: a cached or copied result."


def test_a_copy_with_other_clocks_is_told_by_its_weights() -> None:
    records = make_fair_run()
    curve = [
        replace(point, train_loss=own.train_loss) for point, own in zip(records[3].curve, records[0].curve, strict=True)
    ]
    copied = change(records, "single", 1, weights_sha256=records[0].weights_sha256, curve=curve)
    rule = "every trial measured anew"

    assert find_violations(copied)[rule].sentence == (
        "single: trial 1 has the same trained weights as trial 0 of single: a cached or copied result."
    )
    assert rule not in find_violations([replace(record, seed=0) for record in copied])
    assert rule not in find_violations([move_to_another_run(own) if own.trial else own for own in copied])


@pytest.mark.parametrize(
    ("changes", "received"),
    [
        ({"train_seconds": 48.0}, "1,830 images/s, where images and training make it 2,288; "),
        ({"images_seen": 100}, "in trial 0 100 images do not make 858 steps of 128"),
        ({"steps": 429}, "the learning curve ends after 858 steps in 60.0 s, the training after 429 in 60.0 s"),
        ({"per_replica_batch_size": 64}, "in trial 0 1 worker with 64 images each do not make a global batch of 128."),
        ({"images_per_second": 5_000.0}, "in trial 0 5,000 images/s, where images and training make it 1,830."),
        ({"curve": make_record(train_seconds=50.0).curve}, "the learning curve ends after 858 steps in 50.0 s"),
        ({"seconds_to_target": 20.0}, "the target was reached after 20.0 s, where the learning curve has 30.0 s"),
        ({"seconds_to_target": None}, "the target was reached after –, where the learning curve has 30.0 s"),
        ({"ended_at": 1_800_000_000.0}, "the whole job took 75.0 s, but "),
        ({"total_seconds": 60.0}, "the clocks of its parts differ from the 60.0 s of the whole job by 14.0 s"),
        ({"compile_seconds": 1.0}, "the clocks of its parts differ from the 75.0 s of the whole job by 6.0 s"),
    ],
)
def test_a_figure_that_was_changed_contradicts_the_others(changes: dict[str, Any], received: str) -> None:
    rule = "counts and clocks add up"

    finding = find_violations(change(make_fair_run(), "single", 0, **changes))[rule]

    assert finding.configurations == ("single",)
    assert finding.sentence.startswith("single: in trial 0 ")
    assert received in finding.sentence


@pytest.mark.parametrize(
    ("changes", "contradiction"),
    [
        (
            {"num_workers": 4, "per_replica_batch_size": 32},
            "2 workers and 1 server ran, where it says 4 workers and 1 server",
        ),
        ({"num_ps": 2}, "2 workers and 1 server ran, where it says 2 workers and 2 servers"),
        ({"cpus_per_replica": 5.5}, "its replicas asked for 18 cores of 16, and it does not say contended"),
    ],
)
def test_what_a_trial_says_of_itself_must_fit_its_replicas(changes: dict[str, Any], contradiction: str) -> None:
    record = make_record("parameter-server-2w-1ps", **changes)

    assert list_contradictions(record) == [contradiction]
    assert (contradiction in list_contradictions(replace(record, contended=True))) == ("cpus" not in str(changes))


def test_pods_may_run_on_more_hosts_than_the_one_that_is_named() -> None:
    assert list_contradictions(make_record("all-reduce-4w", cpus_per_replica=8.0, backend="kubernetes")) == []
    assert list_contradictions(make_record("all-reduce-4w", cpus_per_replica=8.0, host={})) == []


def test_the_clocks_of_a_trial_that_was_restarted_need_not_add_up() -> None:
    records = change(make_fair_run(), "single", 0, total_seconds=200.0, restarts=1)
    resumed = change_replicas(change(make_fair_run(), "single", 0, total_seconds=200.0), "single", restored_step=429)

    assert list(find_violations(records)) == list(find_violations(resumed)) == ["no restart, no resumption"]
