from dataclasses import fields

import pytest

from components.clean_up import clean_up
from components.plan_comparison import plan_comparison
from components.planning.form import list_form
from components.planning.parameters import Parameters
from components.prepare_data import prepare_data
from model.training import TrainingConfig
from pipeline.speedup import speedup_pipeline

FORM = speedup_pipeline.component_spec.inputs
DEFAULTS = vars(Parameters())
DESCRIPTIONS = {parameter.name: parameter.metadata["help"] for parameter in fields(Parameters)}
TRAINING = {setting.name: setting for setting in fields(TrainingConfig)}


def test_the_form_has_its_fields_with_their_defaults_and_descriptions() -> None:
    told = {name: (field.default, field.description) for name, field in FORM.items()}
    assert told == {entry.name: (entry.default, entry.description) for entry in list_form()}


def test_the_planning_step_takes_every_parameter_as_the_form_gives_it() -> None:
    taken = {name: entry.type for name, entry in plan_comparison.component_spec.inputs.items()}
    assert taken == {"pipeline_job_id": "String", **{name: field.type for name, field in FORM.items()}}


@pytest.mark.parametrize("step", [clean_up, plan_comparison, prepare_data], ids=lambda step: str(step.name))
def test_no_step_tells_another_default_or_description_of_a_parameter(step: object) -> None:
    inputs = step.component_spec.inputs  # type: ignore[attr-defined]  # KFP has no types
    told = [inputs[name] for name in inputs.keys() & FORM.keys()]
    assert told
    assert {(entry.default, entry.description) for entry in told} == {(None, None)}


@pytest.mark.parametrize("name", sorted(TRAINING.keys() & DEFAULTS.keys() - {"num_ps"}))
def test_a_setting_of_the_training_has_its_default_there(name: str) -> None:
    assert DEFAULTS[name] == TRAINING[name].default


# The form's `scaling` may be both, its `seed` is the first trial's, and its `num_ps` that of the servers' trainings.
@pytest.mark.parametrize("name", sorted(TRAINING.keys() & DEFAULTS.keys() - {"scaling", "seed", "num_ps"}))
def test_a_setting_of_the_training_is_described_as_there(name: str) -> None:
    assert DESCRIPTIONS[name].lower().startswith(TRAINING[name].metadata["help"].lower())
