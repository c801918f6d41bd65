"""The streams of programs and steps: a terminal's may have any encoding, between processes it is UTF-8."""

import locale
import os
import sys

from components.errors import describe_storage_error, make_printable, replace_unencodable

__all__ = [
    "complain",
    "describe_storage_error",
    "make_printable",
    "replace_unencodable",
    "speak_utf8_with_children",
    "tell",
]


def tell(text: str) -> None:
    """Prints what a server, a step or this program says."""
    print(make_printable(text), flush=True)


def complain(text: str) -> None:
    """Prints likewise what is wrong."""
    print(make_printable(text), file=sys.stderr, flush=True)


def speak_utf8_with_children() -> None:
    """Lets the processes that this one starts speak UTF-8, and this one understand them, whatever the locale is.

    KFP's local runner hands over and reads texts in the locale's encoding, which a process has from its start on. So
    where that is another one, this process begins anew, in Python's UTF-8 mode and with the terminal's encoding.
    """
    encodings = {locale.getpreferredencoding(do_setlocale=False), sys.getfilesystemencoding()}
    if {encoding.lower().replace("-", "") for encoding in encodings} != {"utf8"}:
        environment = os.environ | {"PYTHONIOENCODING": f"{sys.stdout.encoding}:replace"}
        python, *arguments = sys.orig_argv
        os.execve(sys.executable, [python, "-X", "utf8", *arguments], environment)  # noqa: S606 - itself
    os.environ |= {"PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8:replace"}
