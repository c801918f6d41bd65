"""Gives a program a network of its own, in which there is nothing but loopback, or takes it into another process's.

A program of its own that becomes the one it starts, so that number, pipes and cores stay: `new PROGRAM…` and
`join PID PROGRAM…`, like util-linux's unshare and nsenter, which not every machine has. `new` says `READY` once the
network is seen to work, or what is in its way. It is started without site packages and imports next to nothing.

Root may make a network namespace. Another user may make one inside a user namespace, in which each has the number that
it had; a program started there has no rights that the user lacks. Nothing of it has a name in the file system: the
kernel takes it away with its last process.

Source: namespaces(7), user_namespaces(7), netdevice(7).
"""

import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
from collections.abc import Sequence
from pathlib import Path

READY = "ready"
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
# struct ifreq: a name, flags, and what the flags share their place with.
_IFREQ = "16sh22x"


def leave_network() -> None:
    """Moves this process into a network of its own and makes sure that loopback works there.

    Raises:
        OSError: The system does not let it.
    """
    if os.geteuid() == 0:
        _call("unshare", _CLONE_NEWNET)
    else:
        user, group = os.geteuid(), os.getegid()
        _call("unshare", _CLONE_NEWUSER | _CLONE_NEWNET)
        _write("setgroups", "deny")  # without it nobody but root may map a group
        _write("uid_map", f"{user} {user} 1")
        _write("gid_map", f"{group} {group} 1")
    _raise_loopback()
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname(), 5.0):
        pass


def join_network(process: int) -> None:
    """Moves this process into the network of another.

    Args:
        process: The other, started by `new` for the same user.

    Raises:
        OSError: It has ended.
    """
    for kind in ("user", "net"):
        place = Path(f"/proc/{process}/ns/{kind}")
        if place.readlink() != Path(f"/proc/self/ns/{kind}").readlink():
            with place.open("rb") as namespace:
                _call("setns", namespace.fileno(), 0)


def _raise_loopback() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        name, flags = struct.unpack(_IFREQ, fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0)))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, name, flags | _IFF_UP))


def _call(function: str, *arguments: int) -> None:
    """Calls the C library; `os` has these two from Python 3.12 on."""
    library = ctypes.CDLL(None, use_errno=True)
    if getattr(library, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def _write(file: str, text: str) -> None:
    Path(f"/proc/self/{file}").write_text(text, encoding="ascii")


def _become(program: Sequence[str]) -> None:
    """Starts a program in this one's place, as if this one had never been."""
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):  # by Python, and what is ignored stays so in what it becomes
        signal.signal(ignored, signal.SIG_DFL)
    block = Path("/proc/self/environ").read_bytes().removesuffix(b"\0").split(b"\0")  # Python may add a locale to it
    os.execve(program[0], [*program], dict(entry.partition(b"=")[::2] for entry in block if entry))  # noqa: S606 - no shell


def main(arguments: Sequence[str]) -> int:
    """Becomes another program, or returns 1 where that cannot be."""
    if sys.platform != "linux":
        print("this platform has no network namespaces", flush=True)
        return 1
    try:
        if arguments[0] == "new":
            leave_network()
            print(READY, flush=True)
            _become(arguments[1:])
        join_network(int(arguments[1]))
        _become(arguments[2:])
    except OSError as error:
        print(error.strerror or error, flush=True)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
