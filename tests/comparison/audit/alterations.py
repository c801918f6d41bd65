"""What a hurried or a dishonest person might change in a record, and the rule that tells of it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from comparison.audit.plan import SEEDS_RULE, SETTINGS_RULE
from comparison.audit.rules import CORES_RULE, HOLDUP_RULE
from comparison.records import TrialRecord
from tests.comparison.audit.mirrored_run import (
    ENVIRONMENT,
    SHARED,
    SINGLE,
    Alteration,
    Run,
    alter,
    change_fields,
    change_replicas,
    confuse,
    stretch,
)

CPUS, EFFICIENCY, ROUNDS = "same CPUs a replica", "no faster than its cores", "trials in rounds"
DISTINCT, CONSISTENT, CLOCKS = "every trial measured anew", "counts and clocks add up", "clocks that run in every step"
IMAGES, SOFTWARE, HOST = "same test images", "same software", "same kind of host"
DAY = 86_400.0


def find(records: Run, name: str, number: int) -> TrialRecord:
    return next(own for own in records if (own.configuration, own.round) == (name, number))


def copy_from(number: int, *fields: str, name: str = SINGLE) -> Alteration:
    """Returns what gives the third round's trial fields of another round's."""

    def change(records: Run) -> Run:
        source = find(records, name, number)
        return change_fields(rounds=[3], **{field: getattr(source, field) for field in fields})(records)

    return change


def copy_with_clocks(factor: float) -> Alteration:
    """Returns what puts the first single node, its clocks a little longer, in the place of the third one."""

    def change(records: Run) -> Run:
        first, third = find(records, SINGLE, 1), find(records, SINGLE, 3)
        longer = stretch(first, factor, "startup_seconds", "compile_seconds", "eval_seconds", "input_seconds")
        kept = ["trial", "seed", "round", "place", "started_at", "started_monotonic", "initial_weights_sha256"]
        kept += ("weights_sha256", "evaluated_at")
        moments: dict[str, Any] = {
            "ended_at": third.started_at + longer.total_seconds,
            "ended_monotonic": (third.started_monotonic or 0.0) + longer.total_seconds,
        }
        copied = replace(longer, **{field: getattr(third, field) for field in kept}, **moments)
        return [copied if own is third else own for own in records]

    return change


def leave_out_second_round(records: Run) -> Run:
    """Returns the run without its second round, the later ones renumbered."""
    kept = [own for own in records if own.round != 2]
    return [
        replace(own, round=number, trial=number, place=place)
        for place, own in enumerate(kept, start=1)
        if (number := min(own.round or 0, 2) if (own.round or 0) < 3 else (own.round or 0) - 1)
    ]


def shift(seconds: float, *, rounds: tuple[int, ...], is_clock_set: bool = False) -> Alteration:
    """Returns what measures rounds so much later, or only sets the wall's clock in between."""

    def change(own: TrialRecord) -> TrialRecord:
        names = ["started_at", "ended_at", "evaluated_at"]
        names += () if is_clock_set else ("started_monotonic", "ended_monotonic")
        return replace(own, **{name: getattr(own, name) + seconds for name in names})

    return lambda records: [change(own) if own.round in rounds else own for own in records]


def throttle(share: float) -> Callable[[TrialRecord], TrialRecord]:
    """Returns what makes the second half of a training so much longer."""

    def change(own: TrialRecord) -> TrialRecord:
        first, last = own.curve
        longer = stretch(own, 1 + share / 2)
        curve = [first, replace(last, train_seconds=longer.train_seconds)]
        steps = {name: seconds * (1 + share / 2) for name, seconds in own.step_seconds.items()}
        return replace(longer, curve=curve, seconds_to_target=own.seconds_to_target, step_seconds=steps)

    return change


