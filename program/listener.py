"""Listens to a training while it runs, and says in the end what was measured."""

import math
import threading
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from program.clock import OWN, Clock, count_measured_steps, read_clock
from program.expressions import Matching, Own
from program.files import FileTold, Following
from program.lines import MOST_COUNT, list_redraws, make_printable, parse_number
from program.measurement import Measurement
from program.metrics import find_asked, read_metrics
from program.presets import PRESETS
from program.settings import Settings
from program.tally import Tally
from program.told import PROGRESS_FILE, TENSORBOARD, Reader, Told, Value

_LAST_LINES, _LAST_CHARACTERS = 10, 200
_MOST_REPLICAS = 1024
# Of what is printed: a block of lines that was held back is read in less.
_RESOLUTION_SECONDS = 0.005
# Names of a person's expressions that are no metrics.
_STEP, _EXAMPLES, _RATE, _STEP_SECONDS = "step", "examples", "examples_per_second", "step_seconds"
_FIGURES = {_STEP, _EXAMPLES, _RATE, _STEP_SECONDS}
_ORDER = (PROGRESS_FILE, OWN, *(name for name in PRESETS if name != "name=value"), TENSORBOARD, "name=value")


class Listener:
    """Hears what replicas print and reads what they write; any thread may call it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.RLock()
        self._sources: dict[str, dict[str, Tally]] = {}
        self._readers: dict[str, list[tuple[str, Reader]]] = {}
        self._matching = Matching(settings.expressions)
        self._matched: set[str] = set()
        self._unnumbered: dict[str, str] = {}
        self._following = Following()
        self._unnamed: dict[str, str] = {}
        self._last_lines: deque[tuple[str, str]] = deque(maxlen=_LAST_LINES)
        self._notes: list[str] = []
        self._is_measured = self._is_finished = False
        self.last_told_at: float | None = None

    def hear(self, replica: str, text: str, at: float) -> None:
        """Takes a line of a replica's log, or a piece of one that has no end.

        Args:
            replica: e.g. `worker-0`.
            text: The line, redraws and colours included.
            at: When it was printed, in seconds since the epoch, by the log's own time.
        """
        if self._settings.progress == "none" or self._is_finished:
            return
        redraws = list_redraws(text)
        if not redraws:
            return
        with self._lock:
            self._last_lines.append((replica, redraws[-1][-_LAST_CHARACTERS:]))
            for name, reader in self._find_readers(replica):
                for told in reader.read(redraws, at):
                    self._take(name, replica, told)
            self._take_own(self._matching.hear(replica, at, redraws[-1]))

    def follow(self, folder: Path) -> None:
        """Reads what is new in the progress files and event files below a folder; call it about once a second."""
        if self._settings.progress == "none":
            return
        with self._lock:
            for told in self._following.read(folder):
                self._take_file(told)
            self._take_own(self._matching.flush())

    @property
    def is_measured(self) -> bool:
        """Whether enough steps were told after the warm-up."""
        if not self._settings.measure_steps or self._is_measured:
            return self._is_measured
        with self._lock:
            tallies = self._sources.get(self._choose_source() or "", {})
            most = max((tally.marks.count_steps() for tally in tallies.values()), default=0)
            if most >= self._settings.measure_steps:
                self._is_measured = count_measured_steps(tallies) >= self._settings.measure_steps
        return self._is_measured

    def finish(self) -> Measurement:
        """Returns what was measured; nothing is heard after it."""
        with self._lock:
            for told in self._following.finish():
                self._take_file(told)
            self.close()
            self._is_finished = True
            return self._measure()

    def close(self) -> None:
        """Ends what was started for listening; `finish` does it too."""
        with self._lock:
            self._take_own(self._matching.flush())
            self._matching.close()

    def describe_silence(self) -> str | None:
        """Returns what was expected and never came, with the last lines that were heard; None where all came."""
        if self._settings.progress == "none":
            return None
        with self._lock:
            self._take_own(self._matching.flush())
            missing = self._list_missing()
            if not missing:
                return None
            lines = [f"  {replica}: {make_printable(line.strip())}" for replica, line in self._last_lines]
            return "\n".join([*missing, *(["The last lines were:", *lines] if lines else ["Nothing was printed."])])

    def _list_missing(self) -> list[str]:
        never = [e for e in self._settings.expressions if e.name not in self._matched]
        how = {name: f"matched no number, but e.g. {text!r}" for name, text in self._unnumbered.items()}
        missing = [
            f"The regular expression of {e.name!r} {how.get(e.name, 'never matched')}: {e.pattern}" for e in never
        ]
        chosen = self._settings.progress
        told = {name for name, tallies in self._sources.items() if any(_has_told(tally) for tally in tallies.values())}
        if not told:
            names = list(PRESETS) if chosen == "auto" else [chosen]
            expected = [f"  {name}: {PRESETS[name].expects}" for name in names if name in PRESETS]
            if chosen in {"auto", TENSORBOARD}:
                expected.append(f"  {TENSORBOARD}: a file events.out.tfevents.* below {{output_dir}}")
            missing += ["The program told nothing of its progress. Expected was, for example:", *expected]
            if chosen in PRESETS and PRESETS[chosen].means:
                missing.append(f"({PRESETS[chosen].means})")
        elif chosen not in {"auto", *told} and not told & {PROGRESS_FILE, OWN}:
            missing.append(f"Nothing that the program told was of the form {chosen!r}.")
        elif self._settings.metric and not any(self._find_metric(tallies) for tallies in self._sources.values()):
            missing.append(f"The metric {self._settings.metric!r} was never told.")
        return missing

    def _find_readers(self, replica: str) -> list[tuple[str, Reader]]:
        if replica not in self._readers:
            if len(self._readers) >= _MOST_REPLICAS:
                return []
            chosen = self._settings.progress
            self._readers[replica] = [
                (name, preset.make_reader(self._settings.metric, name == chosen))
                for name, preset in PRESETS.items()
                if chosen in {"auto", name}
            ]
        return self._readers[replica]

    def _take(self, source: str, replica: str, told: Told) -> None:
        tallies = self._sources.setdefault(source, {})
        if replica not in tallies:
            if len(tallies) >= _MOST_REPLICAS:
                return
            tallies[replica] = Tally(0.0 if source in {PROGRESS_FILE, TENSORBOARD} else _RESOLUTION_SECONDS)
        tallies[replica].add(told)
        self.last_told_at = max(self.last_told_at or told.at, told.at)

    def _take_file(self, file: FileTold) -> None:
        if file.source == TENSORBOARD and self._settings.progress not in {"auto", TENSORBOARD}:
            return
        # Two files whose names do not say whose they are may be two workers': they are not one curve.
        replica = file.replica or self._unnamed.setdefault(file.file, f"events-{len(self._unnamed)}")
        self._take(file.source, replica, file.told)

    def _take_own(self, found: list[Own]) -> None:
        for own in found:
            numbers = {name: parse_number(text) for name, text in own.texts.items()}
            for name in [name for name, number in numbers.items() if math.isnan(number)]:
                text = own.texts[name]
                if text.strip().lower().lstrip("+-") != "nan":
                    numbers.pop(name)
                    if name not in self._unnumbered:
                        self._unnumbered[name] = text[:40]
                        self._notes.append(
                            f"The regular expression of {name!r} matched what is no number, e.g. {text[:40]!r}."
                        )
            self._matched |= numbers.keys()
            if numbers:
                self._take(OWN, own.replica, _read_own(own.at, numbers))

    def _choose_source(self) -> str | None:
        """Returns whose steps are the clock: what is told on purpose, else the most special form."""
        for enough in (_has_marks, _has_clock, _has_told):
            for name in _ORDER:
                if any(enough(tally) for tally in self._sources.get(name, {}).values()):
                    return name
        return None

    def _find_metric(self, tallies: Mapping[str, Tally]) -> str | None:
        return find_asked(self._settings.metric, [name for tally in tallies.values() for name in tally.series])

    def _list_metric_tallies(self, source: str) -> dict[str, Tally]:
        """Returns whose metrics count: the clock's source and own expressions, of others only what is asked for."""
        sources = [source, OWN]
        others = [name for name in _ORDER if name not in sources]
        if not any(tally.series for name in sources for tally in self._sources.get(name, {}).values()):
            sources, others = [*sources, *others], []
        is_told = any(self._find_metric(self._sources.get(name, {})) for name in sources)
        merged: dict[str, Tally] = {}
        for name in [*sources, *([] if is_told else others)]:
            asked = self._find_metric(self._sources.get(name, {}))
            for replica, tally in self._sources.get(name, {}).items():
                into = merged.setdefault(replica, Tally())
                for metric, series in tally.series.items():
                    if name in sources or metric == asked:
                        into.series.setdefault(metric, series)
        return merged

    def _measure(self) -> Measurement:
        source = self._choose_source()
        notes = [*self._notes, *self._matching.notes, *self._following.list_notes()]
        if source is None:
            return Measurement(notes=notes)
        tallies = self._sources[source]
        clock = read_clock(source, tallies, self._settings, self._following.list_spokesmen())
        found = read_metrics(self._list_metric_tallies(source), self._settings, clock.lead, clock.began_at)
        means = f": {PRESETS[source].means}" if source in PRESETS else ""
        notes = [f"Progress was read as {source}{means}.", *clock.notes, *found.notes, *notes]
        if source in PRESETS and PRESETS[source].prints_same and not self._settings.num_ps:
            notes += _compare_replicas({name: found.by_replica.get(name, {}) for name in tallies})
        return Measurement(
            level=2 if source == PROGRESS_FILE else 1,
            train_seconds=clock.train_seconds,
            warmup_seconds=clock.warmup_seconds,
            steps=clock.steps,
            examples=clock.examples,
            unit=clock.unit,
            examples_per_second=clock.examples_per_second,
            step_seconds=clock.step_seconds,
            first_step=clock.first_step,
            was_cut=self.is_measured,
            metrics=found.metrics,
            curve=found.curve,
            by_replica=_describe_replicas(tallies, found.by_replica, clock, self._settings),
            notes=notes,
        )


