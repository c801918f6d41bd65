"""A replica's process on this machine: started, guarded, isolated, watched and ended."""

from tfjob.local.processes.isolation import ISOLATIONS as ISOLATIONS
from tfjob.local.processes.isolation import Isolation as Isolation
from tfjob.local.processes.isolation import choose_isolation as choose_isolation
from tfjob.local.processes.isolation import find_obstacle as find_obstacle
from tfjob.local.processes.isolation import start_keeper as start_keeper
from tfjob.local.processes.life import read_lives as read_lives
from tfjob.local.processes.process import Exited as Exited
from tfjob.local.processes.process import Keeper as Keeper
from tfjob.local.processes.process import LogBroken as LogBroken
from tfjob.local.processes.process import Message as Message
from tfjob.local.processes.process import ReplicaProcess as ReplicaProcess
from tfjob.local.processes.strays import MARK_VARIABLE as MARK_VARIABLE
from tfjob.local.processes.strays import kill_strays as kill_strays
from tfjob.local.processes.strays import make_mark as make_mark
