"""TFJobs as processes of this machine."""

from tfjob.local.backend import LocalBackend as LocalBackend
from tfjob.local.cores import available_cores as available_cores
from tfjob.local.gpus import find_gpus as find_gpus