def _has_told(tally: Tally) -> bool:
    return tally.tells_clock or tally.tells_steps or bool(tally.series)


def _has_clock(tally: Tally) -> bool:
    return tally.tells_clock


def _has_marks(tally: Tally) -> bool:
    return len(tally.marks) > 1


def _read_own(at: float, numbers: Mapping[str, float]) -> Told:
    """Returns what the expressions found in one line; a figure below 0 or beyond all counts is none."""
    counts = {name: number for name, number in numbers.items() if 0 <= number < MOST_COUNT}
    step = counts.get(_STEP)
    return Told(
        at,
        step=None if step is None else int(step),
        examples=counts.get(_EXAMPLES),
        job_rate=counts.get(_RATE),
        seconds_per_step=counts.get(_STEP_SECONDS),
        metrics=tuple(Value(name, number) for name, number in numbers.items() if name not in _FIGURES),
    )


def _describe_replicas(
    tallies: Mapping[str, Tally], metrics: Mapping[str, dict[str, float]], clock: Clock, settings: Settings
) -> dict[str, dict[str, object]]:
    described: dict[str, dict[str, object]] = {}
    for name in sorted({*tallies, *metrics}):
        tally = tallies.get(name)
        steps = tally.count_steps() if tally else None
        examples = tally.examples if tally else None
        batch = settings.batch_size_per_replica or (tally.batch if tally else None)
        if examples is None and steps is not None and batch and clock.examples is not None:
            examples = steps * batch
        described[name] = {"steps": steps, "examples": examples, "metrics": metrics.get(name, {})}
    return described


def _compare_replicas(by_replica: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Returns a note where workers' own final metrics differ, which an all-reduce prints the same to the last digit."""
    told = {name: metrics for name, metrics in by_replica.items() if metrics}
    for metric in sorted(set.intersection(*map(set, told.values())) if len(told) > 1 else ()):
        values = {name: metrics[metric] for name, metrics in told.items()}
        if len(set(values.values())) > 1:
            shown = ", ".join(f"{name} {value:g}" for name, value in sorted(values.items()))
            note = f"The replicas' own {metric} differs ({shown})"
            return [
                f"{note}: workers that train together print the same to the last digit; each may have trained alone."
            ]
    return []
