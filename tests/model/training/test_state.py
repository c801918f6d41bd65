from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model.training.state import (
    CHECKPOINTS_KEPT,
    CurvePoint,
    State,
    Values,
    hash_weights,
    load_newest_checkpoint,
    save_checkpoint,
)

POINT = CurvePoint(1, 5, train_seconds=0.1 + 0.2, train_loss=2.25, validation_metric=1 / 3)


def make_state(step: int = 7, **changes: Any) -> State:
    generator = np.random.default_rng(step)
    values = Values(*(generator.normal(size=size).astype(np.float32) for size in (6, 6, 3)))
    fields: dict[str, Any] = {
        "values": values._replace(**{name: changes.pop(name) for name in Values._fields if name in changes}),
        "clocks": {"train_seconds": 0.1 + 0.2, "save_seconds": 1e-9},
        "curve": [POINT, POINT._replace(epoch=2, step=10)],
        "step_seconds": [0.1, 1 / 3],
        "epoch_losses": [2.0, 1.7],
    }
    return State(step, **{**fields, **changes})


def load(directory: Path) -> State:
    messages: list[str] = []
    state = load_newest_checkpoint(directory, messages.append)
    assert not messages
    assert state is not None
    return state


def assert_same(first: State, second: State) -> None:
    for former, latter in zip(first.values, second.values, strict=True):
        assert former.dtype == latter.dtype == np.float32
        assert former.tobytes() == latter.tobytes()
    for name in ("step", "clocks", "curve", "step_seconds", "epoch_losses"):
        assert getattr(first, name) == getattr(second, name)


@pytest.mark.parametrize(
    "state",
    [
        make_state(),
        make_state(clocks={}, curve=[], step_seconds=[], epoch_losses=[]),
        make_state(statistics=np.zeros(0, np.float32)),
        make_state(step=123_456_789),
    ],
    ids=["in an epoch", "at the start", "without statistics", "late"],
)
def test_a_checkpoint_comes_back_to_the_bit(tmp_path: Path, state: State) -> None:
    save_checkpoint(tmp_path / "new" / "checkpoints", state)
    loaded = load(tmp_path / "new" / "checkpoints")
    assert_same(loaded, state)
    assert loaded.values.sha256 == state.values.sha256
    assert all(type(point.step) is int for point in loaded.curve)


def test_without_a_folder_or_a_file_there_is_no_checkpoint(tmp_path: Path) -> None:
    assert load_newest_checkpoint(tmp_path, pytest.fail) is None
    assert load_newest_checkpoint(tmp_path / "none", pytest.fail) is None


def test_the_newest_of_them_wins_and_only_two_are_kept(tmp_path: Path) -> None:
    for step in (9, 10, 99, 100):
        save_checkpoint(tmp_path, make_state(step))
    assert load(tmp_path).step == 100
    assert CHECKPOINTS_KEPT == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000099.npz", "step-000000100.npz"]


def test_a_step_that_is_saved_again_is_replaced(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_state(epoch_losses=[]))
    save_checkpoint(tmp_path, make_state())
    assert_same(load(tmp_path), make_state())


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04", b"\x80\x04K\x01."])
def test_a_damaged_newest_checkpoint_is_reported_and_the_one_before_is_taken(tmp_path: Path, content: bytes) -> None:
    save_checkpoint(tmp_path, make_state(5))
    save_checkpoint(tmp_path, make_state(10)).write_bytes(content)
    messages: list[str] = []
    state = load_newest_checkpoint(tmp_path, messages.append)
    assert state is not None
    assert_same(state, make_state(5))
    (message,) = messages
    assert message.startswith("checkpoint step-000000010.npz is damaged (")
    assert message.endswith("); trying the one before it")


def test_where_all_are_damaged_each_is_reported_and_there_is_none(tmp_path: Path) -> None:
    for step in (5, 10):
        save_checkpoint(tmp_path, make_state(step)).write_bytes(b"")
    messages: list[str] = []
    assert load_newest_checkpoint(tmp_path, messages.append) is None
    assert len(messages) == 2


def test_a_checkpoint_cut_off_anywhere_is_never_taken(tmp_path: Path) -> None:
    path = save_checkpoint(tmp_path, make_state())
    whole = path.read_bytes()
    messages: list[str] = []
    for length in range(0, len(whole), 13):
        path.write_bytes(whole[:length])
        assert load_newest_checkpoint(tmp_path, messages.append) is None
    assert len(messages) == len(range(0, len(whole), 13))


def test_a_flipped_byte_is_noticed_or_changes_nothing(tmp_path: Path) -> None:
    state = make_state()
    path = save_checkpoint(tmp_path, state)
    whole = path.read_bytes()
    outcomes = set()
    directory = whole.rfind(b"PK\x01\x02")  # the archive's entry of its last array, byte by byte
    for position in [*range(0, len(whole), 29), *range(directory, len(whole))]:
        damaged = bytearray(whole)
        damaged[position] ^= 0x01
        path.write_bytes(damaged)
        loaded = load_newest_checkpoint(tmp_path, lambda message: None)
        outcomes.add(loaded is not None)
        if loaded is not None:
            assert_same(loaded, state)
    assert outcomes == {True, False}


def test_a_file_that_is_still_being_written_is_never_taken(tmp_path: Path) -> None:
    whole = save_checkpoint(tmp_path, make_state(10)).read_bytes()
    save_checkpoint(tmp_path, make_state(5))
    (tmp_path / "step-000000010.npz").rename(tmp_path / "step-000000010.1.partial")
    assert (tmp_path / "step-000000010.1.partial").read_bytes() == whole
    assert load(tmp_path).step == 5


def test_a_checkpoint_that_cannot_be_written_leaves_the_earlier_one(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, make_state(5))
    (tmp_path / "step-000000010.npz").mkdir()
    with pytest.raises(OSError, match=r"step-000000010\.npz"):
        save_checkpoint(tmp_path, make_state(10))
    (tmp_path / "step-000000010.npz").rmdir()
    assert load(tmp_path).step == 5


def test_the_digest_names_weights_and_statistics_and_nothing_else() -> None:
    values = make_state().values
    assert values.sha256 == hash_weights(values.weights, values.statistics)
    assert values._replace(velocity=np.zeros(6, np.float32)).sha256 == values.sha256
    for name in ("weights", "statistics"):
        changed = getattr(values, name).copy()
        changed[0] = np.nextafter(changed[0], np.float32(9))
        assert values._replace(**{name: changed}).sha256 != values.sha256
