import errno
import shutil

import pytest

from model.errors import PEER_LOST, describe_device_fault, describe_storage_error, is_peer_lost

FULL = (
    "cannot be written or read: the disk is full, or holds as many files as it can: see df -h and df -i "
    "(No space left on device)"
)


def make_error(name: str, text: str) -> Exception:
    error: Exception = type(name, (Exception,), {})(text)
    return error


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("UnavailableError", "Collective ops is aborted by: The following tasks are unhealthy"),
        ("AbortedError", "Unable to find a context_id matching the specified one"),
        ("CancelledError", "Operation was cancelled"),
        ("DeadlineExceededError", "Deadline Exceeded"),
        ("InternalError", "GRPC error information from remote target /job:ps/replica:0/task:0"),
        ("InternalError", "Coordination service has stopped. RecordHeartbeat() from task: 1 failed"),
        ("InternalError", "Received RST_STREAM with error code 2"),
        ("InternalError", "recvmsg:Connection reset by peer"),
    ],
)
def test_each_way_to_tell_a_lost_or_silent_peer_asks_for_another_try(name: str, text: str) -> None:
    assert is_peer_lost(make_error(name, text))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("InternalError", "No BLAS for stream."),
        ("InternalError", "Failed to load in-memory CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory"),
        ("InternalError", "Missing 1-th output from node dropout"),
        ("ResourceExhaustedError", "OOM when allocating tensor; connection reset"),
        ("InvalidArgumentError", "Incompatible shapes"),
        ("ValueError", "Deadline Exceeded"),
    ],
)
def test_what_another_try_would_meet_again_does_not(name: str, text: str) -> None:
    assert not is_peer_lost(make_error(name, text))


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("InternalError", "No BLAS for stream.", "The memory is full"),
        ("InternalError", "CUBIN: CUDA_ERROR_OUT_OF_MEMORY: out of memory", "The memory is full"),
        ("ResourceExhaustedError", "failed to allocate 2 GB", "The memory is full"),
        ("ResourceExhaustedError", "/tmp/tempfile-0-1: No space left on device", "The disk is full"),
        (
            "InternalError",
            "cudaGetDevice() failed. CUDA driver version is insufficient for CUDA runtime",
            "The NVIDIA dr",
        ),
        ("InternalError", "failed call to cuInit: CUDA_ERROR_NO_DEVICE: no CUDA-capable device", "There is no usable"),
        ("UnimplementedError", "DNN library is not found.", "cuDNN cannot be used"),
        ("FailedPreconditionError", "DNN library initialization failed.", "cuDNN cannot be used"),
        ("InternalError", "CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered", "The GPU has failed"),
        ("InternalError", "GPU at PCI:0000:65:00: GPU has fallen off the bus, Xid 79", "The GPU has failed"),
    ],
)
def test_what_a_device_cannot_do_is_told_by_its_kind_with_the_line_that_says_so(
    name: str, text: str, told: str
) -> None:
    fault = describe_device_fault(make_error(name, f"Graph execution error:\n\n{text}\n\t [[node]]"))
    assert fault is not None
    assert fault.startswith(told)
    assert text in fault or name == "ResourceExhaustedError"  # the class says it, in the first line


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("InvalidArgumentError", "Incompatible shapes"),
        ("InternalError", "Missing 1-th output from node dropout"),
        ("InternalError", "recvmsg:Connection reset by peer"),
        ("UnavailableError", "task 1 ended: CUDA_ERROR_OUT_OF_MEMORY"),
    ],
)
def test_what_is_about_no_device_of_this_replica_is_not_told_as_one(name: str, text: str) -> None:
    assert describe_device_fault(make_error(name, text)) is None


@pytest.mark.slow
def test_the_classes_are_tensorflows_own() -> None:
    import tensorflow as tf  # noqa: PLC0415 - seconds that the other tests need not wait

    for name in PEER_LOST:
        error = getattr(tf.errors, name)(None, None, "Socket closed")
        assert isinstance(error, tf.errors.OpError)
        assert is_peer_lost(error)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/runs/model.keras"),
            f"/runs/model.keras {FULL}",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "/a", None, "/b"),
            "/b cannot be written or read: the disk can only be read (Read-only file system)",
        ),
        (
            shutil.Error([("a", "b", "[Errno 28] No space left on device: 'b'")]),
            f"a file {FULL}",
        ),
        (
            OSError("Unable to synchronously create file (file write failed: errno = 122, error message = '…')"),
            "a file cannot be written or read: this user's quota of the disk is used up (Disk quota exceeded)",
        ),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "a"), ""),
        (ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"), ""),
    ],
)
def test_what_is_wrong_with_a_disk_is_told_in_a_sentence_and_nothing_else_is(error: OSError, told: str) -> None:
    assert describe_storage_error(error) == told