def leave_off_steps(own: TrialRecord) -> TrialRecord:
    """Returns the record of a training whose clock ran in 85 % of the steps, the rest passing for validation."""
    short = stretch(own, 0.85)
    eval_seconds = own.eval_seconds + 0.15 * own.train_seconds
    ended: dict[str, Any] = {name: getattr(own, name) for name in ("ended_at", "ended_monotonic", "total_seconds")}
    replicas = [
        replace(each, clocks={**(each.clocks or {}), "eval_seconds": eval_seconds}, recorded_at=own.ended_at - 0.2)
        for each in short.replicas
    ]
    return replace(short, **ended, eval_seconds=eval_seconds, replicas=replicas)


def halve_core(own: TrialRecord) -> TrialRecord:
    """Returns the record of a training that had half of its core: twice the time, the same computation."""
    slow = stretch(own, 2.0, "startup_seconds", "compile_seconds")
    steps = {name: 2 * seconds for name, seconds in own.step_seconds.items()}
    replicas = [replace(each, cpu_seconds=own.replicas[0].cpu_seconds) for each in slow.replicas]
    return replace(slow, step_seconds=steps, replicas=replicas)


def queue_up(records: Run) -> Run:
    """Returns the trials one after another again, on all clocks, as those that were altered would have been."""
    moved: Run = []
    for own in records:
        delay = moved[-1].ended_at + 0.5 - own.started_at if moved else 0.0
        names = ("started_at", "ended_at", "evaluated_at", "started_monotonic", "ended_monotonic")
        moments: dict[str, Any] = {name: getattr(own, name) + delay for name in names}
        replicas = [replace(each, recorded_at=(each.recorded_at or 0.0) + delay) for each in own.replicas]
        moved.append(replace(own, **moments, replicas=replicas))
    last = moved[-1].ended_at
    return [replace(own, evaluated_at=last + 2.0 * place) for place, own in enumerate(moved, start=1)]


def retime(change: Callable[[TrialRecord], TrialRecord], **trials: Any) -> Alteration:
    return lambda records: queue_up(alter(change, **trials)(records))


def answer_training_images(own: TrialRecord) -> TrialRecord:
    matrix = [[549 if row == column else int(column == row + 1) for column in range(10)] for row in range(10)]
    return replace(
        own,
        confusion_matrix=[*matrix[:9], [1, *matrix[9][1:]]],
        test_n_correct=5490,
        test_n_examples=5500,
        wrong_images=None,
    )


NAMED: dict[str, tuple[Alteration, str, str]] = {
    "an arm evaluated on the training images": (alter(answer_training_images), IMAGES, SHARED),
    "half a core for the baseline": (retime(halve_core, name=SINGLE), CPUS, SINGLE),
    "a baseline so slow that the workers are beyond their cores": (retime(halve_core, name=SINGLE), EFFICIENCY, SINGLE),
    "replicas on one core": (change_replicas(cpus=[0]), CONSISTENT, SHARED),
    "the worst round left out and renumbered": (leave_out_second_round, SEEDS_RULE, SINGLE),
    "the hole that a round leaves": (leave_out_second_round, ROUNDS, SINGLE),
    "a copy with longer clocks": (copy_with_clocks(1.0005), DISTINCT, SINGLE),
    "steps left off the clock": (alter(leave_off_steps), CLOCKS, SHARED),
    "a second half that was throttled": (retime(throttle(0.2), name=SINGLE, rounds=[3]), HOLDUP_RULE, SINGLE),
    "an evaluation before the training": (change_fields(evaluated_at=1_600_000_000.0), CONSISTENT, SHARED),
    "rounds three days apart": (shift(3 * DAY, rounds=(3, 4)), ROUNDS, SHARED),
}


def drop_first_worker_clock(own: TrialRecord) -> TrialRecord:
    first, second = own.replicas
    clocks = {**(second.clocks or {}), "train_seconds": 0.5 * own.train_seconds}
    return replace(own, replicas=[first, replace(second, clocks=clocks)])


def put_baseline_first(records: Run) -> Run:
    """Returns the trials as if they had been trained S A S A S A S A, all clocks set so."""
    order = sorted(records, key=lambda own: (own.round or 0, own.configuration != SINGLE))
    return queue_up([replace(own, place=place) for place, own in enumerate(order, start=1)])


