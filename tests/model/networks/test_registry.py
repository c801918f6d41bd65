import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.errors import ConfigError
from model.networks.own_module import find_module, may_have
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


def test_a_module_is_looked_at_and_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "explosive"
    (package / "bare").mkdir(parents=True)
    for file in ("__init__.py", "own.py", "bare/own.py"):
        (package / file).write_text("build = 1 / 0\n")
    (package / "broken.py").write_text("def build(:\n")
    (package / "gbk.py").write_bytes("# 模型\ndef build(): ...\n".encode("gbk"))
    monkeypatch.syspath_prepend(tmp_path)
    check_model_name("explosive:build")
    check_model_name("explosive.own:build")
    with pytest.raises(ConfigError, match=r"Module 'explosive.own' has no function 'make'"):
        check_model_name("explosive.own:make")
    with pytest.raises(ConfigError, match=r"There is no module 'explosive.other' on the Python path"):
        check_model_name("explosive.other:build")
    with pytest.raises(ConfigError, match=r"Module 'explosive.gbk' is no Python: .*encoding"):
        check_model_name("explosive.gbk:build")
    with pytest.raises(
        ConfigError, match=r"Module 'explosive.broken' is no Python: invalid syntax \(broken.py, line 1"
    ):
        check_model_name("explosive.broken:build")


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("from elsewhere import build", True),
        ("from elsewhere import other as build", True),
        ("from elsewhere import *", True),
        ("import build.deeper", True),
        ("class build: pass", True),
        ("if True:\n  build = other", True),
        ("globals()['bu' + 'ild'] = other", True),
        ("def __getattr__(name): ...", True),
        ("def built(): ...", False),
        ("from build import other", False),
    ],
)
def test_a_function_is_missed_only_where_nothing_could_make_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, is_found: bool
) -> None:
    (tmp_path / "own_source.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    spec = find_module("own_source")
    assert spec is not None
    assert may_have(spec, "build") == is_found


@pytest.mark.slow
def test_an_error_in_a_module_is_told_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "failing_module.py").write_text("\n\nimport no_such_library\n\ndef build(): ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    message = (
        r"^Module 'failing_module' could not be imported: ModuleNotFoundError: No module named 'no_such_library' "
        r"\(.*failing_module\.py, line 3\)$"
    )
    with pytest.raises(ConfigError, match=message):
        find_builder("failing_module:build")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("first", "backend"),
    [
        ("model.networks", {"KERAS_BACKEND": "jax"}),
        ("model.strategies", {}),
        ("model.evaluate", {"KERAS_BACKEND": "jax"}),
    ],
)
def test_a_persons_own_configuration_of_keras_is_overruled_and_told(
    tmp_path: Path, first: str, backend: dict[str, str]
) -> None:
    configured = {"floatx": "float16", "epsilon": 1e-3, "backend": "torch", "image_data_format": "channels_first"}
    (tmp_path / "keras.json").write_text(json.dumps(configured))
    program = f"""
import {first}
from model.networks import build_model
model = build_model("resnet8", (8, 8, 1), 3, {{}})
print(model.get_layer("stem_conv").output.shape, model.dtype)
"""
    inherited = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    env = {**inherited, "KERAS_HOME": str(tmp_path), **backend}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert finished.stdout == "(None, 4, 4, 16) float32\n"
    told = f"backend {backend.get('KERAS_BACKEND', 'torch')}, image_data_format channels_first, floatx float16"
    assert f"keras.json: {told}, epsilon 0.001.\n" in finished.stderr


@pytest.mark.slow
def test_a_configuration_that_keras_refuses_is_told(tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"floatx": "float8"}')
    program = """
from model.errors import ConfigError
try:
    from model.networks.resnet import build_resnet
except ConfigError as error:
    print(error)
"""
    env = {**os.environ, "KERAS_HOME": str(tmp_path)}
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=env)
    assert finished.stdout.startswith(
        f"Keras refuses its own configuration, {tmp_path / 'keras.json'}: Invalid `floatx`"
    )


def test_a_keras_that_runs_on_something_else_already_is_refused() -> None:
    program = """
import sys, types
sys.modules["keras"] = types.ModuleType("keras")
sys.modules["keras"].config = types.SimpleNamespace(backend=lambda: "jax")
from model.errors import ConfigError
try:
    from model.networks.resnet import build_resnet
except ConfigError as error:
    print(error)
"""
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.startswith("Keras must run on tensorflow. Received: a Keras that was imported before")
    assert finished.stdout.endswith("runs on jax.\n")


def test_keras_is_imported_in_one_place() -> None:
    sources = Path("model").rglob("*.py")
    importing = [
        str(path) for path in sources if re.search(r"^\s*(import|from) keras\b", path.read_text(), re.MULTILINE)
    ]
    assert importing == ["model/frameworks.py", "model/networks/registry.py"]  # the latter for its types


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
        ("nothing", r"must be a model of Keras 3\. Received: NoneType\."),
        ("subclassed_of_another_shape", r"must return logits of shape \(None, 3\)\. Received: \(None, 4\)\."),
        ("subclassed_of_other_images", r"does not take images of shape \(8, 8, 1\): .*"),
        ("subclassed_that_works_eagerly_alone", r"does not take images of shape \(8, 8, 1\): .*'numpy'.*line \d+\)$"),
        ("raising", r"could not be built with {}: RuntimeError: no weights found \(.*builders\.py, line \d+\)$"),
        ("frozen", r"must have weights to train\. Received: 2 variables, none of them trainable\."),
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
@pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"
)  # Keras saves so
@pytest.mark.parametrize("builder", ["unbuilt", "subclassed"])
def test_a_model_that_waits_for_its_first_images_is_built_trained_and_saved(builder: str, tmp_path: Path) -> None:
    first, second = (build_model(f"tests.model.builders:{builder}", SHAPE, 3, {}) for _ in range(2))
    first.save(tmp_path / "model.keras")
    second.load_weights(tmp_path / "model.keras")
    assert first.trainable_variables
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


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
