"""`python -m pipeline.upload` puts the pipeline on a Kubeflow Pipelines server, once for each version of it.

The server is named by KFP_ENDPOINT, or --endpoint.
"""

import argparse
import os
import sys
from collections.abc import Sequence

from pipeline.compile import add_image_option, add_workspace_options, take_workspace
from pipeline.remote import (
    ENDPOINT_VARIABLE,
    NAMESPACE_VARIABLE,
    Access,
    Server,
    ServerError,
    describe_version,
    upload_compiled,
)
from pipeline.shell import REFUSED, read_name
from pipeline.streams import complain, replace_unencodable, tell


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m pipeline.upload") -> int:
    """Runs the program and returns its exit code: 0, or 2 where the server cannot be used or refused."""
    replace_unencodable()
    parser = argparse.ArgumentParser(
        prog=prog, description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_server_options(parser)
    add_image_option(parser)
    add_workspace_options(parser)
    options = vars(parser.parse_args(arguments))
    if not options["endpoint"]:
        parser.error(f"{ENDPOINT_VARIABLE} must name the server, such as https://kubeflow.example/pipeline")
    try:
        server = Server(Access.read(options["endpoint"], options["namespace"]))
        server.check()
        version = upload_compiled(server, take_workspace(options), options["image"])
    except ServerError as error:
        complain(f"error: {error}")
        return REFUSED
    tell(describe_version(server.access, version))
    return 0


def add_server_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name a server to a command line."""
    group = parser.add_argument_group("a Kubeflow Pipelines server")
    group.add_argument(
        "--endpoint",
        type=read_name,
        default=os.environ.get(ENDPOINT_VARIABLE) or None,
        metavar="URL",
        help=f"default: ${ENDPOINT_VARIABLE}",
    )
    group.add_argument(
        "--namespace",
        default=os.environ.get(NAMESPACE_VARIABLE, ""),
        metavar="NAME",
        help=f"where runs live in an installation for several users (default: ${NAMESPACE_VARIABLE})",
    )


if __name__ == "__main__":
    sys.exit(main())
