"""The images that the trainings learn: quickly told apart, and nowhere to be fetched."""

from pathlib import Path

import numpy as np

NUM_IMAGES, NUM_CLASSES, SIDE = 2200, 10, 28


def make_data(path: Path) -> None:
    """Writes images of noise about a pattern of each class."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 256, (NUM_CLASSES, SIDE, SIDE))
    labels = np.arange(NUM_IMAGES) % NUM_CLASSES
    images = np.clip(patterns[labels] // 2 + generator.integers(0, 128, (NUM_IMAGES, SIDE, SIDE)), 0, 255)
    images = images.astype(np.uint8)
    np.savez(path, x_train=images, y_train=labels, x_test=images[:200], y_test=labels[:200])
