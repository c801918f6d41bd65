"""TFJobs as pods of a cluster, made by its training operator."""

from tfjob.cluster.api import connect as connect
from tfjob.cluster.backend import KubernetesBackend as KubernetesBackend
from tfjob.cluster.pods import DOUBTFUL_REASONS as DOUBTFUL_REASONS
from tfjob.cluster.pods import HOPELESS_REASONS as HOPELESS_REASONS
from tfjob.cluster.submission import delete_left_jobs as delete_left_jobs
