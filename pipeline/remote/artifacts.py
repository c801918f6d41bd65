"""Where a run's outputs lie: the one question to a server that its versions answer in different ways."""

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
    """

    number: int
    step: str
    output: str
    uri: str
    namespace: str
    session: str


class Catalog(Protocol):
    """Knows where the outputs of runs lie. Each way to ask a server for that is a class in a module of its own."""

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
