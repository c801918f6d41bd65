"""Plain Python that knows TF_CONFIG and nothing else, and prints no progress: level 0, whole jobs are compared.

    make run ARGS='--command "python examples/programs/plain.py" --workers 1 2 --progress none'

Each worker fits a line to its share of the points; worker 0 collects the lines and takes their mean.
"""

import argparse
import json
import os
import random
from multiprocessing.connection import Client, Listener
from time import monotonic, sleep


def fit(points: int, seed: int, epochs: int) -> tuple[float, float]:
    """Returns slope and intercept, by stochastic gradient descent on points near 3x + 1."""
    draw = random.Random(seed)  # noqa: S311 - no secret is made of it
    data = [(x, 3 * x + 1 + draw.gauss(0, 0.1)) for x in (draw.uniform(-1, 1) for _ in range(points))]
    slope = intercept = 0.0
    for _ in range(epochs):
        for x, y in data:
            error = slope * x + intercept - y
            slope -= 0.01 * error * x
            intercept -= 0.01 * error
    return slope, intercept


def average(line: tuple[float, float], workers: list[str], index: int) -> tuple[float, float] | None:
    """Returns the mean of all workers' lines at worker 0, and None elsewhere."""
    host, port = workers[0].rsplit(":", 1)
    if index:
        deadline = monotonic() + 60
        while True:  # worker 0 may start later
            try:
                with Client((host, int(port))) as connection:
                    return connection.send(line)
            except OSError:
                if monotonic() > deadline:
                    raise
                sleep(0.1)
    lines = [line]
    with Listener(("", int(port)), backlog=len(workers)) as listener:
        while len(lines) < len(workers):
            with listener.accept() as connection:
                lines.append(connection.recv())
    return sum(slope for slope, _ in lines) / len(lines), sum(intercept for _, intercept in lines) / len(lines)


def main() -> None:
    """Fits this worker's share."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--epochs", type=int, default=10)
    args = parser.parse_args()
    config = json.loads(os.environ.get("TF_CONFIG") or "{}")  # alone there may be none
    workers, index = config.get("cluster", {}).get("worker", [""]), config.get("task", {}).get("index", 0)
    line = fit(args.points // len(workers), seed=index, epochs=args.epochs)
    mean = average(line, workers, index) if len(workers) > 1 else line
    if mean:
        print("The line is {:.3f} x + {:.3f}.".format(*mean))


if __name__ == "__main__":
    main()
