import json
import re
import textwrap
from dataclasses import fields
from typing import Any

import pytest
import yaml

from components.planning.form import describe_form, fill_form, keeps_failed_jobs, list_form, read_form
from components.planning.parameters import Parameters
from model.errors import ConfigError

# All that is rarely set, unlike the defaults: what a person writes, and the parameters that it stands for.
WRITTEN: dict[str, Any] = {
    "max_train_images": 600,
    "model_arguments": {"width": 32},
    "loss": "huber",
    "num_ps": 2,
    "same_batch_norm": True,
    "precision": "bfloat16",
    "deterministic": False,
    "jit_compile": True,
    "bigger_nodes": True,
    "a_a": True,
    "seed": 7,
    "share_gpus": True,
    "cpu_price": 0.05,
    "gpu_price": 2.5,
    "deadline_minutes": 5,
    "pending_minutes": 3,
    "job": {"queue_name": "team-a", "tolerations": [{"key": "gpu", "operator": "Exists"}]},
    "isolate_replicas": "never",
    "keep_failed_jobs": True,
}
OF_OWN_PROGRAM: dict[str, Any] = {
    "command": "python train.py {output_dir}",
    "progress": "keras",
    "progress_regex": ["loss=loss: (.*)"],
    "metric": "auc",
    "metric_direction": "max",
    "batch_size_per_replica": 64,
    "measure_steps": 100,
    "chief_trains": True,
    "placement": "spread",
}
OBJECTS = {"model_arguments": json.dumps(WRITTEN["model_arguments"]), "job_settings": json.dumps(WRITTEN["job"])}
STANDS_FOR = {name: value for name, value in (WRITTEN | OF_OWN_PROGRAM).items() if name != "job"} | OBJECTS


def test_the_form_has_a_field_for_what_is_common_and_one_for_all_that_is_rare() -> None:
    names = [entry.name for entry in list_form()]
    common = [parameter.name for parameter in fields(Parameters) if parameter.name not in STANDS_FOR]
    assert names == [*common, "settings"]
    assert len(names) <= 17


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
def test_settings_are_parameters_written_as_json_or_yaml(write: Any) -> None:
    assert read_form({"epochs": 5, "settings": write(WRITTEN | OF_OWN_PROGRAM)}) == Parameters(epochs=5, **STANDS_FOR)


@pytest.mark.parametrize("text", ["", "  ", "{}", "null", "# nothing"])
def test_without_settings_all_have_their_defaults(text: str) -> None:
    assert read_form({"settings": text}) == Parameters()


def test_an_object_may_be_a_text_as_on_the_command_line() -> None:
    assert read_form(
        {"settings": json.dumps(WRITTEN | OF_OWN_PROGRAM | {"job": OBJECTS["job_settings"]})}
    ) == Parameters(**STANDS_FOR)


@pytest.mark.parametrize("parameters", [Parameters(), Parameters(epochs=5, workers=[2, 4], **STANDS_FOR)])
def test_a_form_that_a_program_fills_in_gives_the_same_parameters(parameters: Parameters) -> None:
    form = fill_form(parameters)
    assert form.keys() == {entry.name for entry in list_form()}
    assert read_form(form) == parameters


def test_a_form_of_an_older_version_is_read() -> None:
    assert read_form(vars(Parameters(**STANDS_FOR))) == Parameters(**STANDS_FOR)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", r"settings must be an object, as JSON or YAML\. Received: '\[1\]'\."),
        ("seed", r"settings must be an object, as JSON or YAML\. Received: 'seed'\."),
        ('{"seed": 1', r"settings must be JSON or YAML \(.* in line 1, column 11\)\. Received: "),
        ("sed: 1", r"settings must have names out of max_train_images, .*\. Received: 'sed'\."),
        ("epochs: 1", r"settings must have names out of max_train_images, .*\. Received: 'epochs'\."),
        ("seed: one", r"settings\.seed must be a whole number\. Received: 'one'\."),
        ("seed: null", r"settings\.seed must be a whole number\. Received: None\."),
        ("bigger_nodes: 1", r"settings\.bigger_nodes must be true, false or null\. Received: 1\."),
        ("model_arguments: 3", r"settings\.model_arguments must be text\. Received: 3\."),
        (
            "model_arguments: {a: [1, .nan]}",
            r"settings\.model_arguments\.a\[1\] must be text, .* Received: nan",
        ),
        ("job: {labels: {since: 2026-01-01}}", r"settings\.job\.labels\.since must be text, .* Received: 2026-01-01\."),
        ("a: &a {b: *a}", r"settings must not hold itself, nor nest as deeply\. Received: "),
        ('{"seed": ' * 100_000, r"settings must not hold itself, nor nest as deeply\. Received: '\{\"seed\": \{\""),
        ("job: {labels: {1: a}}", r"settings\.job\.labels must have texts for names: .* Received: 1\."),
        ("job: {labels: {since: 2026-02-30}}", r"settings must be JSON or YAML \(day is out of range"),
        ("job: {queue: a}", r"^settings\.job must be .* queue_name, .*Received: 'queue'"),
        ("job: {tolerations: 1}", r"^settings\.job.*tolerations must be .* Received: 1"),
    ],
)
def test_a_mistake_in_settings_is_told_with_its_path(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_form({"settings": text})


@pytest.mark.parametrize("value", [{}, None, 1])
def test_settings_are_a_text(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"settings must be text\. Received: "):
        read_form({"settings": value})


def test_what_is_no_parameter_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"The parameters must be some of image, .*\. Received: color\."):
        read_form({"color": "red"})


def test_the_description_tells_what_every_field_means_and_what_there_is_in_settings() -> None:
    told = describe_form()
    assert re.findall(r"^- \*\*`(\w+)`\*\*: .", told, re.MULTILINE) == [entry.name for entry in list_form()]
    assert "- **`workers`**: Numbers of workers to compare. A list: `[2]`." in told
    assert f"In it: {', '.join(f'`{name}`' for name in WRITTEN)}; docs/schemas.md describes them and more." in told


def test_the_description_fits_the_dashboards_card_in_a_window_of_1000_pixels() -> None:
    # A line of the card has 58 characters or more, and there is room for 34 of them below the names of the version.
    assert (
        sum(len(textwrap.wrap(line.replace("*", "").replace("`", ""), 58)) for line in describe_form().splitlines())
        <= 34
    )


def test_the_description_has_underscores_and_braces_of_examples_in_code_alone() -> None:
    # The dashboard's Markdown shows `all_reduce, parameter_server` outside of code as allreduce, parameterserver.
    outside = re.sub(r"`[^`\n]*`", "", describe_form())
    assert "_" not in outside
    assert all(line.startswith("- **") for line in outside.splitlines()[:10])
    assert '`{"seed": 1, "job": {"queue_name": "team-a"}}`' in describe_form()


def test_a_job_is_kept_only_where_the_form_can_be_read_and_says_so() -> None:
    assert keeps_failed_jobs('{"keep_failed_jobs": true}')
    assert not keeps_failed_jobs("{}")
    assert not keeps_failed_jobs("{keep_failed_jobs: [}")
