"""A listener with the parameters that a test leaves out."""

from collections.abc import Iterable, Sequence

from program.listener import Listener, make_listener
from program.measurement import Measurement


def make(
    progress: str = "auto",
    regexes: Sequence[str] = (),
    *,
    metric: str = "",
    direction: str = "",
    batch: int | None = None,
    measure_steps: int = 0,
    workers: int = 1,
    num_ps: int = 0,
) -> Listener:
    return make_listener(progress, regexes, metric, direction, batch, measure_steps, workers, num_ps)


def hear_all(listener: Listener, lines: Iterable[tuple[float, str]], replica: str = "worker-0") -> None:
    for at, line in lines:
        listener.hear(replica, line, 1000.0 + at)


def measure(listener: Listener, lines: Iterable[tuple[float, str]], replica: str = "worker-0") -> Measurement:
    hear_all(listener, lines, replica)
    return listener.finish()


def find_metrics(measurement: Measurement) -> dict[str, float]:
    return {metric.name: metric.value for metric in measurement.metrics}
