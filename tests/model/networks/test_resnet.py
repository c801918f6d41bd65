import inspect
from typing import Any

import pytest
from keras import layers

from model.networks.registry import RESNET_ARGUMENTS
from model.networks.resnet import build_resnet

pytestmark = pytest.mark.slow

SHAPE = (28, 28, 1)


def count_parameters(depth: int, width: int, channels: int, classes: int, *, has_shortcuts: bool) -> tuple[int, int]:
    # 6n+2 layers: a 3×3 stem, three stages of n blocks of two 3×3 convolutions with w, 2w and 4w filters, a linear
    # classifier; projections where the width doubles. Each convolution has no bias and two trained and two moving
    # numbers a filter.
    n, w = (depth - 2) // 6, width
    convolutions = 9 * (channels * w + 2 * n * w**2 * (1 + 4 + 16) - 2 * w**2 - 8 * w**2)
    filters = w + 2 * n * (w + 2 * w + 4 * w)
    if has_shortcuts:
        convolutions += 2 * w**2 + 8 * w**2
        filters += 2 * w + 4 * w
    return convolutions + 2 * filters + (4 * w + 1) * classes, 2 * filters


def sizes(model: Any) -> tuple[int, int]:
    trainable = sum(v.value.shape.num_elements() for v in model.trainable_variables)
    return trainable, model.count_params() - trainable


def list_layers(model: Any, kind: type) -> list[Any]:
    return [layer for layer in model.layers if isinstance(layer, kind)]


@pytest.mark.parametrize(
    ("depth", "width", "channels", "has_shortcuts"),
    [(8, 16, 1, True), (8, 3, 3, True), (8, 16, 1, False), (14, 4, 1, True), (20, 16, 3, False), (56, 2, 1, True)],
)
def test_the_parameters_are_those_of_the_closed_formula(
    depth: int, width: int, channels: int, has_shortcuts: bool
) -> None:
    model = build_resnet((28, 28, channels), 10, depth=depth, width=width, has_shortcuts=has_shortcuts)
    assert sizes(model) == count_parameters(depth, width, channels, 10, has_shortcuts=has_shortcuts)


def test_the_closed_formula_gives_the_papers_sizes() -> None:
    # He et al. 2015, table 6, in millions, on 3 channels; without parameters in their shortcuts (option A).
    published = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}
    for depth, millions in published.items():
        trainable, _ = count_parameters(depth, 16, 3, 10, has_shortcuts=False)
        assert trainable / 1e6 == pytest.approx(millions, abs=0.05 if depth == 110 else 0.006)
    assert count_parameters(8, 16, 1, 10, has_shortcuts=True)[0] == 77_754


def test_a_network_has_as_many_weighted_layers_as_its_name_says() -> None:
    for depth in (8, 14):
        plain = build_resnet(SHAPE, 10, depth=depth, width=2, has_shortcuts=False)
        assert len(list_layers(plain, layers.Conv2D)) + len(list_layers(plain, layers.Dense)) == depth


def test_shortcuts_are_identities_but_where_the_shape_changes() -> None:
    model = build_resnet(SHAPE, 10, depth=20, width=4)
    projections = {layer.name: layer for layer in list_layers(model, layers.Conv2D) if "shortcut" in layer.name}
    assert list(projections) == ["stage2_block1_shortcut_conv", "stage3_block1_shortcut_conv"]
    assert {(p.kernel_size, p.strides) for p in projections.values()} == {((1, 1), (2, 2))}
    assert len(list_layers(model, layers.Add)) == 9
    identity = model.get_layer("stage2_block2_add").input[1]
    assert identity is model.get_layer("stage2_block1_relu2").output


def test_a_plain_network_adds_nothing() -> None:
    model = build_resnet(SHAPE, 10, depth=14, width=4, has_shortcuts=False)
    assert not list_layers(model, layers.Add)
    assert not [layer for layer in model.layers if "shortcut" in layer.name]
    assert model.name == "plain14"


@pytest.mark.parametrize(
    ("stem_stride", "expected"),
    [(1, [(28, 28, 4), (14, 14, 8), (7, 7, 16)]), (4, [(7, 7, 4), (4, 4, 8), (2, 2, 16)])],
)
def test_each_stage_halves_the_image_and_doubles_the_channels(
    stem_stride: int, expected: list[tuple[int, int, int]]
) -> None:
    model = build_resnet(SHAPE, 10, depth=14, width=4, stem_stride=stem_stride)
    for stage, shape in enumerate(expected, start=1):
        for block in (1, 2):
            assert model.get_layer(f"stage{stage}_block{block}_relu2").output.shape == (None, *shape)


def test_pixels_are_scaled_inside_the_model() -> None:
    scale = build_resnet(SHAPE, 10, depth=8, width=2).get_layer("scale")
    assert scale([[0.0, 127.5, 255.0]]).numpy().tolist() == [[-1, 0, 1]]


def test_the_logits_are_no_probabilities() -> None:
    model = build_resnet(SHAPE, 7, depth=8, width=2)
    assert model.output_shape == (None, 7)
    assert model.get_layer("logits").activation.__name__ == "linear"


@pytest.mark.parametrize("depth", [-4, 0, 2, 7, 9, 18, 34])
def test_a_depth_that_is_not_6n_plus_2_is_refused(depth: int) -> None:
    with pytest.raises(ValueError, match=rf"depth must be 6n\+2 .* Received: {depth}\."):
        build_resnet(SHAPE, 10, depth=depth)


@pytest.mark.parametrize(("width", "stem_stride"), [(0, 1), (-1, 1), (16, 0)])
def test_sizes_below_1_are_refused(width: int, stem_stride: int) -> None:
    with pytest.raises(ValueError, match=rf"at least 1\. Received: {width} and {stem_stride}\."):
        build_resnet(SHAPE, 10, depth=8, width=width, stem_stride=stem_stride)


def test_the_arguments_of_registered_models_are_those_of_their_builder() -> None:
    options = inspect.signature(build_resnet).parameters.values()
    names = {option.name for option in options if option.kind is option.KEYWORD_ONLY}

    assert set(RESNET_ARGUMENTS) == names - {"depth", "has_shortcuts"}  # those make the name
