"""A listener with the parameters that a test leaves out."""

from collections.abc import Iterable, Sequence

from program.listener import Listener
from program.measurement import Measurement
from program.settings import read_settings


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
    settings = read_settings(
        progress=progress,
        regexes=regexes,
        metric=metric,
        direction=direction,
        batch_size_per_replica=batch,
        measure_steps=measure_steps,
        num_workers=workers,
        num_ps=num_ps,
    )
    return Listener(settings)


def hear_all(listener: Listener, lines: Iterable[tuple[float, str]], replica: str = "worker-0") -> None:
    for at, line in lines:
        listener.hear(replica, line, 1000.0 + at)


def measure(listener: Listener, lines: Iterable[tuple[float, str]], replica: str = "worker-0") -> Measurement:
    hear_all(listener, lines, replica)
    return listener.finish()


def find_metrics(measurement: Measurement) -> dict[str, float]:
    return {metric.name: metric.value for metric in measurement.metrics}
