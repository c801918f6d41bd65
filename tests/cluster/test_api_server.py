"""What would fail whatever runs beside it, and so runs alone."""

import signal
import subprocess
import time

from tests.conformance.job_run import JobRun


def test_a_restart_of_the_api_server_in_mid_run_is_survived(run_job: JobRun) -> None:
    code = "for i in range(25): print(i, time.time(), flush=True); time.sleep(1)"
    restarted: list[float] = []

    def restart(text: str) -> None:
        if text.startswith("5 ") and not restarted:
            restarted.append(time.time())
            subprocess.run(["pkill", "--signal", str(int(signal.SIGKILL)), "--exact", "kube-apiserver"], check=True)

    result = run_job(code, on_line=restart)
    assert restarted
    assert [line.split()[0] for line in run_job.lines("worker-0")] == [str(i) for i in range(25)]
    assert result.replicas[0].exit_code == 0
    assert result.replicas[0].restarts == 0
