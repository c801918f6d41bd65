"""A text classifier of one's own: numbered words, an embedding of each, their mean. docs/bring-your-own.md has more.

`python -m examples.text_classifier texts.npz` writes texts to train it on, which are made up.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers

VOCABULARY, LENGTH, TOPICS = 500, 40, 5
# Of a text's words, so many are of its topic; the others are of any.
TOPIC_SHARE = 0.4


def build(
    input_shape: tuple[int, ...], num_outputs: int, *, vocabulary: int = VOCABULARY, width: int = 32
) -> keras.Model:
    """Returns a network that takes the mean of the words' embeddings.

    Args:
        input_shape: Number of words in a text, as (length,).
        num_outputs: Number of logits.
        vocabulary: One more than the largest word number; 0 is no word.
        width: Length of an embedding.
    """
    words = keras.Input(input_shape, dtype="int32")
    x = layers.Embedding(vocabulary, width, mask_zero=True)(words)
    x = layers.GlobalAveragePooling1D()(x)  # of the words alone: the mask leaves the padding out
    x = layers.BatchNormalization()(x)  # a mean of many is near 0, where gradients are small
    return keras.Model(words, layers.Dense(num_outputs)(x))


def make_texts(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns made-up texts, int32 of shape [count, LENGTH], padded with zeros, and the topic of each.

    Args:
        count: How many.
        seed: Decides which.
    """
    generator = np.random.default_rng(seed)
    topics = generator.integers(0, TOPICS, count)
    per_topic = (VOCABULARY - 1) // TOPICS
    shape = (count, LENGTH)
    of_topic = 1 + topics[:, np.newaxis] * per_topic + generator.integers(0, per_topic, shape)
    words = np.where(generator.random(shape) < TOPIC_SHARE, of_topic, generator.integers(1, VOCABULARY, shape))
    lengths = generator.integers(LENGTH // 4, LENGTH, count, endpoint=True)
    return np.where(np.arange(LENGTH) < lengths[:, np.newaxis], words, 0).astype(np.int32), topics


def write_texts(path: Path, num_train: int = 6_000, num_test: int = 1_000) -> None:
    """Writes made-up texts as the project reads them."""
    (x_train, y_train), (x_test, y_test) = make_texts(num_train, seed=0), make_texts(num_test, seed=1)
    np.savez(path, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


if __name__ == "__main__":
    write_texts(Path(sys.argv[1]))
