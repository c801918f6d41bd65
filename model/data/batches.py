"""Which images a worker sees in a step: one seeded order for all, of which each worker takes its slice."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Slice(NamedTuple):
    """One worker's share of one global batch.

    Attributes:
        indices: Positions in the training split, int64, shape [n].
        shifts: Offsets of each image's crop in the image padded by `max_shift`, rows and columns, int32, shape [n, 2].
    """

    indices: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int32]


@dataclass(frozen=True)
class BatchPlan:
    """The order in which a training sees its images, the same for every number of workers.

    Every epoch has an order and shifts of its own, drawn from (`seed`, epoch). The images that do not fill a last
    global batch are left out of that epoch.

    Attributes:
        num_images: Images in the training split.
        global_batch_size: Images in a step over all workers.
        max_shift: Largest random shift in pixels, in each direction.
        seed: Seed of the run's trial.
    """

    num_images: int
    global_batch_size: int
    max_shift: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Number of full global batches in an epoch."""
        return self.num_images // self.global_batch_size

    def take(self, step: int, worker: int = 0, num_workers: int = 1) -> Slice:
        """Returns the share of `worker` in the global batch of `step`.

        Args:
            step: Step from the training's start, from 0.
            worker: Index of the worker, from 0.
            num_workers: Number of equal shares of the global batch.
        """
        epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
        order, shifts = _draw_epoch(self.seed, epoch, self.num_images, self.max_shift)
        size = self.global_batch_size // num_workers
        start = step_in_epoch * self.global_batch_size + worker * size
        return Slice(order[start : start + size], shifts[start : start + size])


@functools.lru_cache(maxsize=2)
def _draw_epoch(
    seed: int, epoch: int, num_images: int, max_shift: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    generator = np.random.Generator(np.random.PCG64([seed, epoch]))
    order = generator.permutation(num_images)
    shifts = generator.integers(0, 2 * max_shift, size=(num_images, 2), endpoint=True, dtype=np.int32)
    return order, shifts
