"""A person's own TFJob as pods: from its manifest alone, which knows nothing of this project."""

import json

import pytest

from tests.cluster.own_run import OwnRun
from tfjob.errors import JobFailed, JobNotStarted

STEPS = "import time\nfor step in range(1, 5): print('step', step, flush=True); time.sleep(0.5)"
FOREVER = "import time, itertools\nfor step in itertools.count(1): print('step', step, flush=True); time.sleep(0.2)"


def test_a_job_with_a_sidecar_first_and_an_init_container_is_timed_by_its_own_container(own_run: OwnRun) -> None:
    sidecar = own_run.make_container("log", "import time\nwhile True: print('step 99', flush=True); time.sleep(0.5)")
    init = own_run.make_container("wait", "import time; time.sleep(3)")
    replica = own_run.make_replica(STEPS, before=(sidecar,), initContainers=[init])
    result = own_run({"worker": replica})
    for name in ("worker-0", "worker-1"):
        assert own_run.lines(name) == [f"step {step}" for step in range(1, 5)]
    times = [line.at for line in own_run.heard if line.replica == "worker-0"]
    assert all(times)
    assert times == sorted(at for at in times if at)
    assert all(replica.started_at - 2 < at for replica in result.replicas for at in times if at)
    assert result.queue_seconds > 3
    assert {replica.exit_code for replica in result.replicas} == {0}
    assert len({replica.node for replica in result.replicas} - {None}) == 1
    assert not result.was_ended


def test_a_measured_job_that_ignores_sigterm_is_ended_and_has_succeeded(own_run: OwnRun) -> None:
    code = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{FOREVER}"
    replicas = {"Worker": own_run.make_replica(code)}
    result = own_run(replicas, is_measured=lambda: len(own_run.lines("worker-0")) >= 5)
    assert result.was_ended
    assert {replica.exit_code for replica in result.replicas} == {None}
    assert all(replica.ended_at > replica.started_at for replica in result.replicas)
    assert any(line.startswith("Succeeded: job trial-1 is measured, and is ended") for line in own_run.told)


def test_who_never_ends_is_ended_with_the_master(own_run: OwnRun) -> None:
    code = (
        "import json, os, sys, time; config = json.loads(os.environ['TF_CONFIG']); kind = config['task']['type']\n"
        "print(json.dumps(config), flush=True); time.sleep(2 if kind == 'master' else 600)"
    )
    kinds = ("Master", "Worker", "PS", "Evaluator")
    result = own_run({kind: own_run.make_replica(code) for kind in kinds}, workers=1, num_ps=1)
    assert {replica.type: replica.exit_code for replica in result.replicas}["master"] == 0
    config = json.loads(own_run.lines("master-0")[0])
    address = f"trial-1-master-0.{own_run.namespace.name}.svc:2222"
    assert config["cluster"]["master"] == [address]
    assert sorted(config["cluster"]) == ["evaluator", "master", "ps", "worker"]


def test_a_folder_is_put_in_front_of_the_python_path_of_the_image(own_run: OwnRun) -> None:
    code = "import os, sys; print(os.environ['PYTHONPATH'], os.environ['SEED'], os.getpid(), flush=True)"
    replica = own_run.make_replica(code)
    replica["template"]["spec"]["containers"][0]["env"] = [{"name": "SEED", "value": "{seed}"}]
    own_run({"Worker": replica}, workers=1, env={"PYTHONPATH": "/ours"})
    path, seed, pid = own_run.lines("worker-0")[0].split()
    assert (path.partition(":")[0], seed) == ("/ours", "7")
    assert pid == "1"  # the shell is gone, and what it started hears signals itself


def test_a_lone_worker_gets_a_tf_config_where_it_is_asked_for(own_run: OwnRun) -> None:
    replica = own_run.make_replica("import os; print(os.environ.get('TF_CONFIG'), flush=True)")
    own_run({"Worker": replica}, workers=1)
    own_run({"Worker": replica}, workers=1, lone_tf_config=True)
    without, with_one = own_run.lines("worker-0")
    assert without == "None"
    address = f"trial-1-worker-0.{own_run.namespace.name}.svc:2222"
    assert json.loads(with_one)["cluster"] == {"worker": [address]}


def test_a_replica_that_fails_ends_the_trial_whatever_the_manifest_says(own_run: OwnRun) -> None:
    code = "import os, sys, time; sys.exit(138) if 'worker-1' in os.environ['HOSTNAME'] else time.sleep(600)"
    replica = own_run.make_replica(code) | {"restartPolicy": "OnFailure"}
    with pytest.raises(JobFailed) as caught:
        own_run({"Worker": replica})
    assert (caught.value.replica, caught.value.exit_code) == ("worker-1", 138)


def test_output_without_a_newline_comes_while_it_runs(own_run: OwnRun) -> None:
    code = (
        "import itertools, sys, time\n"
        "for step in itertools.count():\n"
        "    sys.stdout.write('\\r%d/9 ' % step + '=' * 1000); sys.stdout.flush(); time.sleep(0.02)"
    )
    result = own_run(
        {"Worker": own_run.make_replica(code)}, workers=1, is_measured=lambda: len(own_run.lines("worker-0")) > 2
    )
    assert result.was_ended
    assert all(len(text) <= 16 * 1024 for text in own_run.lines("worker-0"))
    assert all(line.at for line in own_run.heard)


def test_pods_go_together_or_say_that_they_cannot_go_apart(own_run: OwnRun) -> None:
    replicas = {"Worker": own_run.make_replica(STEPS)}
    result = own_run(replicas, placement="together")
    assert len({replica.node for replica in result.replicas}) == 1
    nodes = own_run.namespace.get("nodes")["items"]
    if len(nodes) == 1:
        waiting = {"Worker": own_run.make_replica("import time; time.sleep(600)")}  # else one ends before it is told
        with pytest.raises(JobNotStarted, match=r"Unschedulable: .*anti-affinity"):
            own_run(waiting, placement="spread", pending_seconds=20)
