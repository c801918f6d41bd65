"""`python -m comparison.depth_study FILE` makes the page of a depth study: residual against plain networks."""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.depth_study.plot import SMOOTHED_STEPS, plot_gradients, plot_losses
from comparison.depth_study.record import EXPLODING_RATIO, GROWING_RATIO, Initial, Network, Study, read_study
from comparison.page import render_page
from comparison.records import RecordError, write_text
from comparison.streams import replace_unencodable
from comparison.table import TIMES, UNKNOWN, format_accuracy, format_number

# One seed settles no small difference: closer losses than this ratio are told with that remark. A choice, no test.
SETTLED_RATIO = 2.0
_UNSETTLED = ", too close for one seed to settle"


def main(arguments: Sequence[str] | None = None, *, prog: str = "python -m comparison.depth_study") -> int:
    """Returns the exit status: 0, or 2 where the file is no depth study."""
    replace_unencodable()
    parser = argparse.ArgumentParser(prog=prog, description="Make the page of a depth study, beside its file.")
    parser.add_argument("file", type=Path, metavar="FILE", help="such as runs/latest/depth_study.json")
    path: Path = parser.parse_args(arguments).file
    try:
        study = read_study(path)
        write_text(path.with_suffix(".html"), render_study(study))
    except (RecordError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{state_losses(study)}\n\n{path.with_suffix('.html')}")
    return 0


def render_study(study: Study) -> str:
    """Returns the study as one self-contained HTML page in the style of the report."""
    return render_page(
        "depth_study/depth_study.html.j2",
        verdict=state_losses(study),
        findings=[*state_depths(study), state_gradients(study, has_batch_norm=True)],
        plots={
            "Training loss": plot_losses(study),
            "Gradients with BatchNorm": plot_gradients(study, has_batch_norm=True),
            "Gradients without BatchNorm": plot_gradients(study, has_batch_norm=False),
        },
        trainings=[_format_training(network) for network in study.networks],
        initials=[_format_initial(network, initial) for network in study.networks for initial in network.initial],
        smoothed_steps=SMOOTHED_STEPS,
        num_final_steps=study.networks[0].num_final_steps,
        growing_ratio=f"{GROWING_RATIO:g}",
        exploding_ratio=f"{EXPLODING_RATIO:g}",
        settled_ratio=f"{SETTLED_RATIO:g}",
        num_classes=study.num_classes,
        guessing_loss=f"{math.log(study.num_classes):.2f}",
        conditions=_describe_conditions(study),
        settings={name.replace("_", " "): _format_setting(value) for name, value in study.settings.items()},
        seconds=f"{study.total_seconds:,.0f}",
        num_processes=study.num_processes,
    )


def state_losses(study: Study) -> str:
    """Returns which family ends with the lower training loss at each depth, in a sentence."""
    clauses = [
        f"at {depth} layers {_compare_losses(*(study.find(depth, has_shortcuts=kind) for kind in (False, True)))}"
        for depth in study.depths
    ]
    steps = max(len(network.train_losses) for network in study.networks)
    return (
        f"After {steps:,} steps on {study.settings['num_train_images']:,} images of {study.dataset}, one seed: "
        f"{'; '.join(clauses)}."
    )


def state_depths(study: Study) -> list[str]:
    """Returns a sentence for each family on what more layers did to its training loss: degradation or not."""
    deepest, shallowest = study.depths[0], study.depths[-1]
    if deepest == shallowest:
        return []
    sentences = []
    for has_shortcuts in (False, True):
        shallow, deep = (study.find(depth, has_shortcuts=has_shortcuts) for depth in (shallowest, deepest))
        sentences.append(f"From {shallowest} to {deepest} layers, {shallow.kind}: {_compare_depths(shallow, deep)}.")
    return sentences


def state_gradients(study: Study, *, has_batch_norm: bool) -> str:
    """Returns how the gradient norms change from the last convolution to the first, in a sentence."""
    parts = [
        f"{network.model} {_format_ratio(initial.ratio)} ({initial.reading})"
        for network, initial in study.list_initials(has_batch_norm=has_batch_norm)
    ]
    name = "with" if has_batch_norm else "without"
    return (
        f"The gradient's norm on its way to the input, first convolution ÷ last, {name} BatchNorm and before the "
        f"training: {', '.join(parts)}."
    )


def _compare_losses(plain: Network, residual: Network) -> str:
    losses = plain.final_train_loss, residual.final_train_loss
    if losses[0] is None or losses[1] is None:
        return " and ".join(map(_state_end, (plain, residual)))
    worse, better = (plain, residual) if losses[0] > losses[1] else (residual, plain)
    high, low = max(losses[0], losses[1]), min(losses[0], losses[1])
    ratio = _divide(high, low)
    return (
        f"{worse.kind} ends at {_format_ratio(ratio)} {better.kind}'s training loss "
        f"({_format_figure(high)} against {_format_figure(low)}{_remark(ratio)})"
    )


def _compare_depths(shallow: Network, deep: Network) -> str:
    losses = shallow.final_train_loss, deep.final_train_loss
    if losses[0] is None or losses[1] is None:
        return " and ".join(map(_state_end, (shallow, deep)))
    figures = f"{_format_figure(losses[0])} to {_format_figure(losses[1])}"
    if losses[1] <= losses[0]:
        return f"the training loss falls ({figures}{_remark(_divide(losses[0], losses[1]))})"
    ratio = _divide(losses[1], losses[0])
    verdict = ": degradation" if ratio >= SETTLED_RATIO else ""
    return f"the training loss rises to {_format_ratio(ratio)} ({figures}{_remark(ratio)}){verdict}"


def _state_end(network: Network) -> str:
    if network.final_train_loss is None:
        return f"{network.model} diverged at step {network.diverged_at_step:,}"
    return f"{network.model} ended at a training loss of {_format_figure(network.final_train_loss)}"


def _remark(ratio: float) -> str:
    return "" if ratio >= SETTLED_RATIO else _UNSETTLED


def _divide(numerator: float, denominator: float) -> float:
    return numerator / denominator if denominator else math.inf


def _format_ratio(ratio: float) -> str:
    return f"{_format_figure(ratio, 2)}{TIMES}"


def _format_figure(value: float | None, digits: int = 3) -> str:
    if value is None or not math.isfinite(value):
        return UNKNOWN
    return "0" if value == 0 else format_number(value, digits)


def _format_training(network: Network) -> list[str]:
    return [
        network.model,
        _format_figure(network.final_train_loss),
        format_accuracy(network.validation_accuracy),
        f"{network.num_parameters:,}",
        _format_figure(network.compile_seconds + network.train_seconds),
    ]


def _format_initial(network: Network, initial: Initial) -> list[str]:
    return [
        network.model,
        "with" if initial.has_batch_norm else "without",
        _format_figure(initial.loss),
        _format_figure(initial.norms[0]),
        _format_figure(initial.norms[-1]),
        _format_figure(initial.ratio, 2),
        initial.reading,
    ]


def _describe_conditions(study: Study) -> dict[str, str]:
    memory = study.host.get("memory_bytes")
    host = {name.replace("_", " "): str(value) for name, value in study.host.items() if name != "memory_bytes"}
    return {
        "data": f"{study.dataset}, SHA-256 {study.dataset_sha256[:12]}…",
        **host,
        **({} if memory is None else {"memory": f"{memory / 2**30:.1f} GiB"}),
        **{name.replace("_", "-"): str(value) for name, value in study.versions.items()},
    }


def _format_setting(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
