from typing import Any

import keras
from keras import layers


def dense(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(num_classes)])


def wrong_output(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return dense(image_shape, num_classes + 1)


def wrong_input(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    height, width, channels = image_shape
    return dense((height + 1, width, channels), num_classes)


def two_outputs(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    model = dense(image_shape, num_classes)
    return keras.Model(model.inputs, [model.outputs[0], model.outputs[0]])


def half_precision(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential(
        [keras.Input(image_shape), layers.Flatten(), layers.Dense(num_classes, dtype="float16", name="half")]
    )


def softmax_layer(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([dense(image_shape, num_classes), layers.Softmax()])


def softmax_activation(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    images = keras.Input(image_shape)
    return keras.Model(images, layers.Dense(num_classes, activation="softmax")(layers.Flatten()(images)))


def sigmoid(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([dense(image_shape, num_classes), layers.Activation("sigmoid")])


def nothing(image_shape: tuple[int, int, int], num_classes: int) -> None:
    return None


def dropout(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Rescaling(1 / 255),
            layers.Dropout(0.5),
            layers.Flatten(),
            layers.Dense(8),
            layers.Dropout(0.5),
            layers.Dense(num_classes),
        ]
    )


def batch_norm(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.BatchNormalization(momentum=0.75),
            layers.Flatten(),
            layers.Dense(num_classes),
        ]
    )


def convolution(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 3),
            layers.BatchNormalization(momentum=0.75),
            layers.ReLU(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(num_classes),
        ]
    )


def counting(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), _Counter(), layers.Dense(num_classes)])


class _Counter(layers.Layer):  # type: ignore[misc]
    def build(self, input_shape: Any) -> None:
        self.count = self.add_weight(shape=(), dtype="int32", trainable=False, name="count")

    def call(self, x: Any) -> Any:
        return x


def unbuilt(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([layers.Flatten(), layers.Dense(num_classes)])


class Subclassed(keras.Model):  # type: ignore[misc]
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.normalise, self.flatten = layers.BatchNormalization(), layers.Flatten()
        self.logits = layers.Dense(num_classes)

    def call(self, images: Any, training: bool = False) -> Any:
        return self.logits(self.flatten(self.normalise(images, training=training)))


def subclassed(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return Subclassed(num_classes)


def subclassed_of_another_shape(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return Subclassed(num_classes + 1)


class _Reshaping(Subclassed):
    def call(self, images: Any, training: bool = False) -> Any:
        return super().call(keras.ops.reshape(images, (-1, 7, 7, 1)))


def subclassed_of_other_images(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return _Reshaping(num_classes)


class _Eager(keras.Model):  # type: ignore[misc]
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.flatten, self.logits = layers.Flatten(), layers.Dense(num_classes)

    def call(self, images: Any) -> Any:
        return self.logits(self.flatten(images * float(images.numpy().max() + 1)))


def subclassed_that_works_eagerly_alone(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return _Eager(num_classes)


def raising(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    raise RuntimeError("no weights\nfound")


def frozen(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    model = dense(image_shape, num_classes)
    model.trainable = False
    return model
