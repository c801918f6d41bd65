"""Where a run's outputs lie, and its pods: what to ask a server that its versions answer in different ways."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class StoredArtifact:
    """An output of a step, and where it lies.

    Attributes:
        number: Identifier; later ones are larger.
        step: The step's name.
        output: The output's name.
        uri: Where it lies, such as minio://mlpipeline/v2/artifacts/….
        namespace: Namespace of the run.
        session: How the store is reached, as KFP wrote it down for the dashboard.
        created_at: When it was stored, Unix time; 0 where that is not known.
    """

    number: int
    step: str
    output: str
    uri: str
    namespace: str
    session: str
    created_at: float = 0.0


@dataclass(frozen=True)
class StepPod:
    """The pod of a step that runs.

    Attributes:
        step: The step's name.
        name: The pod's.
        namespace: The pod's namespace.
    """

    step: str
    name: str
    namespace: str


class Catalog(Protocol):
    """Knows where the outputs of runs lie, and their pods. Each way to ask is a class in a module of its own."""

    def check(self) -> None:
        """Makes sure that the catalog answers.

        Raises:
            ServerError: It does not; the message says what to do.
        """

    def list_artifacts(self, run_id: str) -> list[StoredArtifact]:
        """Returns the outputs that a run has stored so far, the oldest first.

        Raises:
            ServerError: It does not answer.
        """

    def list_running_pods(self, run_id: str) -> list[StepPod]:
        """Returns the pods of the steps that run.

        Raises:
            ServerError: It does not answer.
        """
