import socket

from tfjob.local.ports import find_free_addresses


def test_addresses_are_free_different_and_no_outgoing_connection_can_take_them() -> None:
    addresses = find_free_addresses(20)
    assert len(set(addresses)) == 20
    for address in addresses:
        host, port = address.split(":")
        assert int(port) < 32768
        with socket.socket() as listener:
            listener.bind((host, int(port)))
