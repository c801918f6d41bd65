# Every figure of comparison.csv once more, from the lines of trials.jsonl, by nothing that the project computes with.
import csv
import json
import math
import operator
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from comparison.compare import compare
from comparison.groups import group_trials
from comparison.records import TrialRecord, format_records, read_records
from comparison.summary import summarize
from comparison.table import to_csv
from tests.comparison.record_factory import make_record, make_run_info

Line = dict[str, Any]


def half_width(values: list[float]) -> float | None:
    if len(values) == 1:
        return None
    return float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


def average_rounds(lines: list[Line], read: Callable[[Line], float]) -> list[float]:
    rounds: dict[int, list[float]] = defaultdict(list)
    for line in lines:
        rounds[line["trial"] if line["round"] is None else line["round"]].append(read(line))
    return [float(np.mean(values)) for values in rounds.values()]


def recompute_means(lines: list[Line]) -> Line:
    accuracies = average_rounds(lines, lambda line: line["test_n_correct"] / line["test_n_examples"])
    target = [line for line in lines if line["seconds_to_target"] is not None]
    reached = average_rounds(target, lambda line: line["seconds_to_target"])
    figures: Line = {
        name: lines[0][name]
        for name in ("configuration", "strategy", "scaling", "num_workers", "num_ps", "cpus_per_replica")
    }
    for name in ("images_per_second", "train_seconds"):
        values = average_rounds(lines, operator.itemgetter(name))
        figures |= {name: sum(values) / len(values), f"{name}_ci95": half_width(values)}
    return figures | {
        "global_batch_size": lines[0]["global_batch_size"],
        "trials": len(lines),
        "startup_seconds": np.mean(average_rounds(lines, lambda line: line["startup_seconds"])),
        "total_seconds": np.mean(average_rounds(lines, lambda line: line["total_seconds"])),
        "test_accuracy": np.mean(accuracies),
        "test_accuracy_ci95": half_width(accuracies),
        "seconds_to_target": sum(reached) / len(reached) if reached else None,
        "trials_reaching_target": len(target),
        "cpu_seconds": np.mean(
            average_rounds(lines, lambda line: sum(replica["cpu_seconds"] for replica in line["replicas"]))
        ),
        "peak_rss_bytes": max(replica["peak_rss_bytes"] for line in lines for replica in line["replicas"]),
    }


def simulate_quantile(degrees: int, counts: list[int], base_count: int) -> float:
    """95 % of the largest of several studentised differences from one baseline."""
    generator = np.random.default_rng(0)
    own = generator.standard_normal((400_000, len(counts))) / np.sqrt(counts)
    own -= generator.standard_normal((400_000, 1)) / math.sqrt(base_count)
    own /= np.sqrt(1 / np.array(counts) + 1 / base_count)
    scale = np.sqrt(generator.chisquare(degrees, (400_000, 1)) / degrees)
    return float(np.quantile(np.abs(own / scale).max(axis=1), 0.95))


def find_quantile(degrees: float, highest: int, counts: list[int], base_count: int, are_correlated: bool) -> float:
    """Between whole degrees of freedom a straight line; of comparisons that share nothing, each by itself."""
    if not are_correlated:
        return float(stats.t.ppf((1 + 0.95 ** (1 / len(counts))) / 2, degrees))
    ends = [math.floor(degrees), min(math.floor(degrees) + 1, highest)]
    return float(np.interp(degrees, ends, [simulate_quantile(own, counts, base_count) for own in ends]))


def measure_scatter(logs: dict[str, dict[int, float]]) -> dict[str, tuple[float, float]]:
    """The sum of squares of each configuration, and its degrees of freedom."""
    rounds = {turn for own in logs.values() for turn in own}
    residuals = {name: {t: log - np.mean([*own.values()]) for t, log in own.items()} for name, own in logs.items()}
    share, degrees = 1.0, (len(logs) - 1) * (len(rounds) - 1)
    if degrees >= (1 if len(logs) == 2 else 4) and all(own.keys() == rounds for own in logs.values()):
        shifts = {turn: np.mean([own[turn] for own in residuals.values()]) for turn in rounds}
        residuals = {name: {t: left - shifts[t] for t, left in own.items()} for name, own in residuals.items()}
        share = (len(logs) - 1) / len(logs)
    return {
        name: (math.fsum(left**2 for left in own.values()), share * (len(own) - 1)) for name, own in residuals.items()
    }


