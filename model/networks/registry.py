"""Models by name or import path. Importing this module does not import TensorFlow."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from model.errors import ConfigError
from model.networks.own_module import find_module, import_attribute, may_have, told_as_fault_of

if TYPE_CHECKING:
    import keras

DEPTHS = (8, 14, 20, 32, 44, 56, 110)
RESNET_ARGUMENTS = ("width", "stem_stride", "has_batch_norm")
MODEL_NAMES = tuple(f"{family}{depth}" for family in ("resnet", "plain") for depth in DEPTHS)

Builder = Callable[..., "keras.Model"]


def check_model_name(model: str) -> None:
    """Checks that `model` can be a model, without running its module.

    Raises:
        ConfigError: It is neither a registered name nor the path of a module that exists and may have the function.
    """
    if model in MODEL_NAMES:
        return
    module, colon, function = model.partition(":")
    known = f"Expected one of {', '.join(MODEL_NAMES)}, or an import path such as my_package.my_module:build"
    if not (module and colon and function):
        raise ConfigError(f"Unknown model. {known}. Received: {model!r}.")
    spec = find_module(module)
    if spec is None:
        raise ConfigError(f"There is no module {module!r} on the Python path. {known}. Received: {model!r}.")
    try:
        is_found = may_have(spec, function)
    except (SyntaxError, UnicodeDecodeError) as error:  # of an encoding that the source does not name, say
        raise ConfigError(f"Module {module!r} is no Python: {error}. Received: model {model!r}.") from None
    if not is_found:
        raise ConfigError(f"Module {module!r} has no function {function!r}. Received: model {model!r}.")


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

    It runs the model's module, which may use TensorFlow at once: only where nothing must be set up before that.

    Raises:
        ConfigError: There is no such model, module or function, or the module raises an error.
    """
    check_model_name(model)
    if model in MODEL_NAMES:
        from model.networks.resnet import build_resnet  # noqa: PLC0415 - TensorFlow is imported only when a model is built

        family = model.rstrip("0123456789")
        depth = int(model.removeprefix(family))

        def build(image_shape: tuple[int, int, int], num_classes: int, **arguments: Any) -> "keras.Model":
            return build_resnet(image_shape, num_classes, depth=depth, has_shortcuts=family == "resnet", **arguments)

        return build
    from model import frameworks  # noqa: F401, PLC0415 - before the module imports Keras

    module, _, function = model.partition(":")
    builder = import_attribute(module, function)
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
        ConfigError: The builder raises an error, or the model's input, output or weights do not fit.
    """
    from model.frameworks import keras  # noqa: PLC0415 - imports TensorFlow

    builder, module = find_builder(model), model.partition(":")[0]
    with told_as_fault_of(module, f"Model {model!r} could not be built with {dict(arguments)}"):
        built = builder(image_shape, num_classes, **arguments)
    if not isinstance(built, keras.Model):
        raise ConfigError(f"Model {model!r} must be a model of Keras 3. Received: {type(built).__name__}.")
    _check_input(model, built, image_shape)
    with told_as_fault_of(module, f"Model {model!r} does not take images of shape {tuple(image_shape)}"):
        received = _find_output_shape(built, image_shape)
    expected = (None, num_classes)
    if received != expected:
        raise ConfigError(f"Model {model!r} must return logits of shape {expected}. Received: {received}.")
    if name := _name_probabilities(built):
        raise ConfigError(
            f"Model {model!r} must return logits, since the loss applies the softmax. Received: {name} at its end. "
            "Leave it out."
        )
    _check_weights(model, built)
    _make_savable(built)
    return built


def _check_input(model: str, built: "keras.Model", image_shape: tuple[int, int, int]) -> None:
    received = getattr(built, "input_shape", None)  # a subclass tells it by taking the images, or not
    if received is not None and tuple(received[1:]) != tuple(image_shape):
        raise ConfigError(
            f"Model {model!r} must take images of shape {tuple(image_shape)}. Received: {tuple(received[1:])}."
        )


def _find_output_shape(built: "keras.Model", image_shape: tuple[int, int, int]) -> Any:
    """Returns the shape of what the model makes of images; one that gets its weights with the first ones is built."""
    from model.frameworks import keras  # noqa: PLC0415

    if (shape := getattr(built, "output_shape", None)) is not None:
        return shape
    count = 2
    outputs = built(keras.ops.zeros((count, *image_shape)), training=False)
    built(keras.Input(image_shape), training=True)  # what is trained is a graph, in which not everything works
    return keras.tree.map_structure(lambda o: (None if o.shape[0] == count else o.shape[0], *o.shape[1:]), outputs)


def _check_weights(model: str, built: "keras.Model") -> None:
    if not built.trainable_variables:
        raise ConfigError(
            f"Model {model!r} must have weights to train. Received: {len(built.variables)} variables, none of them "
            "trainable. Leave `trainable` of at least one layer with weights at True."
        )
    for variable in built.trainable_variables:
        if variable.dtype != "float32":
            raise ConfigError(
                f"Model {model!r} must have float32 weights. Received: {variable.path} of type {variable.dtype}."
            )


def _make_savable(built: "keras.Model") -> None:
    """Lets a model be saved that does not tell how to make it again: its file then holds the weights alone.

    The programs here make it with its builder anyway, and better so than with an error after a whole training.
    """
    from model.frameworks import keras  # noqa: PLC0415

    try:
        keras.saving.serialize_keras_object(built)
    except (NotImplementedError, TypeError, ValueError):
        built.get_config = dict


def _name_probabilities(built: "keras.Model") -> str | None:
    """Returns the name of the function that turns the model's output into probabilities, or None."""
    from model.frameworks import keras  # noqa: PLC0415

    last = built.layers[-1] if built.layers else None
    if isinstance(last, keras.layers.Softmax):
        return "softmax"
    name = getattr(getattr(last, "activation", None), "__name__", None)
    return name if name in {"softmax", "sigmoid"} else None
