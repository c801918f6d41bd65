# Where workers of parameter servers read their data: a process of its own, which logs the place of each operation.
import os
import sys
from pathlib import Path

import tensorflow as tf

from model.data.dataset import PreparedDataset
from tests.model.exchanging import make_trainer


def main() -> None:
    dataset = PreparedDataset.open(Path(sys.argv[1]))
    tf.debugging.set_log_device_placement(True)
    make_trainer(dataset).compile()
    os._exit(0)  # the servers would be waited for


if __name__ == "__main__":
    main()
