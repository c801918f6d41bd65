import json

import numpy as np
import pytest

from model.errors import ConfigError
from model.networks.registry import build_model

pytestmark = pytest.mark.slow

SHAPE = (28, 28, 1)


def test_the_example_is_a_model_that_the_training_program_accepts() -> None:
    model = build_model("examples.mlp:build", SHAPE, 10, {})
    assert model.output_shape == (None, 10)
    assert model.count_params() == 784 * 64 + 4 * 64 + 64 * 10 + 10


def test_the_example_takes_the_arguments_that_the_guide_names() -> None:
    model = build_model("examples.mlp:build", SHAPE, 10, json.loads('{"units": 32}'))
    assert model.count_params() == 784 * 32 + 4 * 32 + 32 * 10 + 10


def test_the_example_leaves_out_values_only_where_it_is_told_to() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, *SHAPE)).astype(np.float32)
    kept, dropped = (build_model("examples.mlp:build", SHAPE, 10, {"dropout": share}) for share in (0.0, 0.5))
    np.testing.assert_array_equal(kept(images, training=True), kept(images, training=True))
    assert np.any(np.asarray(dropped(images, training=True)) != np.asarray(dropped(images, training=True)))


def test_the_example_gives_logits_and_scales_the_pixels_itself() -> None:
    model = build_model("examples.mlp:build", SHAPE, 10, {})
    logits = np.asarray(model(np.full((1, *SHAPE), 255, np.float32)))
    assert np.abs(logits).max() < 10
    assert logits.sum() != pytest.approx(1)


def test_an_argument_that_the_example_does_not_know_is_refused() -> None:
    with pytest.raises(ConfigError, match="'depth'"):
        build_model("examples.mlp:build", SHAPE, 10, {"depth": 3})
