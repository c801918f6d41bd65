import subprocess
import sys
from typing import Any

import pytest

from model.errors import ConfigError
from model.networks.registry import MODEL_NAMES, build_model, check_model_name, find_builder
from model.training.config import TrainingConfig

SHAPE = (8, 8, 1)


@pytest.mark.parametrize("model", [*MODEL_NAMES, "model.training.schedule:learning_rate_at"])
def test_registered_names_and_import_paths_can_be_models(model: str) -> None:
    check_model_name(model)


@pytest.mark.parametrize("model", ["", "resnet9", "ResNet8", "resnet", "vgg16", "model.networks", ":build", "model:"])
def test_an_unknown_name_is_refused_with_those_that_are_known(model: str) -> None:
    with pytest.raises(ValueError, match=r"Unknown model\. Expected one of resnet8, .* import path") as raised:
        check_model_name(model)
    assert str(raised.value).endswith(f"Received: {model!r}.")


@pytest.mark.parametrize(
    "model",
    ["no_such_package:build", "model.no_such_module:build", "model.errors.deeper:build", ".model:build"],
)
def test_a_module_that_does_not_exist_is_refused(model: str) -> None:
    with pytest.raises(ValueError, match=f"There is no module '{model.partition(':')[0]}' on the Python path"):
        check_model_name(model)


@pytest.mark.parametrize("function", ["no_such_function", "__doc__"])
def test_a_function_that_does_not_exist_is_refused(function: str) -> None:
    with pytest.raises(ValueError, match=rf"'model\.training\.schedule' has no function '{function}'"):
        find_builder(f"model.training.schedule:{function}")


def test_names_are_checked_without_tensorflow() -> None:
    program = """
import sys, model.training.config, model.plan
model.training.config.TrainingConfig(model="plain20")
print(*{"tensorflow", "keras"} & set(sys.modules))
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout == "\n"


@pytest.mark.slow
@pytest.mark.parametrize(("model", "name"), [("resnet8", "resnet8"), ("plain14", "plain14")])
def test_a_registered_model_is_built_at_the_depth_of_its_name(model: str, name: str) -> None:
    built = build_model(model, SHAPE, 3, {"width": 2})
    assert built.name == name
    assert built.output_shape == (None, 3)


@pytest.mark.slow
def test_a_model_of_ones_own_is_built_by_its_import_path() -> None:
    assert build_model("tests.model.builders:dense", SHAPE, 3, {}).count_params() == 64 * 3 + 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("builder", "message"),
    [
        ("wrong_output", r"must return logits of shape \(None, 3\)\. Received: \(None, 4\)\."),
        ("two_outputs", r"must return logits of shape \(None, 3\)\. Received: \[\(None, 3\), \(None, 3\)\]\."),
        ("nothing", r"must return logits of shape \(None, 3\)\. Received: None\."),
        ("softmax_layer", r"must return logits, since the loss applies the softmax\. Received: softmax at its end\."),
        ("softmax_activation", r"must return logits, .* Received: softmax at its end\. Leave it out\."),
        ("sigmoid", r"must return logits, .* Received: sigmoid at its end\. Leave it out\."),
        ("wrong_input", r"must take images of shape \(8, 8, 1\)\. Received: \(9, 8, 1\)\."),
        ("half_precision", r"must have float32 weights\. Received: .*half/kernel of type float16\."),
    ],
)
def test_a_model_that_does_not_fit_is_refused_with_what_came(builder: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"Model 'tests.model.builders:{builder}' {message}"):
        build_model(f"tests.model.builders:{builder}", SHAPE, 3, {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"widht": 4}, "could not be built with {'widht': 4}: .*unexpected keyword argument 'widht'"),
        ({"width": "4"}, "could not be built with {'width': '4'}: "),
        ({"depth": 20}, "could not be built with {'depth': 20}: .*multiple values for keyword argument 'depth'"),
        ({"width": 0}, "width and stem_stride must be at least 1. Received: 0 and 2"),
    ],
)
def test_arguments_that_the_builder_refuses_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build_model("resnet8", SHAPE, 3, arguments)


def test_an_argument_that_a_registered_model_does_not_take_is_refused_before_it_is_built() -> None:
    with pytest.raises(ConfigError, match=r"resnet8 takes the arguments width, .*\. Received: widht\."):
        TrainingConfig(model_arguments='{"widht": 4}')
