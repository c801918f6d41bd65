from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.components.trial_folders import write_trial
from tests.pipeline.remote.kfp_server import Kfp, Served
from tests.pipeline.remote.served_run import ALL_DONE, COMPARE_LOG, LAUNCHERS, RUNNING, read_folder


@pytest.fixture
def kfp(tmp_path: Path) -> Iterator[Kfp]:
    """A server on which a run of one trial succeeds."""
    kfp = Kfp(states=[RUNNING, ("RUNNING", [*LAUNCHERS, *ALL_DONE[:3]]), ("SUCCEEDED", [*LAUNCHERS, *ALL_DONE])])
    kfp.artifacts["plan-comparison", "run_info", 1] = b"{}"
    for step, configuration in (("train-single-node", "single"), ("train-distributed", "all-reduce-2w")):
        write_trial(tmp_path / step / configuration, configuration, 1)
        kfp.artifacts[step, "trained", 1] = read_folder(tmp_path / step)
        kfp.artifacts[step, "executor-logs-0", 1] = f"{step} said this\n".encode()
    for output in ("report", "summary", "table", "trials", "recommendation"):
        kfp.artifacts["compare", output, 1] = f"compare's {output}".encode()
    kfp.artifacts["compare", "executor-logs-0", 1] = COMPARE_LOG.encode()
    yield kfp
    assert kfp.complaints == []


@pytest.fixture
def endpoint(kfp: Kfp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for variable in ("KFP_NAMESPACE", "KFP_TOKEN", "KFP_TOKEN_FILE", "KFP_COOKIES", "KFP_CA_CERT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
    with Served(kfp) as url:
        monkeypatch.setenv("KFP_ENDPOINT", url)
        yield url