def repeat_best_baseline(records: Run) -> Run:
    """Returns the run with the slowest single node's trial measured once more, in the round of the fastest one."""
    return [replace(own, round=3, seed=2) if own is find(records, SINGLE, 2) else own for own in records]


def run_side_by_side(records: Run) -> Run:
    """Returns the run in which the first two trials were side by side, the wall's clock written as if they were not."""
    first, second = records[:2]
    side: dict[str, Any] = {"started_monotonic": first.started_monotonic}
    side["ended_monotonic"] = (first.started_monotonic or 0.0) + second.total_seconds
    return [first, replace(second, **side), *records[2:]]


def change_curve(own: TrialRecord) -> TrialRecord:
    first, last = own.curve
    return replace(own, curve=[replace(first, step=last.step), last])


def copy_clocks_only(records: Run) -> Run:
    """Returns the run with the training's clock of the record cut, those of its replicas forgotten."""
    return [
        replace(
            stretch(own, 0.9),
            replicas=own.replicas,
            total_seconds=own.total_seconds,
            ended_at=own.ended_at,
            ended_monotonic=own.ended_monotonic,
            eval_seconds=own.eval_seconds + 0.1 * own.train_seconds,
        )
        if own.configuration == SHARED
        else own
        for own in records
    ]


def run_on_other_nodes(records: Run) -> Run:
    """Returns the run of a cluster in which one worker had a node that is of another kind, as a single node tells."""
    moved = change_fields(name=SINGLE, rounds=[4], host={"cpu_model": "slow", "cores": 16})
    moved_replicas = change_replicas(name=SINGLE, rounds=[4], node="node-b")
    second = change_replicas(index=1, node="node-b")
    clustered = [replace(own, backend="kubernetes", image="me/it:1", image_digest="sha256:1") for own in records]
    return second(moved_replicas(moved(change_replicas(node="node-a")(clustered))))


def move_tag(records: Run) -> Run:
    clustered = [replace(own, backend="kubernetes", image="me/it:1", image_digest="sha256:1") for own in records]
    return change_fields(image_digest="sha256:2")(clustered)


def cut_steps_in_half(own: TrialRecord) -> TrialRecord:
    return replace(leave_off_steps(own), step_seconds={name: 2.2 * own.step_seconds[name] for name in own.step_seconds})


