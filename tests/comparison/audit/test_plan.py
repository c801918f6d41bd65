import dataclasses
from typing import Any

import pytest

from comparison.audit.plan import SETTINGS_RULE, audit_plan
from comparison.groups import group_trials
from comparison.records import TrialRecord
from model.plan import SCALINGS, plan_configurations
from model.training import TrainingConfig
from tests.comparison.audit.mirrored_run import make_mirrored_run
from tests.comparison.record_factory import make_record, make_run_info

# What may differ between the configurations of a plan: how a training is distributed.
DISTRIBUTION = {"strategy", "num_workers", "num_ps", "scaling"}
OTHERS = [setting.name for setting in dataclasses.fields(TrainingConfig) if setting.name not in DISTRIBUTION]


def list_entries(scaling: str = "strong") -> list[dict[str, Any]]:
    configurations = plan_configurations(
        TrainingConfig(), strategies=["all_reduce", "parameter_server"], workers=[2, 4], num_ps=1, scaling=scaling
    )
    return [configuration.to_json() for configuration in configurations]


def check(entries: list[dict[str, Any]]) -> tuple[str, ...]:
    """Returns which configurations are planned with settings of their own."""
    plan = make_run_info(configurations=entries)
    groups = group_trials([make_record("none-2w")])
    return {finding.rule: finding.configurations for finding in audit_plan(groups, plan)}[SETTINGS_RULE]


@pytest.mark.parametrize("scaling", SCALINGS)
def test_a_plan_of_this_project_differs_in_nothing_but_how_trainings_are_distributed(scaling: str) -> None:
    assert check(list_entries(scaling)) == ()


@pytest.mark.parametrize("scaling", SCALINGS)
@pytest.mark.parametrize("name", OTHERS)
def test_every_other_setting_of_one_configuration_alone_is_told(name: str, scaling: str) -> None:
    *entries, last = list_entries(scaling)
    value = last["training"][name]
    other = not value if isinstance(value, bool | None) else f"{value}?" if isinstance(value, str) else value + 1

    assert check([*entries, last | {"training": last["training"] | {name: other}}]) == (last["name"],)


def count_baselines(records: list[TrialRecord], trials: int, **parameters: Any) -> str:
    plan = make_run_info(parameters={"trials": trials, "seed": 0, **parameters})
    plan = dataclasses.replace(plan, configurations=plan.configurations[:2])
    return audit_plan(group_trials(records), plan)[0].sentence


def test_an_odd_number_of_rounds_has_one_more_trial_of_the_baseline() -> None:
    records = [own for own in make_mirrored_run() if (own.round or 0) < 4]
    end = dataclasses.replace(records[-2], trial=4, round=3, place=7)

    assert count_baselines([*records, end], 3) == (
        "Received: 3 trials of each configuration, one more of the baseline."
    )
    assert count_baselines(records, 3) == "single: 3 of 4 planned trials."
    older = [dataclasses.replace(own, round=None, place=None) for own in records]
    assert count_baselines(older, 3) == "Received: 3 trials of each configuration."
    assert count_baselines(older, 3, a_a=False) == "single: 3 of 4 planned trials."
