"""Running the pipeline on a Kubeflow Pipelines server: submit, follow, fetch."""

from pipeline.remote.check import check_form as check_form
from pipeline.remote.check import list_doubts as list_doubts
from pipeline.remote.follow import DEFAULT_PACE as DEFAULT_PACE
from pipeline.remote.follow import Pace as Pace
from pipeline.remote.server import ENDPOINT_VARIABLE as ENDPOINT_VARIABLE
from pipeline.remote.server import NAMESPACE_VARIABLE as NAMESPACE_VARIABLE
from pipeline.remote.server import Access as Access
from pipeline.remote.server import Server as Server
from pipeline.remote.server import ServerError as ServerError
from pipeline.remote.submit import read_parameters as read_parameters
from pipeline.remote.submit import start_run as start_run
from pipeline.remote.submit import terminate as terminate
from pipeline.remote.submit import watch as watch
from pipeline.remote.upload import describe_version as describe_version
from pipeline.remote.upload import upload_compiled as upload_compiled