def recompute_log_half_widths(groups: dict[str, list[Line]], clock: str) -> dict[str, float]:
    logs: dict[str, dict[int, float]] = {}
    for name, lines in groups.items():
        turns = sorted({line["trial"] if line["round"] is None else line["round"] for line in lines})
        own = sorted(lines, key=lambda line: line["trial"] if line["round"] is None else line["round"])
        values = average_rounds(own, operator.itemgetter(clock))
        logs[name] = dict(zip(turns, map(math.log, values), strict=True))
    quiet = {name: own for name, own in logs.items() if not any(line["contended"] for line in groups[name])}
    others = {name: own for name, own in logs.items() if name != "single" and len(own) > 1}
    counts = [len(own) for own in others.values()]
    are_correlated = quiet.keys() == logs.keys()

    def compute_width(scatter: dict[str, tuple[float, float]], name: str, speakers: list[str]) -> float:
        total, highest = sum(own[0] for own in scatter.values()), round(sum(own[1] for own in scatter.values()))
        degrees = total**2 / sum(squares**2 / own for squares, own in scatter.values() if own)
        quantile = find_quantile(min(max(degrees, 1), highest), highest, counts, len(logs["single"]), are_correlated)
        noise = max([total / highest, *(scatter[own][0] / scatter[own][1] for own in speakers)])
        return quantile * math.sqrt(noise * (1 / len(logs[name]) + 1 / len(logs["single"])))

    widths = {}
    for name in others:
        if name in quiet:
            widths[name] = compute_width(measure_scatter(quiet), name, [name, "single"])
        else:
            alone = measure_scatter({own: logs[own] for own in (name, "single")})
            is_known = sum(map(len, quiet.values())) > len(quiet)
            known = [compute_width(measure_scatter(quiet), name, [])] if is_known else []
            squares, degrees = zip(*alone.values(), strict=True)
            effective = sum(squares) ** 2 / sum(own**2 / free for own, free in alone.values())
            noise = max(sum(squares) / sum(degrees), *(own / free for own, free in alone.values()))
            error = math.sqrt(noise * (1 / len(logs[name]) + 1 / len(logs["single"])))
            widths[name] = max([float(stats.t.ppf((1 + 0.95 ** (1 / len(others))) / 2, effective)) * error, *known])
    return widths


def check_table(csv_path: Path, jsonl_path: Path) -> None:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in map(json.loads, jsonl_path.read_text().splitlines()):
        groups[line["configuration"]].append(line)
    with csv_path.open() as file:
        rows = {row["configuration"]: row for row in csv.DictReader(file)}
    assert rows.keys() == groups.keys()
    means = {name: recompute_means(lines) for name, lines in groups.items()}
    for name, expected in means.items():
        for column, value in expected.items():
            given = rows[name][column]
            if isinstance(value, str) or value is None:
                assert given == (value or ""), (name, column)
            else:
                assert float(given) == pytest.approx(value, rel=1e-5), (name, column)
    for scaling, clock in (("strong", "train_seconds"), ("weak", "images_per_second")):
        # A training of one worker is in both tables; its row is that of strong scaling.
        ones = {name for name, lines in groups.items() if lines[0]["num_workers"] == 1}
        own = {name: lines for name, lines in groups.items() if name in ones or lines[0]["scaling"] == scaling}
        widths = recompute_log_half_widths(own, clock) if len(own) > 1 else {}
        for name in own.keys() - ({"single"} if scaling == "strong" else ones):
            ratio = means["single"][clock] / means[name][clock]
            speedup = ratio if scaling == "strong" else 1 / ratio
            row = rows[name]
            assert float(row["speedup"]) == pytest.approx(speedup, rel=1e-5)
            assert float(row["scaling_efficiency"]) == pytest.approx(speedup / means[name]["num_workers"], rel=1e-5)
            if name not in widths:
                assert row["speedup_ci95_low"] == row["speedup_ci95_high"] == ""
                continue
            # The quantile is simulated, to a few thousandths, or a hundredth where few degrees of freedom are left.
            low, high = speedup / math.exp(widths[name]), speedup * math.exp(widths[name])
            assert float(row["speedup_ci95_low"]) == pytest.approx(low, rel=0.02 * widths[name])
            assert float(row["speedup_ci95_high"]) == pytest.approx(high, rel=0.02 * widths[name])
    baseline = rows["single"]
    assert (baseline["speedup"], baseline["scaling_efficiency"], baseline["speedup_ci95_low"]) == ("1", "1", "")


