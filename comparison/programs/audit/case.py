"""What the rules of a fair comparison of programs are checked against, and what a trial tells of its replicas."""

from dataclasses import dataclass, replace

from comparison.groups import list_trials
from comparison.programs.measure import Measure, ProgramGroups, ProgramTrials
from comparison.programs.record import ProgramReplica, ProgramTrial
from comparison.texts import say

# Servers and evaluators do not train, and may be of another size.
_NO_TRAINERS = frozenset({"ps", "evaluator"})
_CHIEFS = frozenset({"chief", "master"})


@dataclass(frozen=True)
class Case:
    """What is checked.

    Attributes:
        groups: The trials of each configuration.
        measure: What they are compared by.
        metric_names: The metrics that have a direction, and so are no clock or count.
        baseline_name: The configuration that all are compared with; None where it has no trial.
    """

    groups: ProgramGroups
    measure: Measure
    metric_names: frozenset[str] = frozenset()
    baseline_name: str | None = None

    @property
    def trials(self) -> list[ProgramTrial]:
        """All trials, in the order of the table."""
        return list_trials(self.groups)

    @property
    def baseline(self) -> ProgramTrials:
        """The trials that all others are compared with."""
        return self.groups.get(self.baseline_name, ()) if self.baseline_name is not None else ()

    def select(self, trials: ProgramTrials) -> "Case":
        """Returns the same of some of the trials."""
        chosen = {id(trial) for trial in trials}
        groups = {name: [own for own in group if id(own) in chosen] for name, group in self.groups.items()}
        return replace(self, groups={name: own for name, own in groups.items() if own})


def name_level(trial: ProgramTrial) -> str:
    """Returns how the program told its progress, in words."""
    return {0: say("nothing"), 1: say("what it printed"), 2: say("its progress file")}[trial.level]


def find_image(trial: ProgramTrial) -> str | None:
    """Returns what the replicas ran, None where that is not known: a tag alone may move."""
    if trial.backend == "local" and trial.image is None:
        return say("none, processes on the host")
    return trial.image_digest


def find_memory(trial: ProgramTrial) -> str | None:
    """Returns the limit of a replica's memory, None where it is not known; processes of this machine have none."""
    return say("no limit") if trial.backend == "local" else trial.memory_per_replica


def find_nodes(trial: ProgramTrial) -> set[str] | None:
    """Returns the nodes that the replicas ran on, None where one is not known; on this machine it is that."""
    nodes = {replica.node for replica in trial.replicas}
    if trial.backend == "local" and nodes == {None}:
        return {say("this machine")}
    return None if None in nodes else {str(node) for node in nodes}


def list_trainers(trial: ProgramTrial) -> list[ProgramReplica]:
    """Returns the replicas that train: as many as the trial counts workers, and so perhaps no chief."""
    workers = [replica for replica in trial.replicas if replica.type not in _NO_TRAINERS]
    if len(workers) > trial.num_workers:
        workers = [replica for replica in workers if replica.type not in _CHIEFS]
    return workers
