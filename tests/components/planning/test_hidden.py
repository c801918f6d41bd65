import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from components.planning.form import SETTINGS, fill_form
from components.planning.hidden import (
    SECRETS_VARIABLE,
    find_hidden,
    hand_over,
    hide_secrets,
    hide_value,
    make_hider,
    may_tell_secrets,
    reveal,
    take_given,
)
from components.planning.parameters import Parameters
from components.planning.plan import plan_run, read_whole_plan

SIGNATURE, TOKEN = "a%2Bsigned+place", 'a "quoted" <token> & more'
URL = f"https://data.example/birds.npz?X-Signature={SIGNATURE}&expires=1795456854"
SETTINGS_OF_JOBS = {
    "env": {"TOKEN": TOKEN, "OMP_NUM_THREADS": 1, "KEY": {"secret_key_ref": {"name": "s", "key": "k"}}},
    "queue_name": "a",
}
SECRET = Parameters(dataset=URL, job_settings=json.dumps(SETTINGS_OF_JOBS))


@pytest.fixture(autouse=True)
def no_secrets_are_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SECRETS_VARIABLE, raising=False)


def test_a_urls_query_and_the_variables_values_are_hidden_and_nothing_else() -> None:
    hidden = hide_secrets(SECRET)
    assert hidden.dataset == "https://data.example/birds.npz?(hidden)"
    assert json.loads(hidden.job_settings) == SETTINGS_OF_JOBS | {
        "env": {**SETTINGS_OF_JOBS["env"], "TOKEN": "(hidden)", "OMP_NUM_THREADS": "(hidden)"}  # type: ignore[dict-item]
    }
    assert find_hidden(hidden) == ["dataset", "job_settings"]
    assert replace(hidden, dataset=URL, job_settings=SECRET.job_settings) == SECRET


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [
        ("mnist", "mnist"),
        ("data/a?b.npz", "data/a?b.npz"),
        ("https://data.example/a.npz", "https://data.example/a.npz"),
        ("file://me:key@host/a.npz", "file://host/a.npz?(hidden)"),
        ("https://data.example/a.npz#key", "https://data.example/a.npz?(hidden)"),
        ("https://[data.example/a.npz?key", "(hidden)"),
    ],
)
def test_a_data_set_without_a_secret_is_shown_as_it_is(dataset: str, shown: str) -> None:
    assert hide_value("dataset", dataset) == shown
    assert hide_value("dataset", shown) == shown


@pytest.mark.parametrize("text", ["{}", "", "[", '{"queue_name": "a"}', '{"env": {}}', "[" * 100_000])
def test_settings_without_a_variable_are_shown_as_they_are(text: str) -> None:
    assert hide_value("job_settings", text) == text


@pytest.mark.parametrize(
    ("parameters", "knows"),
    [
        (Parameters(), False),
        (Parameters(job_settings='{"queue_name": "a", "image_pull_secrets": ["b"]}'), False),
        (SECRET, True),
        (Parameters(job_settings='{"env": {"TOKEN": {"secret_key_ref": {"name": "s", "key": "k"}}}}'), True),
        (Parameters(tfjob="envFrom:\n- secretRef: {name: s}"), True),
        (Parameters(tfjob="volumes:\n- secret: {secretName: s}"), True),
    ],
)
def test_a_program_may_tell_secrets_that_it_was_given_or_that_the_cluster_gives_it(
    parameters: Parameters, knows: bool
) -> None:
    assert may_tell_secrets(parameters) is knows


def test_a_plan_is_written_without_secrets(tmp_path: Path) -> None:
    plan_run("1", SECRET).write(tmp_path / "run.json")
    written = (tmp_path / "run.json").read_text()
    assert "(hidden)" in written
    assert not [secret for secret in (SIGNATURE, "signed", "token") if secret in written]


def test_a_step_that_starts_jobs_gets_their_variables_from_the_pipeline(tmp_path: Path) -> None:
    plan = plan_run("1", SECRET)
    plan.write(tmp_path / "run.json")
    settings = fill_form(SECRET)[SETTINGS]
    assert json.loads(read_whole_plan(tmp_path / "run.json", settings).parameters.job_settings) == SETTINGS_OF_JOBS


def test_on_this_machine_a_step_gets_them_from_the_environment_and_its_replicas_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan_run("1", SECRET).write(tmp_path / "run.json")
    environment = hand_over(SECRET)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    settings = fill_form(hide_secrets(SECRET))[SETTINGS]
    assert reveal("dataset", hide_secrets(SECRET).dataset) == URL
    assert reveal("dataset", "https://other.example/a.npz?(hidden)") == "https://other.example/a.npz?(hidden)"
    assert json.loads(read_whole_plan(tmp_path / "run.json", settings).parameters.job_settings) == SETTINGS_OF_JOBS
    assert reveal("dataset", hide_secrets(SECRET).dataset) != URL  # it is gone from the environment


