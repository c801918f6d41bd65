"""TFJobs as pods of a cluster, made by its training operator."""

from tfjob.cluster.api import CONNECTION_ERRORS as CONNECTION_ERRORS
from tfjob.cluster.api import FORBIDDEN as FORBIDDEN
from tfjob.cluster.api import NOT_FOUND as NOT_FOUND
from tfjob.cluster.api import Cluster as Cluster
from tfjob.cluster.api import connect as connect
from tfjob.cluster.api import explain as explain
from tfjob.cluster.api import load_configuration as load_configuration
from tfjob.cluster.backend import KubernetesBackend as KubernetesBackend
from tfjob.cluster.nodes import find_free_cpus as find_free_cpus
from tfjob.cluster.submission import delete_left_jobs as delete_left_jobs
from tfjob.cluster.submission import list_unfinished_jobs as list_unfinished_jobs
