"""A model of one's own: a perceptron with BatchNorm and dropout. docs/bring-your-own.md says how to train it."""

import keras
from keras import layers


def build(image_shape: tuple[int, int, int], num_classes: int, *, units: int = 64, dropout: float = 0.1) -> keras.Model:
    """Returns a network of one hidden layer.

    Args:
        image_shape: Height, width and channels of an image of pixels from 0 to 255.
        num_classes: Number of logits.
        units: Width of the hidden layer.
        dropout: Share of the hidden layer's values that a training step leaves out.
    """
    images = keras.Input(image_shape)
    x = layers.Rescaling(1 / 255)(images)  # the model gets pixels as they are stored, and scales them itself
    x = layers.Flatten()(x)
    x = layers.Dense(units, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU()(x)
    x = layers.Dropout(dropout)(x)
    return keras.Model(images, layers.Dense(num_classes)(x))  # logits: no softmax at the end
