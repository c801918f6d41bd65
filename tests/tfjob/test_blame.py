from tfjob.backend import LogLine
from tfjob.blame import Troubles


def note(*lines: tuple[str, str, float | None]) -> Troubles:
    troubles = Troubles()
    for line in lines:
        troubles.note(LogLine(*line))
    return troubles


def test_the_replica_that_was_in_trouble_first_is_named() -> None:
    troubles = note(
        ("worker-1", "ValueError: shapes (3,) and (4,)", 10.0),
        ("worker-0", "tensorflow.python.framework.errors_impl.UnavailableError: lost worker-1", 12.5),
    )
    assert troubles.describe_first("worker-0") == (
        "\nThe first in trouble was worker-1 2.5 s before: ValueError: shapes (3,) and (4,)"
    )
    assert troubles.describe_first("worker-1") == ""


def test_of_each_replica_its_last_trouble_counts() -> None:
    troubles = note(
        ("worker-1", "KeyError: 'warned and went on'", 1.0),
        ("worker-0", "MemoryError", 10.0),
        ("worker-1", "ConnectionError: peer", 11.0),
    )
    assert "worker-0 1.0 s before: MemoryError" in troubles.describe_first("worker-1")


def test_a_replica_that_said_nothing_may_have_failed_for_another() -> None:
    assert "was worker-1: Segmentation fault" in note(
        ("worker-1", "Segmentation fault (core dumped)", 1.0)
    ).describe_first("worker-0")


def test_words_about_errors_are_no_trouble() -> None:
    troubles = note(
        ("worker-1", "loss: 0.5 - mean_absolute_error: 0.1", 1.0),
        ("worker-1", "E0000 00:00 cuda_dnn.cc:8310] Unable to register cuDNN factory", 1.0),
        ("worker-1", "Traceback (most recent call last):", 1.0),
        ("worker-1", "ValueError: of no known time", None),
    )
    assert troubles.describe_first("worker-0") == ""
