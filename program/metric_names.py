"""What the names of metrics tell: which is none, which way is better, and which is a share of one."""

import re
from functools import lru_cache


def _split(words: str) -> frozenset[str]:
    return frozenset(words.split())


_BETTER_HIGHER = _split(
    "accuracy acc auc auroc auprc prc f1 fbeta precision recall bleu rouge map ndcg mrr iou miou dice psnr ssim r2 "
    "sensitivity specificity hits cider meteor"
)
_BETTER_LOWER = _split(
    "loss error err errors rmse mae mse msle mape perplexity ppl nll crossentropy entropy wer cer fid bpc bpb "
    "logloss hinge kld divergence hamming"
)
_SHARES = _split(
    "accuracy acc auc auroc auprc prc f1 fbeta precision recall map ndcg mrr iou miou dice sensitivity specificity"
)
_NO_METRICS = _split(
    "lr learning_rate learningrate epoch epochs step steps global_step train_step iteration iterations iter iters "
    "batch batch_size batches batchsize time sec secs second seconds elapsed duration eta seed rank world_size "
    "num_workers workers task_index index pid port gpu cpu memory mem size momentum weight_decay dropout "
    "steps_per_second steps_per_sec steps/sec global_step/sec jitter worker ps n shape dtype axis"
)
STEP_NAMES = frozenset({"step", "global_step", "train_step", "training_step", "iteration", "iter"})
RATE_NAMES = frozenset(
    f"{unit}{per}{second}"
    for unit in ("examples", "images", "samples", "img", "imgs", "sentences", "sequences")
    for per in ("_per_", "/")
    for second in ("second", "sec", "s")
)
_WORDS = re.compile(r"[A-Za-z]+[0-9]*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


# The same few names come in every line.
@lru_cache(maxsize=512)
def is_metric(name: str) -> bool:
    """Returns whether a name can be a metric's: a learning rate, a step or a speed is none."""
    name = name.strip().lower().replace(" ", "_")
    return name not in _NO_METRICS and name not in RATE_NAMES and not name.endswith(("/sec", "/s", "_per_sec", "_lr"))


@lru_cache(maxsize=512)
def find_direction(name: str) -> bool | None:
    """Returns whether a higher value is better, by well-known names; None where the name does not tell."""
    words = _list_words(name)
    if words & _BETTER_LOWER:  # "accuracy_error" is an error
        return False
    return True if words & _BETTER_HIGHER else None


def is_share(name: str) -> bool:
    """Returns whether a metric is one of at most 1, as accuracy is."""
    words = _list_words(name)
    return bool(words & _SHARES) and not words & _BETTER_LOWER


def _list_words(name: str) -> set[str]:
    words = [word.lower() for word in _WORDS.findall(_CAMEL.sub(" ", name))]
    # "accuracy1" and "top5acc" of Keras' numbered names; "f1" and "r2" are words as they stand.
    return {*words, *(word.rstrip("0123456789") for word in words)}
