"""TFJobs as processes of this machine."""

from tfjob.local.backend import LocalBackend as LocalBackend
from tfjob.local.machine import available_cores as available_cores
from tfjob.local.machine import find_gpus as find_gpus
from tfjob.local.machine import list_gpus as list_gpus
from tfjob.local.processes import ISOLATIONS as ISOLATIONS
from tfjob.local.processes import Isolation as Isolation
from tfjob.local.processes import choose_isolation as choose_isolation
from tfjob.local.processes import find_obstacle as find_obstacle
