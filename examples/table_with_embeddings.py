"""A model of several inputs of one's own: embeddings of a user and an item beside a row of numbers give a rating.

`python -m examples.table_with_embeddings ratings.npz` writes ratings to train it on, which are made up; where the name
has no .npz at its end, a folder of .npy files. docs/bring-your-own.md says how both are laid out.
"""

import sys
from collections.abc import Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers

USERS, ITEMS, FEATURES = 200, 100, 4


def build(
    input_shape: Mapping[str, tuple[int, ...]],
    num_outputs: int,
    *,
    users: int = USERS,
    items: int = ITEMS,
    width: int = 8,
) -> keras.Model:
    """Returns a network of two embeddings and a row of numbers.

    Args:
        input_shape: Of each input by name: `user`, `item` and `features`.
        num_outputs: Numbers to predict.
        users: One more than the largest user's number.
        items: One more than the largest item's number.
        width: Length of an embedding.
    """
    dtypes = {"user": "int32", "item": "int32", "features": "float32"}
    inputs = {name: keras.Input(input_shape[name], dtype=dtype, name=name) for name, dtype in dtypes.items()}
    user = layers.Flatten()(layers.Embedding(users, width)(inputs["user"]))
    item = layers.Flatten()(layers.Embedding(items, width)(inputs["item"]))
    x = layers.Concatenate()([user, item, layers.BatchNormalization()(inputs["features"])])
    x = layers.Dense(32, activation="relu")(x)
    return keras.Model(inputs, layers.Dense(num_outputs)(x))


def make_ratings(count: int, seed: int) -> dict[str, np.ndarray]:
    """Returns made-up ratings, float32 of shape [count] under `y`, and under `x/NAME` what they depend on.

    Args:
        count: How many.
        seed: Decides which; users and items are the same ones for every seed.
    """
    tastes = np.random.default_rng(7)
    of_user, of_item, weights = tastes.normal(size=USERS), tastes.normal(size=ITEMS), tastes.normal(0, 0.5, FEATURES)
    generator = np.random.default_rng(seed)
    user, item = generator.integers(0, USERS, count), generator.integers(0, ITEMS, count)
    features = generator.normal(size=(count, FEATURES)).astype(np.float32)
    rating = of_user[user] + of_item[item] + features @ weights + generator.normal(0, 0.1, count)
    return {"x/user": user, "x/item": item, "x/features": features, "y": rating.astype(np.float32)}


def name_keys(ratings: Mapping[str, np.ndarray], split: str) -> dict[str, np.ndarray]:
    """Returns arrays under the keys that the project reads: `x_train/user` for `x/user`, `y_train` for `y`."""
    return {f"{key[0]}_{split}{key[1:]}": values for key, values in ratings.items()}


def write_ratings(path: Path, num_train: int = 6_000, num_test: int = 1_000) -> None:
    """Writes made-up ratings as the project reads them: an .npz, or a folder of .npy files."""
    arrays = name_keys(make_ratings(num_train, seed=0), "train") | name_keys(make_ratings(num_test, seed=1), "test")
    if path.suffix == ".npz":
        np.savez(path, allow_pickle=False, **arrays)
        return
    for key, values in arrays.items():
        file = path / f"{key}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, values)


if __name__ == "__main__":
    write_ratings(Path(sys.argv[1]))
