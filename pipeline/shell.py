"""What the programs of this package say to a shell: exit codes, and the command lines that a person types next."""

import argparse

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
RUN = "python -m pipeline.run"


def write_run(prog: str, options: str, variables: str = "") -> str:
    """Returns a command line that runs the pipeline.

    Args:
        prog: What this program was called by: make calls it by `RUN`.
        options: The options.
        variables: Variables of the environment, as a shell takes them.
    """
    words = ["make run", variables, f'ARGS="{options}"'] if prog == RUN else [variables, prog, options]
    return " ".join(filter(None, words))


def read_name(text: str) -> str:
    """Returns an option's text: that of a shell's variable that is not set must not be taken for no option at all.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a name. Received: ''")
    return text