def test_what_is_given_in_the_environment_is_inherited_by_nobody() -> None:
    environ = {"TFJOB_SPEEDUP_DATASET_URL": URL, "TFJOB_SPEEDUP_JOB_SETTINGS": "", "PATH": "/bin"}
    assert take_given(environ) == {"dataset": URL}
    assert environ == {"PATH": "/bin"}


def write_as_go_does(text: str) -> str:
    written = json.dumps(text, ensure_ascii=False)
    return written.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def test_a_log_that_tells_the_parameters_is_without_secrets() -> None:
    hide = make_hider(SECRET)
    form = fill_form(SECRET)
    lines = [URL, TOKEN, json.dumps(form, indent=4), write_as_go_does(json.dumps(form)), f"GET ?{SIGNATURE} failed"]
    told = hide("\n".join([*lines, *(write_as_go_does(text) for text in (URL, form[SETTINGS]))]))
    assert not [secret for secret in ("signed", "more", "quoted") if secret in told]
    assert "epoch 1 of 17" in hide("epoch 1 of 17")


@pytest.mark.parametrize(
    ("dataset", "settings"),
    [
        ("https://[data.example/a?key=1234567", "{}"),
        ("mnist", '{"env": ["secret"]}'),
        ("mnist", '{"env": "secret"}'),
        ("mnist", '{"env": [{"name": "A", "value": "secret"}]}'),
    ],
)
def test_what_will_be_refused_is_hidden_as_a_whole(dataset: str, settings: str) -> None:
    hide = make_hider(Parameters(dataset=dataset, job_settings=settings))
    assert "(hidden)" in hide(f"{dataset} {settings}")
    assert "secret" not in hide(settings)
    assert "secret" not in hide(f"Received: {json.loads(settings).get('env')!r}")


def test_each_line_of_a_long_secret_is_taken_out_of_a_log() -> None:
    hide = make_hider(Parameters(job_settings=json.dumps({"env": {"KEY": "-- begin\nabcdefgh\n-- the end"}})))
    assert [hide(line) for line in ("-- begin", "abcdefgh", "other")] == ["(hidden)", "(hidden)", "other"]


@given(st.text(min_size=6))
def test_no_text_of_six_characters_or_more_is_left_in_a_log(secret: str) -> None:
    hide = make_hider(Parameters(job_settings=json.dumps({"env": {"A": secret}})))
    assert hide(f"<<{secret}>>") == "<<(hidden)>>"
    assert hide(f"<<{json.dumps(secret)[1:-1]}>>") == "<<(hidden)>>"


MANIFEST = """
# the token is for the data
apiVersion: kubeflow.org/v1
kind: TFJob
metadata: {name: mine}
spec:
  tfReplicaSpecs:
    Worker:
      replicas: 2
      template:
        spec:
          containers:
            - name: tensorflow
              image: registry.example/mine:1
              command: [python, train.py, --out, "{output_dir}"]
              env:
                - {name: TOKEN, value: a-very-secret-token}
                - {name: WORKERS, value: "{workers}"}
                - {name: OPTIONS, value: "--key=hidden-key --out={output_dir}"}
                - {name: KEY, valueFrom: {secretKeyRef: {name: s, key: k}}}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {k: another-secret}
"""
OF_MANIFEST = ("a-very-secret-token", "hidden-key", "another-secret", "the token is for the data")


