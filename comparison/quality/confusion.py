"""Which classes were taken for which: a matrix that holds what occurred, however many classes there are."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

# Beyond these a record lists what occurred in place of every cell: a thousand classes have a million cells.
MAX_DENSE_CLASSES = 100
# Up to so many classes a reader is shown all; of more, so many of the most confused ones.
MAX_SHOWN_CLASSES = 50
_MOST_CONFUSED = 20
_ENTRY_LENGTH = 3


@dataclass(frozen=True)
class ConfusionMatrix:
    """How often images of each class were taken for each.

    Attributes:
        num_classes: One more than the highest class that is known of.
        counts: By true and predicted class; what did not occur is not there.
    """

    num_classes: int
    counts: Mapping[tuple[int, int], int]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int]]) -> "ConfusionMatrix":
        """Returns the matrix with such rows, true classes; columns are predicted ones.

        Raises:
            ValueError: The rows are not as long as there are of them.
        """
        if any(len(row) != len(rows) for row in rows):
            raise ValueError(f"confusion_matrix must be square. Received rows of {[len(row) for row in rows]}.")
        cells = {(true, predicted): count for true, row in enumerate(rows) for predicted, count in enumerate(row)}
        return cls(len(rows), {pair: count for pair, count in cells.items() if count})

    @classmethod
    def from_counts(cls, counts: Iterable[Sequence[int]]) -> "ConfusionMatrix":
        """Returns the matrix of which the entries `[true, predicted, count]` are all that occurred.

        Raises:
            ValueError: An entry is no such thing, or a pair of classes is there twice.
        """
        cells: dict[tuple[int, int], int] = {}
        for entry in counts:
            pair = (entry[0], entry[1]) if len(entry) == _ENTRY_LENGTH and min(entry) >= 0 else None
            if pair is None or pair in cells:
                raise ValueError(
                    "confusion_counts must be entries [true class, predicted class, count], one for each pair of "
                    f"classes. Received: {list(entry)}."
                )
            cells[pair] = entry[2]
        return cls(
            1 + max((max(pair) for pair in cells), default=-1), {pair: own for pair, own in cells.items() if own}
        )

    def check(self, num_correct: int | None, total: int | None) -> None:
        """Makes sure that so many images were classified, one at least, and so many of them correctly.

        Raises:
            ValueError: They were not.
        """
        if (self.num_correct, self.total) != (num_correct, total) or total == 0:
            raise ValueError(
                f"the confusion matrix must count {num_correct} correct of {total} examples, and at least one. "
                f"Received: {self.num_correct} of {self.total}."
            )

    @property
    def total(self) -> int:
        """How many images were classified."""
        return sum(self.counts.values())

    @property
    def num_correct(self) -> int:
        """How many of them correctly."""
        return sum(count for (true, predicted), count in self.counts.items() if true == predicted)

    @property
    def errors(self) -> dict[tuple[int, int], int]:
        """What was taken for another class."""
        return {pair: count for pair, count in self.counts.items() if pair[0] != pair[1]}

    def count_true(self) -> Counter[int]:
        """Returns how many images there are of each class that has one: the sums of the rows."""
        sums: Counter[int] = Counter()
        for (true, _), count in self.counts.items():
            sums[true] += count
        return sums

    def list_occurring(self) -> list[int]:
        """Returns the classes that an image has or was taken for."""
        return sorted({name for pair in self.counts for name in pair})

    def select_classes(self, limit: int = MAX_SHOWN_CLASSES) -> list[int]:
        """Returns the classes to show: all or, beyond the limit, those that occur or, of these, the most confused."""
        if self.num_classes <= limit:
            return list(range(self.num_classes))
        occurring = self.list_occurring()
        if len(occurring) <= limit:
            return occurring
        confused: Counter[int] = Counter()
        for pair, count in self.errors.items():
            confused.update(dict.fromkeys(pair, count))
        ranked = sorted(occurring, key=lambda name: (-confused[name], name))
        return sorted(ranked[: min(limit, _MOST_CONFUSED)])

    def count_left_out(self, shown: Collection[int]) -> int:
        """Returns how many classes occur that are not shown."""
        return len({*self.list_occurring()} - {*shown})

    def to_rows(self, classes: Collection[int] | None = None) -> list[list[int]]:
        """Returns the rows of all classes, or of some: true classes; columns are predicted ones."""
        shown = range(self.num_classes) if classes is None else classes
        return [[self.counts.get((true, predicted), 0) for predicted in shown] for true in shown]

    def to_counts(self) -> list[list[int]]:
        """Returns what occurred as entries `[true, predicted, count]`, in the order of the classes."""
        return [[*pair, count] for pair, count in sorted(self.counts.items())]


def read_matrix(rows: Sequence[Sequence[int]] | None, counts: Iterable[Sequence[int]] | None) -> ConfusionMatrix:
    """Returns the matrix that a record holds in one of its two forms.

    Raises:
        ValueError: There is none, there are both, or it is no such form.
    """
    if rows is not None and counts is None:
        return ConfusionMatrix.from_rows(rows)
    if counts is not None and rows is None:
        return ConfusionMatrix.from_counts(counts)
    raise ValueError("one of confusion_matrix and confusion_counts is expected.")


def add_matrices(matrices: Iterable[ConfusionMatrix]) -> ConfusionMatrix:
    """Returns the sum of matrices; those of fewer classes count for the classes that they have."""
    num_classes, counts = 0, Counter[tuple[int, int]]()
    for matrix in matrices:
        num_classes = max(num_classes, matrix.num_classes)
        counts.update(matrix.counts)
    return ConfusionMatrix(num_classes, dict(counts))
