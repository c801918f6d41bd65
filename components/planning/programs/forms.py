"""The rows of a person's own program, and the smallest jobs that it may run as."""

from dataclasses import asdict, dataclass
from typing import Any

# The baseline under the name of what it is where a program does not run without the variable.
NEEDS_TF_CONFIG = "single-tf-config"


@dataclass(frozen=True)
class ProgramConfiguration:
    """One row of the comparison.

    Attributes:
        name: What the table calls it.
        workers: Replicas that train.
        num_ps: Parameter servers.
        has_tf_config: Whether its only replica is given a TF_CONFIG, which the operator gives to several alone.
    """

    name: str
    workers: int
    num_ps: int = 0
    has_tf_config: bool = False

    def to_json(self) -> dict[str, Any]:
        """Returns its entry in `run.json`."""
        return asdict(self)

    def describe(self) -> str:
        """Returns what it is, in words."""
        if self.has_tf_config:
            return "one worker that is given a TF_CONFIG, as the operator gives it to several alone"
        workers = "one worker" if self.workers == 1 else f"{self.workers} workers"
        return f"{workers} and {self.num_ps} parameter server(s)" if self.num_ps else workers


def name_configuration(workers: int, num_ps: int) -> str:
    """Returns what the table calls a number of workers, with servers or without."""
    if workers == 1 and not num_ps:
        return "single"
    return f"workers-{workers}-ps-{num_ps}" if num_ps else f"workers-{workers}"
