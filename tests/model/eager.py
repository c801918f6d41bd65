# A module that runs TensorFlow in every way as soon as it is imported.
from typing import Any

import keras
import tensorflow as tf

tf.config.list_logical_devices()
MEAN = tf.constant(33.0)
SCALE = keras.layers.Rescaling(1 / 255)
FIRST = int(next(iter(tf.data.Dataset.range(1))))
TEACHER = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])


class Centre(keras.layers.Layer):  # type: ignore[misc]
    def call(self, images: Any) -> Any:
        return images - MEAN


def build(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    images = keras.Input(image_shape)
    pixels = keras.layers.Flatten()(SCALE(Centre()(images)))
    return keras.Model(images, keras.layers.Dense(num_classes)(pixels))
