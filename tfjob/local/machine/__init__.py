"""What this machine has: its CPUs and GPUs, which of them a replica gets, and who else computes on them."""

from tfjob.local.machine.cores import CoreAssignment as CoreAssignment
from tfjob.local.machine.cores import available_cores as available_cores
from tfjob.local.machine.cores import give_cores as give_cores
from tfjob.local.machine.cpus import ROOT as ROOT
from tfjob.local.machine.cpus import list_siblings as list_siblings
from tfjob.local.machine.gpus import are_shared as are_shared
from tfjob.local.machine.gpus import find_gpus as find_gpus
from tfjob.local.machine.gpus import list_gpus as list_gpus
from tfjob.local.machine.gpus import visible_gpus as visible_gpus
from tfjob.local.machine.load import Load as Load
from tfjob.local.machine.load import look as look
from tfjob.local.machine.memory import count_memory_kills as count_memory_kills
from tfjob.local.machine.quiet import wait_until_quiet as wait_until_quiet
