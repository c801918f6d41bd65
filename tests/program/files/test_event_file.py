import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from program.files.wire import mask_crc
from program.measurement import Measurement
from tests.program.listening import find_metrics, make


def encode_varint(number: int) -> bytes:
    encoded = b""
    while number > 0x7F:
        encoded += bytes([number & 0x7F | 0x80])
        number >>= 7
    return encoded + bytes([number])


def encode_field(field: int, data: bytes) -> bytes:
    return encode_varint(field << 3 | 2) + encode_varint(len(data)) + data


def encode_simple(tag: str, value: float) -> bytes:
    return encode_field(1, tag.encode()) + b"\x15" + struct.pack("<f", value)


def encode_tensor(tag: str, value: float, shape: bytes = b"") -> bytes:
    tensor = b"\x08\x01" + encode_field(2, shape) + encode_field(4, struct.pack("<f", value))
    return encode_field(1, tag.encode()) + encode_field(8, tensor)


def encode_event(at: float, step: int, *values: bytes) -> bytes:
    summary = b"".join(encode_field(1, value) for value in values)
    return b"\x09" + struct.pack("<d", at) + b"\x10" + encode_varint(step) + encode_field(5, summary)


def frame(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + struct.pack("<I", mask_crc(length)) + data + struct.pack("<I", mask_crc(data))


VERSION = frame(b"\x09" + struct.pack("<d", 1000.0) + encode_field(3, b"brain.Event:2"))


def write(folder: Path, *events: bytes, host: str = "job-worker-0", number: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"events.out.tfevents.1700000000.{host}.{number}.0.v2"
    path.write_bytes(VERSION + b"".join(frame(event) for event in events))
    return path


def training(loss: float = 0.5, seconds: float = 1.0) -> list[bytes]:
    return [encode_event(1000.0 + seconds * n, 10 * n, encode_simple("loss", loss / (n + 1))) for n in range(11)]


def read(folder: Path, progress: str = "tensorboard") -> Measurement:
    listener = make(progress)
    listener.follow(folder)
    return listener.finish()


def test_the_checksum_is_that_of_the_standard() -> None:
    crc = (mask_crc(b"123456789") - 0xA282EAD8) & 0xFFFFFFFF
    assert (crc >> 17 | crc << 15) & 0xFFFFFFFF == 0xE3069283  # RFC 3720's check value of CRC-32C


def test_scalars_tell_steps_and_metrics(tmp_path: Path) -> None:
    write(tmp_path / "logs", *training())
    measurement = read(tmp_path)
    assert (measurement.level, measurement.steps, measurement.train_seconds) == (1, 90, 9.0)
    assert find_metrics(measurement) == {"loss": pytest.approx(0.5 / 11)}
    assert list(measurement.by_replica) == ["worker-0"]


def test_tensors_are_read_where_they_are_one_number(tmp_path: Path) -> None:
    write(
        tmp_path,
        *training(),
        encode_event(
            1011.0, 110, encode_tensor("accuracy", 0.75), encode_tensor("auc", 0.5, shape=b"\x12\x02\x08\x01")
        ),
    )
    assert find_metrics(read(tmp_path)) == {"accuracy": 0.75, "loss": pytest.approx(0.5 / 11)}


def test_where_a_file_lies_says_what_its_metrics_are_of(tmp_path: Path) -> None:
    epochs = [encode_event(1000.0 + n, n, encode_tensor("epoch_accuracy", 0.5 + n / 10)) for n in range(3)]
    write(tmp_path / "train", *epochs)
    write(tmp_path / "validation", *epochs)
    measurement = read(tmp_path)
    assert find_metrics(measurement) == {"val_accuracy": pytest.approx(0.7), "accuracy": pytest.approx(0.7)}
    assert measurement.steps is None  # epochs are no steps


def test_two_workers_files_in_one_folder_are_not_one_curve(tmp_path: Path) -> None:
    write(tmp_path, *training(0.5), host="here", number=1)
    write(tmp_path, *training(0.9, seconds=2.0), host="here", number=2)
    measurement = read(tmp_path)
    assert (measurement.train_seconds, len(measurement.by_replica)) == (9.0, 2)
    assert measurement.curve[0].value == 0.5
    assert len(measurement.curve) == 11


def test_a_file_is_read_while_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, *training())
    data = path.read_bytes()
    listener = make("tensorboard")
    for end in range(0, len(data), 7):
        path.write_bytes(data[:end])
        listener.follow(tmp_path)
    path.write_bytes(data)
    measurement = listener.finish()
    assert (measurement.steps, measurement.train_seconds) == (90, 9.0)


def test_a_large_record_is_passed_over_unread(tmp_path: Path) -> None:
    write(tmp_path, *training()[:5], b"\x22" + encode_varint(10**6) + b"x" * 10**6, *training()[5:])
    assert read(tmp_path).steps == 90


def test_what_follows_damage_is_not_read_and_said(tmp_path: Path) -> None:
    path = write(tmp_path, *training())
    data = bytearray(path.read_bytes())
    data[-30] ^= 0xFF
    path.write_bytes(data)
    measurement = read(tmp_path)
    assert measurement.by_replica["worker-0"]["steps"] == 90
    assert any("is damaged" in note for note in measurement.notes)


def test_files_are_left_alone_where_another_form_was_chosen(tmp_path: Path) -> None:
    write(tmp_path, *training())
    assert read(tmp_path, "keras").level == 0


def test_auto_reads_them_too(tmp_path: Path) -> None:
    write(tmp_path, *training())
    assert read(tmp_path, "auto").steps == 90


@given(st.binary(max_size=200))
def test_no_record_breaks_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("run")
    write(folder, data, encode_event(1000.0, 1, data), encode_event(1001.0, 2, encode_field(8, data)))
    read(folder)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    folder = tmp_path_factory.mktemp("run")
    write(folder).write_bytes(data)
    read(folder)


@pytest.mark.slow
def test_what_tensorflow_writes_is_read(tmp_path: Path) -> None:
    import tensorflow as tf  # noqa: PLC0415 - takes seconds

    with tf.compat.v1.Graph().as_default():
        writer = tf.compat.v1.summary.FileWriter(str(tmp_path / "v1"))
        for step in range(1, 4):
            value = tf.compat.v1.Summary.Value(tag="loss", simple_value=1.0 / step)
            writer.add_summary(tf.compat.v1.Summary(value=[value]), step)
        writer.close()
    with tf.summary.create_file_writer(str(tmp_path / "v2")).as_default():
        for step in range(1, 4):
            tf.summary.write("accuracy", tf.constant(0.25 * step), step=step)
    assert find_metrics(read(tmp_path)) == {"accuracy": 0.75, "loss": pytest.approx(1 / 3)}
