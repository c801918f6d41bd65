"""The process that launches: where it runs, for whom, its sign of life, and the signals that it hears."""

from tfjob.launcher.environment import current_namespace as current_namespace
from tfjob.launcher.environment import is_in_pod as is_in_pod
from tfjob.launcher.environment import owner_reference as owner_reference
from tfjob.launcher.environment import read_boot_id as read_boot_id
from tfjob.launcher.heartbeat import Heartbeat as Heartbeat
from tfjob.launcher.owner import OWNER_VARIABLE as OWNER_VARIABLE
from tfjob.launcher.owner import Owner as Owner
from tfjob.launcher.owner import find_owner as find_owner
from tfjob.launcher.signals import Signalled as Signalled
from tfjob.launcher.signals import signals_to as signals_to
