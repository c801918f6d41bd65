"""The pipeline on a server: uploaded once for each version of it."""

import hashlib
import importlib.metadata
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import kfp_server_api  # type: ignore[import-untyped]

from components.image import DEFAULT_IMAGE
from components.planning import describe_form
from pipeline.compile import compile_pipeline
from pipeline.remote.server import Access, NotFoundError, Server
from pipeline.speedup import QUESTION, Workspace, speedup_pipeline

_EQUALS = "EQUALS"
_DIGEST_LENGTH = 12


@dataclass(frozen=True)
class UploadedVersion:
    """A version of the pipeline on a server.

    Attributes:
        pipeline_id: The pipeline's identifier.
        version_id: The version's.
        name: The version's name.
        is_new: Whether it has been uploaded now.
    """

    pipeline_id: str
    version_id: str
    name: str
    is_new: bool


def upload_compiled(server: Server, workspace: Workspace, image: str = DEFAULT_IMAGE) -> UploadedVersion:
    """Returns the pipeline's version on the server, uploaded if it is not there.

    Raises:
        ServerError: The server cannot be used, or refuses.
    """
    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / "pipeline.yaml"
        compile_pipeline(package, workspace, image)
        name = name_version(package.read_bytes())
        pipeline_id = find_pipeline(server) or create_pipeline(server)
        if version_id := find_version(server, pipeline_id, name):
            return UploadedVersion(pipeline_id, version_id, name, is_new=False)
        version = server.uploads.upload_pipeline_version(
            str(package), name=name, pipelineid=pipeline_id, description=describe_form()
        )
    return UploadedVersion(pipeline_id, version.pipeline_version_id, name, is_new=True)


def name_version(compiled: bytes) -> str:
    """Returns the name of a pipeline's version: it follows from its content, so that the same is not uploaded twice."""
    digest = hashlib.sha256(compiled).hexdigest()[:_DIGEST_LENGTH]
    return f"{importlib.metadata.version('tfjob-speedup')}-{digest}"


def find_pipeline(server: Server) -> str | None:
    """Returns the identifier of the pipeline on the server; None if it is not there."""
    try:
        pipeline = server.pipelines.pipeline_service_get_pipeline_by_name(
            speedup_pipeline.name, namespace=server.access.namespace
        )
    except NotFoundError:
        return None
    return str(pipeline.pipeline_id)


def create_pipeline(server: Server) -> str:
    """Returns the identifier of the pipeline, made on the server without a version.

    An upload makes both at once, but then names the version after the pipeline.
    """
    pipeline = server.pipelines.pipeline_service_create_pipeline(
        kfp_server_api.V2beta1Pipeline(
            display_name=speedup_pipeline.name,
            name=speedup_pipeline.name,
            description=QUESTION,
            namespace=server.access.namespace or None,
        )
    )
    return str(pipeline.pipeline_id)


def find_version(server: Server, pipeline_id: str, name: str) -> str | None:
    """Returns the identifier of a pipeline's version of that name; None if it is not there."""
    answer = server.pipelines.pipeline_service_list_pipeline_versions(pipeline_id, filter=filter_by_name(name))
    versions = answer.pipeline_versions or []
    return next((str(version.pipeline_version_id) for version in versions if version.display_name == name), None)


def filter_by_name(name: str) -> str:
    """Returns the API's filter for what is shown under a name."""
    return json.dumps({"predicates": [{"operation": _EQUALS, "key": "display_name", "string_value": name}]})


def describe_version(access: Access, version: UploadedVersion) -> str:
    """Returns what a person is told of the version."""
    did = "uploaded" if version.is_new else "was there already"
    link = access.link_version(version.pipeline_id, version.version_id)
    return f"Pipeline {speedup_pipeline.name}, version {version.name}, {did}: {link}"
