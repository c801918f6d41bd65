"""Models by name or import path. Importing this module does not import TensorFlow."""

import inspect
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
Shape = tuple[int, ...]
# Of an example, or of each of several inputs by name.
InputShape = Shape | Mapping[str, Shape]
_IMAGE_RANK = 3


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


def check_model_input(model: str, input_shape: InputShape) -> None:
    """Checks that a registered model can take such data, without importing TensorFlow; another one is seen when built.

    Raises:
        ConfigError: It cannot.
    """
    if model in MODEL_NAMES and not _is_image(input_shape):
        raise ConfigError(
            f"{model} takes images, of height, width and channels. Received: data of {describe_shape(input_shape)}. "
            "Name a model of your own that takes them (docs/bring-your-own.md), such as "
            "examples.text_classifier:build or examples.table_with_embeddings:build."
        )


def describe_shape(input_shape: InputShape) -> str:
    """Returns the shape of an example, or of each of its inputs, in words."""
    if not isinstance(input_shape, Mapping):
        return f"shape {tuple(input_shape)}"
    return f"the inputs {', '.join(f'{name} {tuple(shape)}' for name, shape in sorted(input_shape.items()))}"


def find_builder(model: str) -> Builder:
    """Returns the function `(input_shape, num_outputs, **arguments) -> keras.Model` that `model` names.

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
    model: str,
    input_shape: InputShape,
    num_outputs: int,
    arguments: Mapping[str, Any],
    *,
    input_dtype: str | Mapping[str, str] = "float32",
    outputs: str = "logits",
) -> "keras.Model":
    """Returns the built model, checked for what the training program needs of it.

    Args:
        model: A registered name or an import path.
        input_shape: Height, width and channels of an image of pixels from 0 to 255; the shape of another example; or
            that of each of several inputs by name.
        num_outputs: Number of values that the model must return for an example.
        arguments: Further keyword arguments of the builder.
        input_dtype: Type that the examples are stored as, likewise.
        outputs: What the values are: `logits`, or `numbers` that may be of any activation.

    Raises:
        ConfigError: The builder raises an error, or the model's input, output or weights do not fit.
    """
    from model.frameworks import keras  # noqa: PLC0415 - imports TensorFlow

    builder, module = find_builder(model), model.partition(":")[0]
    with told_as_fault_of(module, f"Model {model!r} could not be built with {dict(arguments)}"):
        built = builder(
            dict(input_shape) if isinstance(input_shape, Mapping) else input_shape, num_outputs, **arguments
        )
    if not isinstance(built, keras.Model):
        raise ConfigError(f"Model {model!r} must be a model of Keras 3. Received: {type(built).__name__}.")
    check_input(model, built, input_shape)
    what = "images" if _is_image(input_shape) else "data"
    with told_as_fault_of(module, f"Model {model!r} does not take {what} of {describe_shape(input_shape)}"):
        received = _find_output_shape(built, input_shape, input_dtype)
    expected = (None, num_outputs)
    if received != expected:
        raise ConfigError(f"Model {model!r} must return {outputs} of shape {expected}. Received: {received}.")
    if "training" not in inspect.signature(built.call).parameters:
        raise ConfigError(
            f"Model {model!r} must be told whether it is trained: def call(self, inputs, training=False). Received: "
            f"def call{inspect.signature(built.call)}."
        )
    if outputs == "logits" and (name := _name_probabilities(built)):
        applied = "the softmax" if name == "softmax" else "a softmax or sigmoid"
        raise ConfigError(
            f"Model {model!r} must return logits, since the loss applies {applied}. "
            f"Received: {name} at its end. Leave it out."
        )
    _check_weights(model, built)
    _make_savable(built)
    return built


def _is_image(input_shape: InputShape) -> bool:
    return not isinstance(input_shape, Mapping) and len(input_shape) == _IMAGE_RANK


def check_input(model: str, built: "keras.Model", input_shape: InputShape) -> None:
    """Checks a model that is made of layers; a subclass tells what it takes by taking the data, or not.

    Raises:
        ConfigError: It takes other inputs than the data have, or of other shapes.
    """
    inputs = getattr(built, "inputs", None)
    if not inputs:
        return
    taken = {tensor.name: tuple(tensor.shape[1:]) for tensor in inputs}
    if isinstance(input_shape, Mapping) and not (len(taken) == len(input_shape) == 1):
        _check_names(model, set(taken), set(input_shape))
    elif len(taken) > 1:
        raise ConfigError(
            f"Model {model!r} takes the inputs {', '.join(sorted(taken))}. Received: data with one input without a "
            f"name. Give an array for each: {', '.join(f'x_train/{name}' for name in sorted(taken))}, and x_test alike."
        )
    else:
        (name,) = taken
        input_shape = {name: next(iter(input_shape.values())) if isinstance(input_shape, Mapping) else input_shape}
    for name, shape in taken.items():
        if not _fits(shape, tuple(input_shape[name])):
            what = "images" if _is_image(input_shape[name]) and len(taken) == 1 else f"{name!r}"
            raise ConfigError(
                f"Model {model!r} must take {what} of shape {tuple(input_shape[name])}. Received: {shape}."
                f"{_hint_at_channel(shape, tuple(input_shape[name]))}"
            )


def _check_names(model: str, taken: set[str], present: set[str]) -> None:
    missing, unknown = sorted(taken - present), sorted(present - taken)
    if not (missing or unknown):
        return
    told = [
        f"{what}: {', '.join(names)}"
        for what, names in (("in the model alone", missing), ("in the data alone", unknown))
        if names
    ]
    raise ConfigError(
        f"Model {model!r} must take the inputs that the data have, by name: {', '.join(sorted(present))}. "
        f"Received: {', '.join(sorted(taken))}; {'; '.join(told)}. A Keras Input is named so: Input(shape, name=…)."
    )


def _fits(taken: tuple[int | None, ...], shape: Shape) -> bool:
    """Returns whether a model takes examples of a shape; an axis of None takes any length."""
    return len(taken) == len(shape) and all(own in {None, length} for own, length in zip(taken, shape, strict=True))


def _hint_at_channel(taken: tuple[int | None, ...], shape: Shape) -> str:
    if shape[-1] != 1 or not _fits(taken, shape[:-1]):
        return ""
    return (
        " An array of shape [n, h, w] without a name is taken for images and gets a channel. If yours are something "
        "else, a series say, give it a name: x_train/series, x_test/series."
    )


def _find_output_shape(built: "keras.Model", input_shape: InputShape, input_dtype: str | Mapping[str, str]) -> Any:
    """Returns the shape of what the model makes of examples; one that gets its weights with the first ones is built."""
    from model.frameworks import keras  # noqa: PLC0415

    if (shape := getattr(built, "output_shape", None)) is not None:
        return shape
    count = 2
    outputs = built(
        _map(lambda own, dtype: keras.ops.zeros((count, *own), dtype), input_shape, input_dtype), training=False
    )
    # What is trained is a graph, in which not everything works.
    built(_map(lambda own, dtype: keras.Input(own, dtype=dtype), input_shape, input_dtype), training=True)
    return keras.tree.map_structure(lambda o: (None if o.shape[0] == count else o.shape[0], *o.shape[1:]), outputs)


def _map(function: Callable[[Shape, str], Any], input_shape: InputShape, input_dtype: str | Mapping[str, str]) -> Any:
    """Returns what a function makes of the shape and type of the one input, or of each of several by name."""
    if isinstance(input_shape, Mapping):
        dtypes = input_dtype if isinstance(input_dtype, Mapping) else dict.fromkeys(input_shape, input_dtype)
        return {name: function(shape, _as_model_type(dtypes[name])) for name, shape in input_shape.items()}
    return function(input_shape, _as_model_type(str(input_dtype)))


def _as_model_type(dtype: str) -> str:
    """Returns the type in which a model gets what is stored as `dtype`: integers stay, all else becomes float32."""
    return dtype if dtype in {"int32", "int64"} else "float32"


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
