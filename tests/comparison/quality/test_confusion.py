import json

import pytest

from comparison.groups import group_trials
from comparison.quality import MAX_DENSE_CLASSES, ConfusionMatrix, add_matrices
from comparison.records import RecordError, assemble_record, format_records, parse_record
from comparison.report.cautions import collect_warnings
from tests.comparison.record_factory import make_parts, make_record

ROWS = [[970, 30, 0], [0, 1000, 0], [0, 0, 1000]]
COUNTS = [[0, 0, 970], [0, 1, 30], [1, 1, 1000], [2, 2, 1000]]


def test_both_forms_of_a_matrix_read_the_same() -> None:
    dense, sparse = ConfusionMatrix.from_rows(ROWS), ConfusionMatrix.from_counts(COUNTS)

    assert dense == sparse
    assert (sparse.to_rows(), dense.to_counts()) == (ROWS, COUNTS)
    assert (dense.total, dense.num_correct, dense.errors) == (3000, 2970, {(0, 1): 30})
    assert dense.count_true() == {0: 1000, 1: 1000, 2: 1000}


def test_a_sum_has_the_classes_of_all() -> None:
    total = add_matrices([ConfusionMatrix.from_rows([[5]]), ConfusionMatrix.from_counts([[2, 0, 1], [0, 0, 2]])])

    assert total.to_rows() == [[7, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_an_evaluation_may_list_what_occurred_in_place_of_every_cell() -> None:
    training, launch, evaluation = make_parts()
    del evaluation["confusion_matrix"]

    record = assemble_record(training, launch, evaluation | {"confusion_counts": COUNTS})

    assert record.confusion == make_record().confusion
    assert collect_warnings(group_trials([record]), []) == collect_warnings(group_trials([make_record()]), [])
    assert '"confusion_matrix": null' in format_records([record])
    assert parse_record(json.loads(format_records([record]))) == record


def test_a_dense_matrix_of_many_classes_is_read_and_written_as_what_occurred() -> None:
    size = MAX_DENSE_CLASSES + 1
    rows = [[0] * size for _ in range(size)]
    rows[3][3], rows[3][size - 1] = 2970, 30
    training, launch, evaluation = make_parts()

    record = assemble_record(training, launch, evaluation | {"confusion_matrix": rows})

    assert (record.confusion_matrix, record.confusion_counts) == (None, [[3, 3, 2970], [3, size - 1, 30]])
    assert len(format_records([record])) < 5000


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confusion_matrix": None}, "one of confusion_matrix and confusion_counts is expected"),
        ({"confusion_counts": COUNTS}, "one of confusion_matrix and confusion_counts is expected"),
        ({"confusion_matrix": None, "confusion_counts": [[0, 0]]}, r"Received: \[0, 0\]"),
        ({"confusion_matrix": None, "confusion_counts": [[0, -1, 3]]}, r"Received: \[0, -1, 3\]"),
        ({"confusion_matrix": None, "confusion_counts": [*COUNTS, [0, 1, 0]]}, r"Received: \[0, 1, 0\]"),
        ({"confusion_matrix": None, "confusion_counts": COUNTS[1:]}, "must count 2970 correct of 3000 examples"),
    ],
)
def test_counts_that_make_no_matrix_make_no_record(changes: dict[str, object], message: str) -> None:
    values = json.loads(format_records([make_record()])) | changes

    with pytest.raises(RecordError, match=message):
        parse_record(values)


def test_up_to_the_limit_all_classes_are_shown_whether_they_occur_or_not() -> None:
    assert ConfusionMatrix.from_counts([[0, 0, 1], [4, 4, 1]]).select_classes(5) == [0, 1, 2, 3, 4]


def test_beyond_the_limit_classes_that_occur_are_shown() -> None:
    assert ConfusionMatrix.from_counts([[0, 0, 1], [700, 1400, 1]]).select_classes(5) == [0, 700, 1400]


def test_of_too_many_classes_the_most_confused_are_shown() -> None:
    counts = [[name, name, 1] for name in range(9)]

    assert ConfusionMatrix.from_counts([*counts, [8, 2, 5], [2, 0, 1], [4, 3, 9]]).select_classes(5) == [0, 2, 3, 4, 8]