def make_trials(
    seed: int, seconds: dict[str, float], trials: int, contended: tuple[str, ...] = ()
) -> list[TrialRecord]:
    generator = np.random.default_rng(seed)
    rounds = np.exp(generator.normal(0, 0.03, trials))
    return [
        make_record(
            name,
            trial,
            float(own * rounds[trial] * np.exp(generator.normal(0, 0.2 if name in contended else 0.02))),
            int(generator.integers(2900, 3000)),
            total_seconds=float(own + generator.uniform(10, 20)),
            misses_target=bool(generator.uniform() < 0.3),
            contended=name in contended,
        )
        for name, own in seconds.items()
        for trial in range(trials)
    ]


SECONDS = {"single": 60.0, "all-reduce-2w": 36.0, "all-reduce-4w": 22.0, "parameter-server-2w-1ps": 50.0}
WEAK_SECONDS = {"all-reduce-2w-weak": 34.0, "all-reduce-4w-weak": 19.0}


def test_a_second_baseline_in_the_last_round_is_averaged_with_the_first(tmp_path: Path) -> None:
    trials = [replace(own, round=1 + min(own.trial, 2)) for own in make_trials(5, SECONDS, 4)]
    kept = [own for own in trials if own.configuration == "single" or own.trial < 3]

    compare(kept, make_run_info(), tmp_path)

    check_table(tmp_path / "comparison.csv", tmp_path / "trials.jsonl")


def test_every_figure_of_a_runs_table_follows_from_its_trials(tmp_path: Path) -> None:
    trials = make_trials(0, SECONDS | WEAK_SECONDS | {"single-2cpu": 33.0}, 3, ("parameter-server-2w-1ps",))

    compare(trials, make_run_info(), tmp_path)

    check_table(tmp_path / "comparison.csv", tmp_path / "trials.jsonl")


@pytest.mark.parametrize(
    ("names", "trials", "contended", "missing"),
    [
        (["single", "all-reduce-2w"], 3, (), 0),
        (["single", "all-reduce-2w"], 6, (), 0),
        (["single", "all-reduce-2w", "all-reduce-2w-weak"], 5, (), 0),
        ([*SECONDS], 2, (), 0),
        ([*SECONDS], 4, ("parameter-server-2w-1ps",), 0),
        ([*SECONDS], 4, (), 3),
        ([*SECONDS, *WEAK_SECONDS], 5, (), 0),
        (["single", *WEAK_SECONDS], 4, ("all-reduce-4w-weak",), 1),
        ([*SECONDS], 2, (), 1),
    ],
)
def test_every_figure_of_generated_trials_follows_from_them(
    tmp_path: Path, names: list[str], trials: int, contended: tuple[str, ...], missing: int
) -> None:
    seconds = {name: (SECONDS | WEAK_SECONDS)[name] for name in names}
    records = make_trials(len(names) * trials, seconds, trials, contended)
    last = names[-1]
    kept = [own for own in records if own.configuration != last or own.trial >= missing]
    (tmp_path / "trials.jsonl").write_text(format_records(kept))

    (tmp_path / "comparison.csv").write_text(to_csv(summarize(group_trials(read_records(tmp_path / "trials.jsonl")))))

    check_table(tmp_path / "comparison.csv", tmp_path / "trials.jsonl")