def test_a_manifests_variables_are_hidden_and_all_else_can_be_planned(tmp_path: Path) -> None:
    parameters = Parameters(tfjob=MANIFEST)
    plan = plan_run("1", parameters)
    plan.write(tmp_path / "run.json")
    written = (tmp_path / "run.json").read_text()
    assert not [secret for secret in OF_MANIFEST if secret in written]
    hidden = hide_secrets(parameters)
    documents = [*yaml.safe_load_all(hidden.tfjob)]
    container = documents[0]["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]
    assert [variable.get("value") for variable in container["env"]] == [
        "(hidden)",
        "{workers}",
        "(hidden){output_dir}",
        None,
    ]
    assert container["command"] == ["python", "train.py", "--out", "{output_dir}"]
    assert documents[1]["stringData"] == {"k": "(hidden)"}
    assert plan_run("1", hidden).configurations == plan.configurations
    assert hide_secrets(hidden) == hidden
    assert find_hidden(hidden) == ["tfjob"]


def test_a_step_that_starts_jobs_gets_a_manifest_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = Parameters(tfjob=MANIFEST)
    plan_run("1", parameters).write(tmp_path / "run.json")
    assert read_whole_plan(tmp_path / "run.json", "{}", MANIFEST).parameters == parameters  # on a server
    monkeypatch.setenv(SECRETS_VARIABLE, hand_over(parameters)[SECRETS_VARIABLE])
    told = hide_secrets(parameters).tfjob
    assert read_whole_plan(tmp_path / "run.json", "{}", told).parameters == parameters  # on this machine


def test_a_log_that_tells_a_manifest_is_without_its_secrets() -> None:
    hide = make_hider(Parameters(tfjob=MANIFEST))
    told = hide("\n".join([json.dumps(fill_form(Parameters(tfjob=MANIFEST)), indent=4), f"TOKEN={OF_MANIFEST[0]}"]))
    assert not [secret for secret in OF_MANIFEST if secret in told]


@pytest.mark.parametrize("text", ["{", "a: &a [*a]", "\0", "- 1", "a: 2026-02-30"])
def test_a_manifest_that_will_be_refused_is_hidden_as_a_whole_or_holds_no_variable(text: str) -> None:
    assert hide_value("tfjob", text) in ("(hidden)", text)


@pytest.mark.parametrize(
    "write",
    [
        lambda job: json.dumps(job, indent="\t"),
        lambda job: yaml.safe_dump(job) + "\n---\nkind: Note\nsince: 2026-02-30\n",
    ],
)
def test_what_the_manifest_can_be_written_in_can_be_hidden_and_planned(write: Any) -> None:
    text = write(next(yaml.safe_load_all(MANIFEST)))
    hidden = hide_value("tfjob", text)
    assert OF_MANIFEST[0] in text
    assert OF_MANIFEST[0] not in hidden
    plans = [plan_run("1", Parameters(tfjob=tfjob)).configurations for tfjob in (text, hidden)]
    assert plans[0] == plans[1]


def test_a_manifest_that_is_small_to_write_and_large_to_read_is_hidden_as_a_whole_and_at_once() -> None:
    bomb = "env0: &a0 [x]\n" + "".join(f"env{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9))
    began = time.thread_time()
    assert hide_value("tfjob", bomb + "env: [{name: a, value: a-secret}]\n") == "(hidden)"
    assert time.thread_time() - began < 60


SIGNED = "s3key7890abc"
APPLIED = json.dumps({"kind": "TFJob", "spec": {"env": [{"name": "TOKEN", "value": "a-very-secret-token"}]}})


@pytest.mark.parametrize(
    "put",
    [
        lambda job: (
            job["metadata"]
            .setdefault("annotations", {})
            .update({"kubectl.kubernetes.io/last-applied-configuration": APPLIED})
        ),
        lambda job: _container(job).update(args=["--data", f"https://me:{SIGNED}@data.example/a?b={SIGNED}&c=1"]),
        lambda job: _container(job)["command"].append(f"curl 'https://data.example/{{seed}}?sig={SIGNED}' | tar x"),
        lambda job: job["metadata"].setdefault("annotations", {}).update(source=f"see https://a.example/#{SIGNED}"),
    ],
)
def test_secrets_are_found_wherever_in_a_manifest_they_stand(put: Any, tmp_path: Path) -> None:
    job = next(yaml.safe_load_all(MANIFEST))
    put(job)
    parameters = Parameters(tfjob=yaml.safe_dump(job))
    hidden = hide_value("tfjob", parameters.tfjob)
    assert not [secret for secret in (SIGNED, *OF_MANIFEST[:2]) if secret in hidden]
    assert hide_value("tfjob", hidden) == hidden
    assert plan_run("1", Parameters(tfjob=hidden)).configurations == plan_run("1", parameters).configurations
    told = make_hider(parameters)("\n".join([json.dumps(job), *json.dumps(job, indent=1).splitlines()]))
    assert not [secret for secret in (SIGNED, *OF_MANIFEST[:2]) if secret in told]


def _container(job: Any) -> Any:
    return job["spec"]["tfReplicaSpecs"]["Worker"]["template"]["spec"]["containers"][0]


COMMAND = f"python train.py --data 'https://me:{SIGNED}@data.example/a.npz?sig={SIGNED}&e=1' --seed {{seed}}"


def test_a_url_in_a_command_is_hidden_and_a_step_that_starts_jobs_gets_the_whole_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = Parameters(command=COMMAND)
    hidden = hide_secrets(parameters)
    assert hidden.command == "python train.py --data 'https://data.example/a.npz?(hidden)' --seed {seed}"
    assert find_hidden(hidden) == ["command"]
    plan = plan_run("1", parameters)
    plan.write(tmp_path / "run.json")
    assert SIGNED not in (tmp_path / "run.json").read_text()
    assert plan_run("1", hidden).configurations == plan.configurations
    monkeypatch.setenv(SECRETS_VARIABLE, hand_over(parameters)[SECRETS_VARIABLE])
    whole = read_whole_plan(tmp_path / "run.json", fill_form(hidden)[SETTINGS])
    assert whole.parameters.command == COMMAND
    assert SIGNED not in make_hider(parameters)(f"{COMMAND}\n{COMMAND!r}\n{json.dumps(fill_form(parameters))}")


@pytest.mark.parametrize("command", ["python train.py", "python train.py --data s3://bucket/{seed} 'a?b#c@d'"])
def test_a_command_without_a_secret_is_shown_as_it_is(command: str) -> None:
    assert hide_value("command", command) == command


def test_a_manifest_without_variables_is_shown_as_it_is() -> None:
    text = "kind: TFJob  # mine\n"
    assert hide_value("tfjob", text) == text
    assert hide_value("tfjob", "") == ""