FRESH: dict[str, tuple[Alteration, str, str]] = {
    "half of the test images": (
        alter(
            lambda own: replace(
                own,
                confusion_matrix=[[50 if row == column else 0 for column in range(10)] for row in range(10)],
                test_n_correct=500,
                test_n_examples=500,
                wrong_images=None,
            ),
            name=SINGLE,
        ),
        IMAGES,
        SHARED,
    ),
    "other test images, as many": (
        alter(lambda own: replace(own, confusion_matrix=[[own.test_n_correct or 0, 0], [60, 0]], wrong_images=None)),
        IMAGES,
        SHARED,
    ),
    "a few wrong answers struck out": (
        alter(lambda own: replace(own, wrong_images=confuse(7, wrong=50)["wrong_images"])),
        CONSISTENT,
        SHARED,
    ),
    "the answers of another model": (
        copy_from(1, "confusion_matrix", "test_n_correct", "wrong_images"),
        DISTINCT,
        SHARED,
    ),
    "the confusions of another model": (
        copy_from(1, "confusion_matrix", "test_n_correct"),
        DISTINCT,
        SHARED,
    ),
    "the learning curve of another round": (
        alter(
            lambda own: replace(
                own, curve=[replace(point, train_loss=(0.701 + 0.012 + 0.01) / point.epoch) for point in own.curve]
            ),
            rounds=[2, 3],
        ),
        DISTINCT,
        SHARED,
    ),
    "a slower library for the baseline": (
        change_replicas(name=SINGLE, environment=ENVIRONMENT | {"TF_ENABLE_ONEDNN_OPTS": "0"}),
        SOFTWARE,
        SHARED,
    ),
    "a compiler's flag for one worker": (
        change_replicas(index=1, environment=ENVIRONMENT | {"XLA_FLAGS": "--fast"}),
        SOFTWARE,
        SHARED,
    ),
    "twice the threads for a core": (
        change_replicas(environment=ENVIRONMENT | {"OMP_NUM_THREADS": "2"}),
        SOFTWARE,
        SHARED,
    ),
    "another image under the same tag": (move_tag, "same image", SHARED),
    "a worker on another kind of node": (run_on_other_nodes, HOST, SHARED),
    "workers on two machines": (change_replicas(index=1, host="node-2"), HOST, SHARED),
    "two cores for each worker": (
        alter(
            lambda own: replace(
                own, replicas=[replace(each, cpus=[2 * each.index, 2 * each.index + 1]) for each in own.replicas]
            )
        ),
        CPUS,
        SHARED,
    ),
    "more computing than a core can do": (change_replicas(cpu_seconds=120.0), CPUS, SHARED),
    "the baseline first in every round": (put_baseline_first, ROUNDS, SINGLE),
    "a place that is not there": (change_fields(rounds=[4], place=9), ROUNDS, SHARED),
    "places that are not the order of time": (
        lambda records: [replace(own, place={3: 4, 4: 3}.get(own.place or 0, own.place)) for own in records],
        ROUNDS,
        SINGLE,
    ),
    "places that all trials hide": (lambda records: [replace(own, place=None) for own in records], ROUNDS, SINGLE),
    "one trial that hides its place": (change_fields(rounds=[2], place=None), ROUNDS, SHARED),
    "a better round's seed and number for the baseline": (repeat_best_baseline, ROUNDS, SINGLE),
    "luckier seeds than were planned": (
        lambda records: [
            replace(own, seed=own.seed + 40, initial_weights_sha256=f"{own.seed + 1}" * 64) for own in records
        ],
        SEEDS_RULE,
        SHARED,
    ),
    "a clock cut in the record alone": (copy_clocks_only, CONSISTENT, SHARED),
    "a worker that hardly trained": (alter(drop_first_worker_clock), CONSISTENT, SHARED),
    "two trials side by side behind the wall's clock": (run_side_by_side, "no two trials at a time", SINGLE),
    "a whole job that is shorter than it was": (
        alter(lambda own: replace(own, started_monotonic=(own.started_monotonic or 0.0) - 5.0), rounds=[3]),
        CONSISTENT,
        SHARED,
    ),
    "ten minutes of which nothing is said": (shift(600.0, rounds=(3, 4)), ROUNDS, SHARED),
    "a trial of another day under this run's name": (
        change_fields(name=SINGLE, rounds=[3], boot_id="boot-2"),
        ROUNDS,
        SINGLE,
    ),
    "a neighbour on the baseline's core": (change_replicas(name=SINGLE, others_cpu_seconds=15.0), CORES_RULE, SINGLE),
    "a hypervisor that took the baseline's core": (
        change_replicas(name=SINGLE, rounds=[2], steal_seconds=9.0),
        CORES_RULE,
        SINGLE,
    ),
    "a trial that waited for cores": (change_replicas(rounds=[3], waited_seconds=10.0), CORES_RULE, SHARED),
    "a baseline in small groups": (
        change_fields(name=SINGLE, batch_norm_group_size=16),
        "same way of BatchNorm",
        SHARED,
    ),
    "groups that one configuration shares": (change_fields(same_batch_norm=True), "same way of BatchNorm", SHARED),
    "a curve whose epochs are out of order": (alter(change_curve), CONSISTENT, SHARED),
    "fewer steps than the clock says": (alter(cut_steps_in_half), CONSISTENT, SHARED),
    "measured again until it suited": (
        change_fields(name=SINGLE, rounds=[2], earlier_attempts=[{"train_seconds": 50.0}, {"train_seconds": 55.0}]),
        "no restart, no resumption",
        SINGLE,
    ),
    "a restart that is not counted": (change_replicas(index=1, restarts=1), CONSISTENT, SHARED),
    "a learning rate that was not planned": (
        lambda records: [replace(own, learning_rate=0.1) for own in records],
        SETTINGS_RULE,
        SHARED,
    ),
}
