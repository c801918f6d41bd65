"""What a program's exit code says, the same in every program of this package."""

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
