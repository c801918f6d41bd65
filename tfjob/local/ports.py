"""Free ports of this machine."""

import random
import socket
from contextlib import ExitStack

# Below the range from which Linux (32768) and macOS (49152) take the ports of outgoing connections: none of them can
# take a port between its choice here and the moment, seconds later, at which a replica listens on it.
_CANDIDATES = range(20000, 32768)
_HOST = "127.0.0.1"


def find_free_addresses(count: int, host: str = _HOST) -> list[str]:
    """Returns different `host:port`s on which nothing listens.

    Args:
        count: How many.
        host: What this machine is called in them.

    Raises:
        OSError: There are not as many.
    """
    addresses: list[str] = []
    with ExitStack() as held:
        for port in random.sample(_CANDIDATES, len(_CANDIDATES)):
            if len(addresses) == count:
                break
            candidate = held.enter_context(socket.socket())
            try:
                candidate.bind((_HOST, port))
            except OSError:
                continue
            addresses.append(f"{host}:{port}")
    if len(addresses) < count:
        raise OSError(
            f"{count} free ports are needed between {_CANDIDATES[0]} and {_CANDIDATES[-1]}. Found: {len(addresses)}"
        )
    return addresses
