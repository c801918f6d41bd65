"""What the programs of this package say to a shell: exit codes, and the command lines that a person types next."""

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
