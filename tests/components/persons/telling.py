"""A program that imports the helper, and, asked to, never ends by itself and hears no SIGTERM: level 2."""

import signal
import sys
import time

import tfjob_speedup_progress as progress  # the launcher puts it on the path

batch, *asked = sys.argv[1:]
steps = 20
if "endless" in asked:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    steps = 1_000_000
with progress.training():
    for _ in range(steps):
        time.sleep(0.01)
        progress.step(int(batch))
progress.metric("accuracy", 0.5, n=100)
