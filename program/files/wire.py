"""As much of Protocol Buffers' wire format as event files need.

Source: Protocol Buffers documentation, "Encoding"; CRC-32C: RFC 3720, appendix B.4; TFRecord's framing and mask:
tensorflow/core/lib/io/record_writer.h and lib/hash/crc32c.h.
"""

import struct
from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_POLYNOMIAL = 0x82F63B78


def _make_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (_POLYNOMIAL if crc & 1 else 0)
        table.append(crc)
    return tuple(table)


_TABLE = _make_table()


def mask_crc(data: bytes) -> int:
    """Returns the masked CRC-32C that stands after a record's length and after its data."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def iterate_fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yields each field's number and its value: an integer, or the bytes of everything else.

    Raises:
        ValueError: The data end within a field, or hold what no message does.
    """
    place = 0
    while place < len(data):
        key, place = _read_varint(data, place)
        kind = key & 7
        if kind == _VARINT:
            value, place = _read_varint(data, place)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            length, place = _read_varint(data, place)
        elif kind in {_FIXED64, _FIXED32}:
            length = 8 if kind == _FIXED64 else 4
        else:
            raise ValueError(f"a field's wire type is {kind}")
        if place + length > len(data):
            raise ValueError("a field ends after its message")
        yield key >> 3, data[place : place + length]
        place += length


def _read_varint(data: bytes, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the bit that says that more follow
            return value, place
    raise ValueError("a number does not end")


def unpack_float(data: int | bytes) -> float:
    """Returns a float or double of four or eight bytes.

    Raises:
        ValueError: It is of another length.
    """
    if isinstance(data, int) or len(data) not in {4, 8}:
        raise ValueError("a number must have 4 or 8 bytes")
    value: float = struct.unpack("<f" if len(data) == 4 else "<d", data)[0]  # noqa: PLR2004
    return value
