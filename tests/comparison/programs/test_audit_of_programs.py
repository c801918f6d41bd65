"""Records that were altered in ways that move the answer: each must be told."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from comparison.audit import Finding, Status
from comparison.programs import ProgramAnalysis, ProgramReplica, ProgramTrial, analyze_programs
from comparison.programs.audit import FACTS, RULES
from tests.comparison.programs.program_factory import close_gaps, make_program_info, make_program_run, make_silent

Change = Callable[[ProgramTrial], ProgramTrial]


def analyze(trials: Sequence[ProgramTrial]) -> ProgramAnalysis:
    return analyze_programs(trials, make_program_info(trials))


def find(trials: Sequence[ProgramTrial], rule: str) -> Finding:
    return next(own for own in analyze(trials).findings if own.rule == rule)


def edit_one(
    edit: Change, workers: int = 2, number: int = 2, trials: Sequence[ProgramTrial] = ()
) -> list[ProgramTrial]:
    every = trials or make_program_run()
    return [edit(own) if (own.num_workers, own.round) == (workers, number) else own for own in every]


def edit_all(edit: Change, workers: int | None = None) -> list[ProgramTrial]:
    every = make_program_run()
    return [edit(own) if workers in (None, own.num_workers) else own for own in every]


def edit_replicas(trial: ProgramTrial, edit: Callable[[ProgramReplica], ProgramReplica]) -> ProgramTrial:
    return replace(trial, replicas=[edit(own) for own in trial.replicas])


def on_node(trial: ProgramTrial, **changes: Any) -> ProgramTrial:
    own = replace(trial, backend="kubernetes", image="team/train:1", image_digest="sha256:a")
    return replace(edit_replicas(own, lambda replica: replace(replica, node=f"node-{replica.index}")), **changes)


def train_alone(trial: ProgramTrial) -> ProgramTrial:
    """Workers without a strategy: each trains everything, in the time of one, and ends with metrics of its own."""
    told = [replace(own, examples=64_000.0, metrics={"accuracy": 0.98 + 0.001 * own.index}) for own in trial.replicas]
    examples = 64_000.0 * trial.num_workers
    rate = examples / (trial.train_seconds or 1.0)
    return replace(trial, examples=examples, examples_per_second=rate, replicas=told)


def share_perfectly(trial: ProgramTrial) -> ProgramTrial:
    """Workers with a batch each that scale perfectly: the same counts and clocks, and the same metrics."""
    own = train_alone(trial)
    return edit_replicas(own, lambda replica: replace(replica, metrics={"accuracy": 0.98}))


def test_a_sound_run_breaks_no_rule() -> None:
    analysis = analyze(make_program_run())

    assert [own.rule for own in analysis.findings if own.status is Status.VIOLATED] == []
    assert [own.rule for own in analysis.findings] == [rule.name for rule in RULES]


def test_a_rule_that_cannot_be_known_never_holds() -> None:
    silent = [make_silent(own) for own in make_program_run()]
    statuses = {own.rule: own.status for own in analyze(silent).findings}

    for rule in RULES:
        if rule.needs and not all(FACTS[need].is_told(silent[0]) for need in rule.needs):
            assert statuses[rule.name] is Status.UNKNOWN, rule.name
    assert "cannot be known here: 9 trials without the chief's first step" in find(silent, "no old checkpoint").sentence


def test_one_trial_that_does_not_tell_makes_a_rule_unknown_and_a_breach_outweighs_it() -> None:
    untold = edit_one(lambda own: replace(own, cpus_per_replica=None))
    broken = edit_one(lambda own: replace(own, cpus_per_replica=2.0), 4, 3, untold)

    assert find(untold, "same CPUs a replica").status is Status.UNKNOWN
    assert find(broken, "same CPUs a replica").configurations == ("workers-4",)


BREACHES: dict[str, tuple[str, list[ProgramTrial]]] = {
    "another image": (
        "the same image",
        [on_node(own, image_digest=f"sha256:{own.num_workers}") for own in make_program_run()],
    ),
    "more CPUs": ("same CPUs a replica", edit_all(lambda own: replace(own, cpus_per_replica=2.0), 2)),
    "more memory": (
        "same memory a replica",
        [on_node(own, memory_per_replica=f"{own.num_workers}Gi") for own in make_program_run()],
    ),
    "one trial on one node": (
        "spread over nodes alike",
        edit_one(
            lambda own: edit_replicas(own, lambda replica: replace(replica, node="node-1")),
            trials=[on_node(own) for own in make_program_run()],
        ),
    ),
    "another level": ("told alike by every trial", edit_one(lambda own: replace(own, level=1))),
    "one cut": ("all cut or none", edit_one(lambda own: replace(own, was_cut=True))),
    "old checkpoint": ("no old checkpoint", edit_one(lambda own: replace(own, first_step=800))),
    "an old checkpoint in all": ("no old checkpoint", edit_all(lambda own: replace(own, first_step=90_000))),
    "steps back": (
        "steps that count forwards",
        edit_one(lambda own: replace(own, notes=["worker-0's steps went back 2 times; time ran on."])),
    ),
    "restart": ("no restart, no repetition", edit_one(lambda own: replace(own, restarts=1))),
    "restart of a replica": (
        "no restart, no repetition",
        edit_one(lambda own: edit_replicas(own, lambda replica: replace(replica, restarts=1))),
    ),
    "again and again": (
        "no restart, no repetition",
        edit_one(lambda own: replace(own, earlier_attempts=[{"reason": "a"}, {"reason": "b"}])),
    ),
    "own metrics": ("workers that train one model", edit_all(train_alone, 2)),
    "no sharing": (
        "workers that share the work",
        [train_alone(own) for own in make_program_run({1: 60.0, 2: 60.5})],
    ),
    "contended": ("no trial contended", edit_one(lambda own: replace(own, contended=True))),
    "overlap": (
        "no two trials at a time",
        edit_one(lambda own: replace(own, started_at=own.started_at - 30, ended_at=own.ended_at - 30)),
    ),
    "a round less": ("trials in rounds", [own for own in make_program_run() if (own.num_workers, own.round) != (2, 2)]),
    "a copy": (
        "every trial measured anew",
        edit_one(lambda own: replace(own, started_at=make_program_run()[0].started_at)),
    ),
    "training longer than its job": (
        "counts and clocks add up",
        edit_one(lambda own: replace(own, train_seconds=own.job_seconds + 30, examples_per_second=None)),
    ),
    "a job longer than the whole": (
        "counts and clocks add up",
        edit_one(lambda own: replace(own, job_seconds=own.job_seconds + 30)),
    ),
    "a rate that is not the counts'": (
        "counts and clocks add up",
        edit_one(lambda own: replace(own, examples_per_second=10_000.0)),
    ),
    "a shorter job by its moments": (
        "counts and clocks add up",
        edit_one(lambda own: replace(own, ended_at=own.started_at + 1.0)),
    ),
    "a server more": ("counts and clocks add up", edit_all(lambda own: replace(own, num_ps=1), 2)),
    "a replica less": ("counts and clocks add up", edit_all(lambda own: replace(own, replicas=own.replicas[:1]), 2)),
    "a curve beyond the training": (
        "counts and clocks add up",
        edit_one(lambda own: replace(own, curve=[replace(point, train_seconds=500.0) for point in own.curve])),
    ),
    "half the time on paper": (
        "no faster than its workers",
        edit_all(lambda own: replace(own, level=1, train_seconds=(own.train_seconds or 0.0) / 2), 2),
    ),
    "more examples": ("same number of examples", edit_all(lambda own: replace(own, examples=128_000.0), 2)),
}


@pytest.mark.parametrize("name", BREACHES)
def test_what_moves_the_answer_is_told(name: str) -> None:
    rule, trials = BREACHES[name]
    finding = find(trials, rule)

    assert finding.status is Status.VIOLATED, finding.sentence
    assert finding.configurations


def test_a_decisive_breach_leaves_no_answer_and_another_one_is_said_with_it() -> None:
    decisive = analyze(edit_one(lambda own: replace(own, first_step=800), 4)).verdict
    unfair = analyze(edit_all(lambda own: replace(own, cpus_per_replica=2.0), 4)).verdict

    assert "no answer about 4 workers: rules of a fair comparison are broken (no old checkpoint)" in decisive
    assert "distributing pays off here: 4 workers" in unfair
    assert "it is not a fair comparison (broken: same CPUs a replica)" in unfair


def test_workers_that_never_work_together_do_not_pass_for_twice_as_fast() -> None:
    verdict = analyze([train_alone(own) for own in make_program_run({1: 60.0, 2: 60.5})]).verdict

    assert "no answer about 2 workers: rules of a fair comparison are broken (workers that share the work" in verdict


def test_a_perfect_scaling_whose_workers_end_with_the_same_metrics_is_one() -> None:
    analysis = analyze([share_perfectly(own) for own in make_program_run({1: 60.0, 2: 60.5})])

    assert analysis.given.kind == "pays_off"
    assert find(analysis.trials, "workers that share the work").status is Status.HOLDS


def test_a_perfect_scaling_of_which_nothing_is_proven_is_warned_of() -> None:
    def grow(own: ProgramTrial) -> ProgramTrial:
        examples = 64_000.0 * own.num_workers
        return replace(own, examples=examples, examples_per_second=examples / (own.train_seconds or 1.0))

    analysis = analyze([grow(own) for own in make_program_run({1: 60.0, 2: 60.5})])

    assert any("That they work together at all is not proven" in warning for warning in analysis.warnings)


def test_workers_of_a_parameter_server_may_tell_metrics_of_their_own() -> None:
    def serve(own: ProgramTrial) -> ProgramTrial:
        server = replace(own.replicas[0], name="ps-0", type="ps")
        return replace(train_alone(own), num_ps=1, replicas=[*train_alone(own).replicas, server])

    assert find(edit_all(serve, 2), "workers that train one model").status is not Status.VIOLATED


def test_a_program_that_prints_seldom_has_found_no_old_checkpoint_for_all_that_is_known() -> None:
    finding = find(edit_all(lambda own: replace(own, first_step=100)), "no old checkpoint")

    assert finding.status is Status.UNKNOWN
    assert "prints seldom, or all found an old checkpoint" in finding.sentence


def test_more_work_in_a_row_is_told_apart_and_makes_no_row_unfair() -> None:
    analysis = analyze(edit_all(lambda own: replace(own, examples=70_000.0, examples_per_second=None), 2))

    assert "workers-2" not in analysis.marks.unfair
    assert analysis.case.measure.basis == "throughput"


def test_where_the_replicas_ran_is_told() -> None:
    trials = [on_node(own) for own in make_program_run()]

    assert find(trials, "spread over nodes alike").sentence == (
        "Received: single: one node; workers-2: several nodes; workers-4: several nodes."
    )


def test_a_trial_that_waited_for_cores_is_marked_as_held_up() -> None:
    def wait(own: ProgramTrial, share: float) -> ProgramTrial:
        return edit_replicas(own, lambda replica: replace(replica, waited_seconds=share * own.job_seconds))

    trials = [wait(own, 0.02) for own in make_program_run()]
    analysis = analyze(edit_one(lambda own: wait(own, 0.3), trials=trials))

    assert analysis.marks.disturbed == ["workers-2"]
    assert "usual are 2 %" in find(analysis.trials, "no trial held up").sentence


def test_a_restarted_trial_has_no_time_and_the_others_count() -> None:
    slow = edit_one(lambda own: replace(own, restarts=1, train_seconds=1_000.0))

    assert analyze(slow).rows[1].train_seconds == pytest.approx(33.0, rel=0.02)
    all_restarted = edit_all(lambda own: replace(own, restarts=1), 4)
    assert "no answer about 4 workers: none of its trials has a time" in analyze(all_restarted).verdict


def test_attempts_before_a_trial_are_told() -> None:
    finding = find(
        edit_one(lambda own: replace(own, earlier_attempts=[{"reason": "lost"}])), "no restart, no repetition"
    )

    assert finding.status is Status.HOLDS
    assert finding.sentence.endswith("1 trial had an earlier attempt.")


def test_what_is_declared_is_listed_in_one_line() -> None:
    analysis = analyze(close_gaps([replace(own, declared=["batch_size_per_replica"]) for own in make_program_run()]))

    assert analysis.declared == (
        "Declared, and not known: data and their order, initial weights, hyper-parameters, the batch of a worker."
    )


def test_of_a_program_that_tells_nothing_not_even_a_training_is_known() -> None:
    declared = analyze([make_silent(own) for own in make_program_run()]).declared
    assert declared == (
        "Declared, and not known: that anything was trained, data and their order, initial weights, hyper-parameters."
    )
