from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from model.data.arrays import check_arrays
from model.errors import DatasetError


def make_raw(**changes: Any) -> dict[str, NDArray[Any]]:
    count = 20
    raw: dict[str, Any] = {"y_train": np.arange(count) % 4, "y_test": np.arange(8) % 4}
    for name, values in {"title": np.arange(count * 5).reshape(count, 5), "price": np.linspace(0, 1, count)}.items():
        raw |= {f"x_train/{name}": values, f"x_test/{name}": values[:8]}
    return {key: np.asarray(value) for key, value in (raw | changes).items() if value is not None}


def test_several_inputs_are_kept_by_name() -> None:
    arrays = check_arrays(make_raw())
    assert {name: (own.dtype.str, own.shape) for name, own in arrays.x_train.items()} == {
        "price": ("<f4", (20, 1)),
        "title": ("<i8", (20, 5)),
    }
    assert arrays.x_test["price"].shape == (8, 1)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("i1", "<i4"),
        (">i2", "<i4"),
        ("u2", "<i4"),
        (">i4", "<i4"),
        ("u4", "<i8"),
        (">i8", "<i8"),
        ("?", "|u1"),
        ("u1", "|u1"),
        ("f2", "<f4"),
        (">f8", "<f4"),
    ],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_numbers_of_any_type_and_order_are_kept_as_one_of_four(dtype: str, expected: str, order: Any) -> None:
    values = np.asarray(np.arange(100).reshape(20, 5) % 2, dtype=dtype, order=order)
    arrays = check_arrays({**make_raw(), "x_train/title": values, "x_test/title": values[:8]})
    assert arrays.x_train["title"].dtype.str == expected
    np.testing.assert_array_equal(arrays.x_train["title"], np.arange(100).reshape(20, 5) % 2)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((20, 7), np.int64, (20, 7)),
        ((20, 7), np.float32, (20, 7)),
        ((20, 7), np.uint8, (20, 7)),
        ((20,), np.float32, (20, 1)),
        ((20, 4, 4, 4, 3), np.float32, (20, 4, 4, 4, 3)),
    ],
)
def test_one_input_without_a_name_need_not_be_images(shape: Any, dtype: Any, expected: Any) -> None:
    raw = {"x_train": np.ones(shape, dtype), "x_test": np.ones((8, *shape[1:]), dtype)}
    labels = {"y_train": np.arange(20) % 4, "y_test": np.arange(8) % 4}
    assert check_arrays(raw | labels).x_train.shape == expected


def test_a_series_that_has_a_name_gets_no_channel() -> None:
    series = np.linspace(0, 1, 20 * 6 * 2).reshape(20, 6, 2)
    raw = {"x_train/series": series, "x_test/series": series[:8]}
    assert check_arrays(raw | {"y_train": np.arange(20) % 4, "y_test": np.arange(8) % 4}).x_train["series"].shape == (
        20,
        6,
        2,
    )


NAN = np.array([0.0, np.nan] * 10)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train/price": NAN}, "x_train/price must be finite as float32. Received: 10 values"),
        ({"x_train/price": np.array(["1.0"] * 20)}, r"x_train/price must be numbers\. Received: <U3 \[20\], texts"),
        ({"x_train/price": np.array([{}] * 20)}, r"x_train/price must be numbers: .* Received: object \[20\]"),
        ({"x_train/price": np.zeros(19)}, "x_train/price and y_train must be of the same length. Received: 19 and 20"),
        ({"x_test/price": np.zeros(9)}, "x_test/price and y_test must be of the same length. Received: 9 and 8"),
        ({"x_test/title": np.zeros((8, 4), int)}, r"x_train/title and x_test/title must hold examples of one shape"),
        ({"x_test/title": np.zeros((8, 5))}, r"one shape and type\. Received: int64 \[20, 5\] and float64 \[8, 5\]"),
        ({"x_test/price": None}, r"same inputs in x_train and in x_test\. Only in one of the two: x_train/price\."),
        ({"x_test/user": np.zeros(8)}, r"Only in one of the two: x_test/user\."),
        ({"x_train": np.zeros((20, 3))}, r"x_train, or one x_train/NAME for each input .* Received: x_train/title, .*"),
        ({"x_train/a/b": np.zeros(20), "x_test/a/b": np.zeros(8)}, r"letters, digits, .* Received: x_train/a/b\."),
        (
            {f"x_train/{'a' * 201}": np.zeros(20)},
            r"An input's name must be of letters, .*, at most 200, .* Received: x_t",
        ),
        ({"x_train/": np.zeros(20)}, r"An input's name must be of letters.* Received: x_train/\."),
        ({"x_train/..": np.zeros(20)}, r"An input's name must be of letters.* Received: x_train/\.\.\."),
        ({"x_train/title": None, "x_train/price": None}, r"Missing: x_train\. It holds: y_train, y_test, x_test/title"),
        ({"x_train/price": np.zeros((20, 0))}, r"x_train/price must be of shape \[n, …\], none 0"),
        ({"x_train/price": np.float32(3)}, r"x_train/price must be of shape \[n, …\].* Received: float32 \[\]"),
    ],
)
def test_inputs_that_do_not_fit_are_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        check_arrays(make_raw(**changes))
