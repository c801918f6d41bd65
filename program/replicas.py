"""Replicas by name, `worker-0`: who speaks for the job, and who trains at all."""

_RANKS = {"chief": 0, "master": 0, "worker": 1, "evaluator": 3, "ps": 4}


def rank_replica(name: str) -> tuple[int, int, str]:
    """Returns a key that sorts replicas: the chief first, then workers by number, evaluators and servers last."""
    kind, _, index = name.rpartition("-")
    return _RANKS.get(kind.lower(), 2), int(index) if index.isdecimal() and len(index) < 10 else 0, name  # noqa: PLR2004


def is_trainer(name: str) -> bool:
    """Returns whether a replica's steps are the training's: an evaluator's and a server's are not."""
    return rank_replica(name)[0] < _RANKS["evaluator"]
