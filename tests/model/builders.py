import keras
from keras import layers


def wrong_shape(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    return keras.Sequential([keras.Input(image_shape), layers.Flatten(), layers.Dense(num_classes + 1)])
