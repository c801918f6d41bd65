import fcntl
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from model.prepare import prepare
from tests.faults.data import make_data
from tests.faults.trying import HANG_SECONDS, Site, launch, read_told
from tfjob.signs import ALL_SILENT_SECONDS, LOOK_SECONDS, STALL_SECONDS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("mkfs.ext4"), reason="only root can freeze a volume"),
]
# Source: FIFREEZE and FITHAW of Linux, include/uapi/linux/fs.h.
FREEZE, THAW = 0xC0045877, 0xC0045878
FROZEN_SECONDS = max(STALL_SECONDS, ALL_SILENT_SECONDS) + 2 * LOOK_SECONDS
CHIEFS = {"all_reduce": "worker-0", "parameter_server": "chief-0"}


@contextmanager
def make_volume(folder: Path) -> Iterator[Path]:
    image, volume = folder / "volume.img", folder / "volume"
    volume.mkdir(parents=True)
    with image.open("wb") as file:
        file.truncate(150 << 20)
    subprocess.run(["mkfs.ext4", "-q", image], check=True)
    if subprocess.run(["mount", "-o", "loop", image, volume], check=False).returncode:
        pytest.skip("this system mounts no image of a disk")
    try:
        yield volume
    finally:
        subprocess.run(["umount", "--lazy", volume], check=True)


def freeze_while_saving(volume: Path, chief: str) -> None:
    """Freezes the volume once the chief is saving, and thaws it after `FROZEN_SECONDS`."""
    number = os.open(volume, os.O_RDONLY)
    limit = time.monotonic() + HANG_SECONDS
    try:
        while time.monotonic() < limit:
            for place in volume.glob(f"*-t1/signs/{chief}.place"):
                with suppress(OSError):
                    if not place.read_text().startswith("saving"):
                        continue
                    fcntl.ioctl(number, FREEZE, 0)
                    try:
                        if place.read_text().startswith("saving"):
                            time.sleep(FROZEN_SECONDS)
                            return
                    finally:
                        fcntl.ioctl(number, THAW, 0)
            time.sleep(0.002)
    finally:
        os.close(number)
    raise TimeoutError("it never saved")


def train_on(volume: Path, site: Site, strategy: str) -> None:
    folder = site.folder / strategy
    folder.mkdir()
    (folder / "workspace").symlink_to(volume)  # what the launcher says itself lies elsewhere
    process, _, log = launch(site, strategy, strategy)
    try:
        freeze_while_saving(volume, CHIEFS[strategy])
        assert process.wait(HANG_SECONDS) == 0, log.read_text()[-3000:]
    finally:
        process.kill()
    assert read_told(log)["earlier"] == []


def test_a_volume_that_takes_no_writes_while_a_replica_saves_is_waited_for(tmp_path: Path) -> None:
    make_data(tmp_path / "patterns.npz")
    prepare(str(tmp_path / "patterns.npz"), tmp_path / "data")
    site = Site(tmp_path, tmp_path / "data", tmp_path / "patterns.npz", {})
    with ExitStack() as mounted, ThreadPoolExecutor() as pool:  # both strategies at once, for both wait
        volumes = {strategy: mounted.enter_context(make_volume(tmp_path / f"of-{strategy}")) for strategy in CHIEFS}
        trained = [pool.submit(train_on, volume, site, strategy) for strategy, volume in volumes.items()]
        for training in trained:
            training.result()
