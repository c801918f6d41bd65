"""What ends a program before its time: errors that a person can mend, and the exit codes that tell what it was."""

import enum
import errno
import os
import re
import sys
from typing import NamedTuple

from model.streams import make_printable

# How TensorFlow tells that another replica is gone, silent, or breaks off itself: the class of the error, and what its
# text must say. Internal is what has no class of its own, a GPU without memory ("No BLAS for stream") for instance,
# which another try meets again.
# Source: tensorflow/python/distribute/coordinator/cluster_coordinator.py, _is_ps_failure and _is_worker_failure, and
# what replicas said that had lost one by SIGKILL, SIGSTOP or a cut network.
_SHOWN = 200
_ANYTHING = re.compile("")
_OF_A_CONNECTION = re.compile(
    "GRPC error|coordination (service|agent)|collective ops is aborted|heartbeat|unhealthy|RST_STREAM|stream removed"
    "|connection (reset|refused|closed|aborted|timed out)|connection attempt|socket closed|broken pipe|goaway",
    re.IGNORECASE,
)
PEER_LOST = {
    "UnavailableError": _ANYTHING,
    "AbortedError": _ANYTHING,
    "CancelledError": _ANYTHING,
    "DeadlineExceededError": _ANYTHING,
    "InternalError": _OF_A_CONNECTION,
}


class DeviceFault(NamedTuple):
    """Why what a replica computes on cannot go on, which another try would meet again.

    Args:
        kind: The fault in words.
        texts: What TensorFlow's errors say then, as regular expressions.
        cure: What may help.
    """

    kind: str
    texts: tuple[str, ...]
    cure: str


# An operation that finds no memory has a class of its own, libraries that find none say so in a text.
# Source: names of CUDA's and cuDNN's own errors, and what TensorFlow 2.21 said on one H200.
DEVICE_FAULTS = (
    DeviceFault(  # TensorFlow's class of it is that of a full memory
        "The disk is full",
        ("No space left on device", "Disk quota exceeded"),
        "see df -h, also of the folder for temporary files, where XLA writes what it compiles",
    ),
    DeviceFault(
        "The memory is full",
        ("ResourceExhausted", "OOM when", "(?i:out.of.memory)", "No BLAS for stream", "STATUS_ALLOC_FAILED"),
        "lower the batch, or see whether another process holds the GPU's memory",
    ),
    DeviceFault(
        "There is no usable NVIDIA driver",
        ("ERROR_NO_DEVICE", "no CUDA-capable device", "ERROR_STUB_LIBRARY", "ERROR_SYSTEM_NOT_READY"),
        "see whether the node's driver is loaded (nvidia-smi)",
    ),
    DeviceFault(
        "The NVIDIA driver does not go with the image's CUDA",
        (
            "driver version is insufficient",
            "INSUFFICIENT_DRIVER",
            "DRIVER_MISMATCH",
            "no kernel image",
            "NO_BINARY_FOR",
        ),
        "use an image with another version of CUDA, or a newer driver",
    ),
    DeviceFault(
        "cuDNN cannot be used",
        ("DNN library", "(?i:create cudnn handle)", "CUDNN_STATUS_NOT_INITIALIZED", "CuDNN library", "libcudnn"),
        "use an image with CUDA's libraries (docs/image.md); where it has them, the GPU's memory may be full",
    ),
    DeviceFault(
        "The GPU has failed",
        (
            *("fallen off the bus", r"\bXid\b", "(?i:uncorrectable.ecc|ecc.uncorrectable)", "ERROR_DEVICE_UNAVAILABLE"),
            *("ERROR_LAUNCH_FAILED", "ERROR_ILLEGAL_ADDRESS", "ERROR_HARDWARE_STACK", "unspecified launch failure"),
        ),
        "see the kernel's log of the node for Xid, and train on another GPU",
    ),
)
# What another try meets again until a person has mended it, and where to look.
_STORAGE = {
    errno.ENOSPC: "the disk is full, or holds as many files as it can: see df -h and df -i",
    errno.EDQUOT: "this user's quota of the disk is used up",
    errno.EFBIG: "this process may not write so large a file: see ulimit -f",
    errno.EROFS: "the disk can only be read",
    errno.EACCES: "this user may not do that there",
    errno.EPERM: "this user may not do that there",
    errno.EIO: "the disk reports an error",
}


# What a replica says last of all that ends because it hears nothing of its launcher.
LAUNCHER_GONE_WORDS = "it is gone, so this replica ends itself"


class ExitCode(enum.IntEnum):
    """What the programs end with, beside 0; docs/schemas.md says what `tfjob` does next.

    The training operator restarts a replica that ends with 128 or more, and fails the job on 1 to 127.
    """

    USER_ERROR = 2
    DIVERGED = 3
    LAUNCHER_GONE = 4
    TRAINING_OVER = 5
    DEVICE_FAILED = 6
    PEER_LOST = 138


class ConfigError(ValueError):
    """A setting, a model or a role that cannot be, in words for the person who set it."""


class DatasetError(ValueError):
    """A data set cannot be had or used as it is. The message is for the person who named it."""


class EvaluationError(ValueError):
    """A model that is not the one whose training is on record, or not of this data."""


class TrainingDiverged(Exception):  # noqa: N818 - the field's word
    """The loss is no longer a finite number."""


class TrainingOver(Exception):  # noqa: N818 - named like the other ends of a training
    """This replica was lost after the others had ended, who do not come back."""


class DeviceFailed(Exception):  # noqa: N818 - named like the other ends of a training
    """The GPU, its driver, its libraries or its memory does not let the training go on."""


class PeerLost(Exception):  # noqa: N818 - named like the other ends of a training
    """Another replica has not come to its end."""


def is_peer_lost(error: Exception) -> bool:
    """Returns whether an error of TensorFlow's means that another replica was lost, so that another try can help."""
    text = PEER_LOST.get(type(error).__name__)
    return text is not None and text.search(str(error)) is not None


def describe_device_fault(error: Exception) -> str | None:
    """Returns what an error of TensorFlow's says of the device, and what may help; None where it is about another."""
    if PEER_LOST.get(type(error).__name__) is _ANYTHING:  # it may quote what another replica said at its end
        return None
    lines = f"{type(error).__name__}: {error}".splitlines()
    for fault in DEVICE_FAULTS:
        for line in lines:
            if any(re.search(text, line) for text in fault.texts):
                return f"{fault.kind} ({line.strip()[:_SHOWN]}): {fault.cure}"
    return None


def describe_storage_error(error: OSError) -> str:
    """Returns in a sentence what is wrong with the disk or folder that was used; nothing where that is not the matter.

    A library's error may tell the cause in its text alone: that of many files, or of a file format's.
    """
    number = error.errno if error.errno in _STORAGE else _find_number(str(error))
    if number is None:
        return ""
    place = error.filename2 or error.filename or "a file"
    return f"{place} cannot be written or read: {_STORAGE[number]} ({os.strerror(number)})"


def _find_number(text: str) -> int | None:
    told = [number for number in _STORAGE if os.strerror(number) in text or f"errno = {number}," in text]
    return told[0] if told else None


def tell(error: Exception | str, code: ExitCode = ExitCode.USER_ERROR) -> ExitCode:
    """Tells an error in one line, and returns the exit code that goes with it."""
    print(make_printable(f"error: {error}"), file=sys.stderr, flush=True)
    return code
