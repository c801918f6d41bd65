import base64
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from comparison.accuracies import Difference, compare_quality
from comparison.records import TrialRecord
from tests.comparison.record_factory import make_record

IMAGES = 3000


def encode(wrong: NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(wrong).tobytes()).decode()


def make_trial(configuration: str, trial: int, wrong: NDArray[np.bool_], **changes: Any) -> TrialRecord:
    known: dict[str, Any] = {"weights_sha256": f"{configuration}-{trial}", "wrong_images": encode(wrong)}
    return make_record(configuration, trial, n_correct=IMAGES - int(wrong.sum()), **(known | changes))


def mark(*images: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(IMAGES), images)


HARD = range(40)


def test_models_that_err_on_the_same_images_are_told_apart_by_the_few_others() -> None:
    single = [make_trial("single", trial, mark(*HARD)) for trial in (1, 2, 3)]
    worse = [make_trial("all-reduce-2w", trial, mark(*HARD, *range(50, 62))) for trial in (1, 2, 3)]
    older = [make_record("all-reduce-2w", trial, n_correct=IMAGES - 52) for trial in (1, 2, 3)]

    paired = compare_quality(single, worse)

    assert paired.is_paired
    assert paired.value == pytest.approx(-12 / IMAGES)
    # Twelve of so many images in every round, and no scatter between rounds.
    assert paired.half_width == pytest.approx(1.96 * (12 * (1 - 12 / IMAGES) / (IMAGES - 1) / IMAGES) ** 0.5, rel=1e-3)
    assert paired.direction == -1
    unpaired = compare_quality(single, older)
    assert unpaired.value == pytest.approx(paired.value)
    assert (unpaired.is_paired, unpaired.direction) == (False, 0)


def test_the_same_weights_in_every_round_leave_no_difference() -> None:
    single, same, other = (
        [make_record(name, trial, n_correct=2970 + trial, weights_sha256=f"{trial}{end}") for trial in (1, 2)]
        for name, end in (("single", ""), ("all-reduce-2w", ""), ("all-reduce-2w", "x"))
    )

    assert compare_quality(single, same) == Difference(0.0, 0.0, is_paired=True, is_same_weights=True)
    assert not compare_quality(single, other).is_same_weights
    assert compare_quality(single, other).half_width > 0
    assert compare_quality(single, same[:1]).is_same_weights is False


def test_a_second_baseline_of_a_round_counts_once() -> None:
    answers = {1: mark(*HARD), 2: mark(*HARD, 100), 3: mark(*HARD, 200, 201)}
    single = [make_trial("single", trial, wrong, round=trial) for trial, wrong in answers.items()]
    again = make_trial("single", 4, answers[3], round=3, weights_sha256="single-3")
    double = [make_trial("all-reduce-2w", turn, mark(*HARD, 300 + turn), round=turn) for turn in answers]

    assert compare_quality([*single, again], double) == compare_quality(single, double)


@pytest.mark.parametrize("broken", ["", "A", "$", base64.b64encode(bytes(374)).decode(), None])
def test_what_does_not_say_it_of_each_image_is_compared_as_older_records_are(broken: str | None) -> None:
    single = [make_trial("single", trial, mark(*HARD)) for trial in (1, 2)]
    double = [make_trial("all-reduce-2w", trial, mark(*HARD, 50)) for trial in (1, 2)]
    spoilt = [*double[:1], make_trial("all-reduce-2w", 2, mark(*HARD, 50), wrong_images=broken)]

    assert compare_quality(single, double).is_paired
    assert not compare_quality(single, spoilt).is_paired
    # Bits of another number of errors than were counted are of another model.
    lying = [*double[:1], make_trial("all-reduce-2w", 2, mark(*HARD, 50), wrong_images=encode(mark(1)))]
    assert not compare_quality(single, lying).is_paired


def test_the_margin_is_how_large_the_difference_may_be() -> None:
    assert Difference(-0.002, 0.003).margin == pytest.approx(0.005)
