from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from model.errors import ConfigError
from model.networks.registry import build_model, check_model_input
from model.strategies.step import FlatModel

pytestmark = pytest.mark.slow

HERE = "tests.model.networks.test_inputs_by_name"
TABLE = {"user": (1,), "features": (3,)}
DTYPES = {"user": "int64", "features": "float32"}


def by_list(input_shape: Any, num_outputs: int, names: Any = ("user", "features")) -> keras.Model:
    inputs = [keras.Input(input_shape.get(name, (1,)), name=name) for name in names]
    return keras.Model(inputs, layers.Dense(num_outputs)(layers.Concatenate()(inputs)))


def by_two(input_shape: Any, num_outputs: int) -> keras.Model:
    return by_list(TABLE, num_outputs)


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.embedding, self.flatten, self.last = layers.Embedding(9, 2), layers.Flatten(), layers.Dense(num_outputs)

    def call(self, inputs: Any, training: bool = False) -> Any:
        user = self.flatten(self.embedding(inputs["user"]))
        return self.last(keras.ops.concatenate([user, inputs["features"]], axis=-1))


class Untold(keras.Model):  # type: ignore[misc]
    def __init__(self, num_outputs: int) -> None:
        super().__init__()
        self.last = layers.Dense(num_outputs)

    def call(self, inputs: Any) -> Any:
        return self.last(inputs["features"])


def untold(input_shape: dict[str, tuple[int, ...]], num_outputs: int) -> keras.Model:
    return Untold(num_outputs)


def subclassed(input_shape: dict[str, tuple[int, ...]], num_outputs: int) -> keras.Model:
    return Subclassed(num_outputs)


def series(input_shape: Any, num_outputs: int) -> keras.Model:
    shape = input_shape["series"] if isinstance(input_shape, dict) else (6, 2)
    return keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(num_outputs, activation="sigmoid")])


@pytest.mark.parametrize("builder", ["by_list", "subclassed"])
def test_a_model_gets_its_inputs_by_name(builder: str) -> None:
    model = build_model(f"{HERE}:{builder}", TABLE, 1, {}, input_dtype=DTYPES, outputs="numbers")
    flat = FlatModel.wrap(model)
    inputs = {"features": np.ones((4, 3), np.float32), "user": np.arange(4)[:, np.newaxis]}
    outputs, _ = flat.call(flat.initial_weights(), flat.initial_statistics(), inputs, group=None)
    np.testing.assert_allclose(outputs, model(inputs), rtol=1e-5)
    assert len({float(value) for value in outputs[:, 0]}) == 4


def test_one_input_by_name_fits_a_model_that_knows_no_names() -> None:
    model = build_model(f"{HERE}:series", {"series": (6, 2)}, 1, {}, outputs="numbers")
    flat = FlatModel.wrap(model)
    values = np.ones((4, 6, 2), np.float32)
    outputs, _ = flat.call(flat.initial_weights(), flat.initial_statistics(), {"series": values}, group=None)
    np.testing.assert_allclose(outputs, model(values), rtol=1e-5)


@pytest.mark.parametrize(
    ("builder", "shape", "arguments", "message"),
    [
        ("by_list", TABLE, {"names": ["user", "price"]}, r"in the model alone: price; in the data alone: features"),
        (
            "by_list",
            TABLE,
            {"names": ["user", "features", "age"]},
            "Received: age, features, user; in the model alone",
        ),
        ("by_list", {**TABLE, "age": (1,)}, {}, r"by name: age, features, user\. .* in the data alone: age"),
        ("untold", TABLE, {}, r"must be told whether it is trained: .* Received: def call\(inputs: Any\)"),
        ("series", (6, 2, 1), {}, r"must take images of shape \(6, 2, 1\)\. Received: \(6, 2\)\. .* x_train/series"),
        (
            "series",
            {"series": (6, 2)},
            {},
            r"must return logits, since the loss applies .* Received: sigmoid at its end",
        ),
    ],
)
def test_a_model_that_takes_other_inputs_is_refused_by_their_names(
    builder: str, shape: Any, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build_model(f"{HERE}:{builder}", shape, 1, arguments)


def test_a_model_of_several_inputs_is_not_given_one_without_a_name() -> None:
    with pytest.raises(ConfigError, match=r"takes the inputs features, user\. Received: data with one input without"):
        build_model(f"{HERE}:by_two", (3,), 1, {})


@pytest.mark.parametrize("shape", [(40,), (), TABLE])
def test_the_registered_networks_take_images_alone(shape: Any) -> None:
    with pytest.raises(ConfigError, match=r"resnet8 takes images, of height, width and channels\. Received: data of"):
        check_model_input("resnet8", shape)
    check_model_input("resnet8", (8, 8, 1))
    check_model_input("examples.mlp:build", shape)
