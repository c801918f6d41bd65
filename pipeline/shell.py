"""What the programs of this package say to a shell: exit codes, and the command lines that a person types next."""

import argparse
import os
import shlex
import sys

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
RUN = "python -m pipeline.run"


def write_run(prog: str, options: str, variables: str = "") -> str:
    """Returns a command line that runs the pipeline, in the way in which a person has run it.

    Args:
        prog: What this program was called by: `RUN` by make, too, which leaves a variable of its own.
        options: The options.
        variables: Variables of the environment, as a shell takes them.
    """
    if prog == RUN and "MAKELEVEL" in os.environ:
        words = ["make run", variables, f'ARGS="{options}"']
    else:
        words = [variables, prog.replace("python", shlex.quote(sys.executable), 1) if prog == RUN else prog, options]
    return " ".join(filter(None, words))


def read_name(text: str) -> str:
    """Returns an option's text: that of a shell's variable that is not set must not be taken for no option at all.

    Raises:
        argparse.ArgumentTypeError: It is empty.
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a name. Received: ''")
    return text
