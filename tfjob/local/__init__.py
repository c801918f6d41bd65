"""TFJobs as processes of this machine."""

from tfjob.local.backend import LocalBackend as LocalBackend
from tfjob.local.cores import available_cores as available_cores
from tfjob.local.gpus import find_gpus as find_gpus
from tfjob.local.gpus import list_gpus as list_gpus
from tfjob.local.isolation import ISOLATIONS as ISOLATIONS
from tfjob.local.isolation import Isolation as Isolation
from tfjob.local.isolation import choose_isolation as choose_isolation
from tfjob.local.isolation import find_obstacle as find_obstacle
