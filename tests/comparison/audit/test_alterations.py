"""What a hurried or a dishonest person might change, each told where a record can tell."""

from dataclasses import replace
from typing import Any

import pytest

from comparison.audit.findings import Status
from comparison.audit.marks import mark_configurations
from comparison.audit.plan import SETTINGS_RULE, audit_plan
from comparison.audit.rules import CORES_RULE, audit_fairness
from comparison.groups import group_trials
from comparison.records import QuietWait
from tests.comparison.audit.alterations import FRESH, NAMED, ROUNDS, SOFTWARE, shift
from tests.comparison.audit.mirrored_run import (
    SHARED,
    SINGLE,
    Alteration,
    audit_run,
    change_fields,
    change_replicas,
    confuse,
    describe_plan,
    find_broken,
    make_mirrored_run,
)


def test_a_run_that_is_told_in_full_breaks_no_rule_and_leaves_nothing_unsaid() -> None:
    findings = audit_run(make_mirrored_run())

    assert {rule: finding for rule, finding in findings.items() if finding.status is not Status.HOLDS} == {}
    assert len(FRESH) >= 30


@pytest.mark.parametrize(("alteration", "rule", "name"), [*NAMED.values(), *FRESH.values()], ids=[*NAMED, *FRESH])
def test_an_alteration_is_told(alteration: Alteration, rule: str, name: str) -> None:
    broken = find_broken(alteration(make_mirrored_run()))

    assert rule in broken, {own: finding.sentence for own, finding in broken.items()}
    assert name in broken[rule].configurations


@pytest.mark.parametrize("changes", [{"jit_compile": True}, {"max_shift": 0}, {"momentum": 0.0}, {"epochs": 1}])
def test_a_setting_that_only_one_configuration_was_planned_with_is_told(changes: dict[str, Any]) -> None:
    finding = find_broken(make_mirrored_run(), describe_plan(**changes))[SETTINGS_RULE]

    ((name, value),) = changes.items()
    assert finding.configurations == (SHARED,)
    assert f"{name} {value} instead of " in finding.sentence


@pytest.mark.parametrize("commit", ["unknown", "abc1234-dirty"])
def test_the_same_unknown_program_is_not_known_to_be_the_same_unless_one_image_ran(commit: str) -> None:
    records = [replace(own, versions=own.versions | {"git_sha": commit}) for own in make_mirrored_run()]
    imaged = [replace(own, backend="kubernetes", image="me/it:1", image_digest="sha256:1") for own in records]

    assert audit_run(records)[SOFTWARE].status is Status.UNKNOWN
    assert audit_run(imaged)[SOFTWARE].status is Status.HOLDS
    assert SOFTWARE in find_broken(change_fields(versions={**records[0].versions, "keras": "3"})(records))


@pytest.mark.parametrize("rounds", [(2, 3, 4), (3, 4), (4,)])
@pytest.mark.parametrize("seconds", [-0.3, -3600.0, 3600.0])
def test_a_clock_that_was_set_between_two_trials_breaks_nothing(seconds: float, rounds: tuple[int, ...]) -> None:
    assert find_broken(shift(seconds, rounds=rounds, is_clock_set=True)(make_mirrored_run())) == {}


@pytest.mark.parametrize("place", range(2, 9))
def test_a_wall_clock_that_was_set_by_a_third_of_a_second_breaks_nothing_either(place: int) -> None:
    silent = [replace(own, boot_id=None, started_monotonic=None, ended_monotonic=None) for own in make_mirrored_run()]
    late = [own for own in silent if (own.place or 0) >= place]
    names = ("started_at", "ended_at", "evaluated_at")
    moved = [
        replace(own, **{name: getattr(own, name) - 0.7 for name in names}) if own in late else own for own in silent
    ]

    assert find_broken(moved) == {}


def test_the_baselines_breach_is_told_from_the_configurations() -> None:
    def mark(alteration: Alteration) -> tuple[list[str], list[str]]:
        groups = group_trials(alteration(make_mirrored_run()))
        marks = mark_configurations(groups, [*audit_fairness(groups), *audit_plan(groups, describe_plan())])
        return marks.unfair_baselines, [name for name in marks.baselines if name in marks.unproven]

    assert mark(change_replicas(cpus=[0])) == ([], [])
    assert mark(change_fields(name=SINGLE, evaluated_at=0.0)) == ([SINGLE], [SINGLE])
    assert mark(change_replicas(name=SINGLE, cpu_seconds=300.0)) == ([SINGLE], [])


def test_a_wait_for_a_quiet_machine_explains_a_pause_and_is_told() -> None:
    records = shift(100.0, rounds=(3, 4))(make_mirrored_run())
    waited = [
        replace(own, quiet=QuietWait(99.0, ["chrome, 80 % of a core"])) if own.place == 5 else own for own in records
    ]

    assert ROUNDS in find_broken(records)
    finding = audit_run(waited)[ROUNDS]
    assert finding.status is Status.HOLDS
    assert "Waited 99 s for free cores before 1 trial, which these had above all: chrome." in finding.sentence


@pytest.mark.parametrize(
    ("hide", "rule"),
    [
        (
            change_fields(rounds=[2], boot_id=None, started_monotonic=None, ended_monotonic=None),
            "no two trials at a time",
        ),
        (change_replicas(environment=None), SOFTWARE),
        (change_replicas(rounds=[2], others_cpu_seconds=None, steal_seconds=None, waited_seconds=None), CORES_RULE),
    ],
)
def test_what_some_trials_hide_is_not_known(hide: Alteration, rule: str) -> None:
    assert audit_run(hide(make_mirrored_run()))[rule].status is Status.UNKNOWN


def test_an_environment_that_all_trials_hide_is_not_known_either() -> None:
    silent = [
        replace(own, replicas=[replace(replica, environment=None) for replica in own.replicas])
        for own in make_mirrored_run()
    ]

    assert audit_run(silent)[SOFTWARE].status is Status.UNKNOWN
    older = [replace(own, same_batch_norm=None, batch_norm_group_size=64) for own in silent]
    assert audit_run(older)[SOFTWARE].status is Status.HOLDS


def test_mistakes_that_most_models_make_are_the_datas() -> None:
    same = {own: value for own, value in confuse(1).items() if own != "test_n_examples"}
    alike = [replace(own, **same) for own in make_mirrored_run()]

    assert find_broken(alike) == {}
