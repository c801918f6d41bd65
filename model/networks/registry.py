"""Models by name or import path. Importing this module does not import TensorFlow."""

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from model.errors import ConfigError

if TYPE_CHECKING:
    import keras

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
RESNET_ARGUMENTS = ("width", "stem_stride", "has_batch_norm")
MODEL_NAMES = tuple(f"{family}{depth}" for family in ("resnet", "plain") for depth in DEPTHS)

Builder = Callable[..., "keras.Model"]


def check_model_name(model: str) -> None:
    """Checks that `model` can be a model, without importing it.

    Raises:
        ConfigError: It is neither a registered name nor the path of a module that exists.
    """
    if model in MODEL_NAMES:
        return
    module, colon, function = model.partition(":")
    known = f"Expected one of {', '.join(MODEL_NAMES)}, or an import path such as my_package.my_module:build"
    if not (module and colon and function):
        raise ConfigError(f"Unknown model. {known}. Received: {model!r}.")
    try:
        is_found = importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):  # a parent that is missing, or a relative name
        is_found = False
    if not is_found:
        raise ConfigError(f"There is no module {module!r} on the Python path. {known}. Received: {model!r}.")


def check_model_arguments(model: str, arguments: Mapping[str, Any]) -> None:
    """Checks the arguments of a registered model, without importing TensorFlow; another model's builder checks its own.

    Raises:
        ConfigError: A registered model does not take one of them.
    """
    unknown = sorted(set(arguments) - set(RESNET_ARGUMENTS)) if model in MODEL_NAMES else []
    if unknown:
        raise ConfigError(f"{model} takes the arguments {', '.join(RESNET_ARGUMENTS)}. Received: {', '.join(unknown)}.")


def find_builder(model: str) -> Builder:
    """Returns the function `(image_shape, num_classes, **arguments) -> keras.Model` that `model` names.

    Raises:
        ConfigError: There is no such model, module or function.
    """
    check_model_name(model)
    if model in MODEL_NAMES:
        from model.networks.resnet import build_resnet  # noqa: PLC0415 - TensorFlow is imported only when a model is built

        family = model.rstrip("0123456789")
        depth = int(model.removeprefix(family))

        def build(image_shape: tuple[int, int, int], num_classes: int, **arguments: Any) -> "keras.Model":
            return build_resnet(image_shape, num_classes, depth=depth, has_shortcuts=family == "resnet", **arguments)

        return build
    module, _, function = model.partition(":")
    builder = getattr(importlib.import_module(module), function, None)
    if not callable(builder):
        raise ConfigError(f"Module {module!r} has no function {function!r}. Received: model {model!r}.")
    return builder  # type: ignore[no-any-return]


def build_model(
    model: str, image_shape: tuple[int, int, int], num_classes: int, arguments: Mapping[str, Any]
) -> "keras.Model":
    """Returns the built model, checked for what the training program needs of it.

    Args:
        model: A registered name or an import path.
        image_shape: Height, width and channels of an image of pixels from 0 to 255.
        num_classes: Number of logits that the model must have.
        arguments: Further keyword arguments of the builder.

    Raises:
        ConfigError: The builder refuses its arguments, or the model's input, output or weights do not fit.
    """
    try:
        built = find_builder(model)(image_shape, num_classes, **arguments)
    except TypeError as error:
        raise ConfigError(f"Model {model!r} could not be built with {dict(arguments)}: {error}.") from error
    expected, received = (None, num_classes), getattr(built, "output_shape", None)
    if received != expected:
        raise ConfigError(f"Model {model!r} must return logits of shape {expected}. Received: {received}.")
    if tuple(built.input_shape[1:]) != tuple(image_shape):
        raise ConfigError(
            f"Model {model!r} must take images of shape {tuple(image_shape)}. Received: {built.input_shape[1:]}."
        )
    if name := _name_probabilities(built):
        raise ConfigError(
            f"Model {model!r} must return logits, since the loss applies the softmax. Received: {name} at its end. "
            "Leave it out."
        )
    for variable in built.trainable_variables:
        if variable.dtype != "float32":
            raise ConfigError(
                f"Model {model!r} must have float32 weights. Received: {variable.path} of type {variable.dtype}."
            )
    return built


def _name_probabilities(built: "keras.Model") -> str | None:
    """Returns the name of the function that turns the model's output into probabilities, or None."""
    import keras  # noqa: PLC0415 - the builder has imported it already

    last = built.layers[-1] if built.layers else None
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    name = getattr(getattr(last, "activation", None), "__name__", None)
    return name if name in {"softmax", "sigmoid"} else None
