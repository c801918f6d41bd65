from dataclasses import replace

import pytest

from comparison.report.verdict import Kind
from tests.comparison.report.verdicts import SINGLE, TIMES, answer, make_trials


def test_the_rival_of_workers_with_gpus_has_the_gpus_of_all() -> None:
    single = [replace(record, gpus=1) for record in SINGLE]
    pair = [replace(record, gpus=1) for record in make_trials("all-reduce-2w", [37.0, 37.5])]
    node = make_trials("single-2cpu", [30.0, 30.1])
    for gpus, kind in ((3, Kind.PAYS_OFF), (2, Kind.BIGGER_NODE)):
        assert answer(single, [replace(record, gpus=gpus) for record in node], pair).kind is kind


@pytest.mark.parametrize(
    ("seconds", "opening", "clause"),
    [
        ([30.0, 30.1], "Distributing is faster here, but one bigger node is faster still: ", "was faster: 2.01"),
        ([37.1, 37.6], "Distributing is faster here, but one bigger node is as good: ", "was not told apart: 1.62"),
    ],
)
def test_one_process_with_the_cpus_of_all_workers_is_what_a_person_would_run(
    seconds: list[float], opening: str, clause: str
) -> None:
    found = answer(SINGLE, make_trials("single-2cpu", seconds), make_trials("all-reduce-2w", [37.0, 37.5]))

    assert found.kind is Kind.BIGGER_NODE
    assert found.sentences[0].startswith(opening + "all-reduce with 2 workers")
    assert found.sentences[1].startswith(f"One process with the 2 CPUs of all workers (single-2cpu) {clause}{TIMES} (")


def test_a_bigger_node_that_does_worse_leaves_the_answer_and_is_told() -> None:
    found = answer(SINGLE, make_trials("single-2cpu", [50.0, 50.1]), make_trials("all-reduce-2w", [37.0, 37.5]))

    assert found.kind is Kind.PAYS_OFF
    assert found.sentences[1].startswith("One process with the 2 CPUs of all workers (single-2cpu) was slower: 1.21")


def test_a_bigger_node_with_less_than_all_workers_have_counts_where_it_is_as_good() -> None:
    four = make_trials("all-reduce-4w", [40.0, 40.5])
    node, slower = make_trials("single-2cpu", [31.0, 31.2]), make_trials("single-2cpu", [50.0, 50.1])
    equal = make_trials("single-4cpu", [55.0, 55.2])

    found, beside = answer(SINGLE, node, four), answer(SINGLE, node, equal, four)

    assert (found.kind, found.fastest) == (Kind.BIGGER_NODE, ["single-2cpu"])
    assert found.sentences[0].startswith("Distributing is faster here, but one bigger node is faster still: all-reduce")
    assert found.sentences[1].startswith(f"One process with 2 CPUs (single-2cpu) was faster: 1.95{TIMES} (")
    assert beside.kind is Kind.BIGGER_NODE
    assert beside.sentences[1].startswith("One process with the 4 CPUs of all workers (single-4cpu) was slower: 1.10")
    assert "; one process with 2 CPUs (single-2cpu) was faster: 1.95" in beside.sentences[1]
    assert (answer(SINGLE, slower, four).kind, answer(SINGLE, slower, four).sentences[1:]) == (Kind.PAYS_OFF, [])
    # More than the workers have is another machine.
    bigger = make_trials("single-4cpu", [31.0, 31.2])
    assert answer(SINGLE, bigger, make_trials("all-reduce-2w", [40.0, 40.5])).kind is Kind.PAYS_OFF


def test_a_bigger_node_whose_whole_job_is_as_good_leaves_a_gain_in_training_time_only() -> None:
    node = make_trials("single-2cpu", [40.0, 40.2], total_seconds=48.0)
    pair = make_trials("all-reduce-2w", [37.0, 37.5], total_seconds=60.0)

    found = answer(SINGLE, node, pair)

    assert found.kind is Kind.TRAINING_ONLY
    assert found.sentences[1].startswith(
        f"One process with the 2 CPUs of all workers (single-2cpu) was slower: 1.51{TIMES} ("
    )
    assert f", its whole job faster: 1.57{TIMES} (" in found.sentences[1]
    longer = answer(SINGLE, make_trials("single-2cpu", [40.0, 40.2], total_seconds=70.0), pair)
    assert longer.kind is Kind.PAYS_OFF
    assert "whole job" not in longer.sentences[1]


def test_a_bigger_node_that_is_out_is_told_and_not_compared_with() -> None:
    node = {"name": "single-2x-cpus", "strategy": "single", "cpus_factor": 2, "num_workers": 1}
    pair = make_trials("all-reduce-2w", [37.0, 37.5])
    late = [replace(record, restarts=1) for record in make_trials("single-2cpu", [30.0, 30.1])]

    absent, untimed = answer(SINGLE, pair, planned=[node]), answer(SINGLE, late, pair)

    assert (absent.kind, untimed.kind) == (Kind.PAYS_OFF, Kind.PAYS_OFF)
    assert absent.sentences[1] == "Nothing is said of single-2x-cpus: none of its planned trials is there."
    assert "nothing is said of single-2cpu: none of its trials has a time" in untimed.text.lower()
