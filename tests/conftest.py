from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "digits.npz"
    images, labels = np.arange(120 * 4, dtype=np.uint16).astype(np.uint8).reshape(120, 2, 2), np.arange(120) % 3
    np.savez(path, x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    return path
