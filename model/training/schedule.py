"""The learning rate of each step."""

import math


def learning_rate_at(step: int, *, peak: float, warmup_steps: int, total_steps: int) -> float:
    """Returns the learning rate of a step: linear from near 0 to `peak` in the warm-up, then a half cosine to 0.

    Args:
        step: Number of updates made before, from 0.
        peak: Highest learning rate, reached at the warm-up's last step.
        warmup_steps: Steps of the linear rise.
        total_steps: Steps of the whole training.

    Source: warm-up after Goyal et al. 2017, arXiv:1706.02677, section 2.2; cosine after Loshchilov & Hutter 2016,
    arXiv:1608.03983, equation 5, without restarts.
    """
    if step < warmup_steps:
        return peak * (step + 1) / warmup_steps
    progress = (step - warmup_steps) / max(1, total_steps - warmup_steps)
    return peak * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
