import json
from pathlib import Path
from typing import Any

from comparison.depth_study.record import Study, read_study

FINAL_LOSSES: dict[str, float | None] = {"resnet20": 0.125, "plain20": 0.1, "resnet56": 0.125, "plain56": 1.0}
RATIOS = {"resnet20": 2.0, "plain20": 0.05, "resnet56": 10.0, "plain56": 200.0}


def make_network(model: str, final_train_loss: float | None, ratio: float) -> dict[str, Any]:
    depth = int(model[-2:])
    norms = {f"convolution{index}": 4.0 * ratio ** (1 - index / (depth - 2)) for index in range(depth - 1)}
    return {
        "model": model,
        "has_shortcuts": model.startswith("resnet"),
        "depth": depth,
        "num_parameters": 68_642,
        "train_losses": [2.5, 2.0, *([] if final_train_loss is None else [final_train_loss] * 2)],
        "final_train_loss": final_train_loss,
        "num_final_steps": 2,
        "diverged_at_step": 2 if final_train_loss is None else None,
        "validation_n_correct": 970,
        "validation_n_examples": 1000,
        "compile_seconds": 4.0,
        "train_seconds": 30.0,
        "initial": [
            {"has_batch_norm": True, "loss": 2.4, "gradient_norms": norms},
            {"has_batch_norm": False, "loss": 1500.0, "gradient_norms": dict.fromkeys(norms, 0.5)},
        ],
    }


def make_values(
    losses: dict[str, float | None] | None = None, ratios: dict[str, float] | None = None
) -> dict[str, Any]:
    networks = {**FINAL_LOSSES, **(losses or {})}
    return {
        "schema_version": 1,
        "dataset": "mnist",
        "dataset_sha256": "d" * 64,
        "num_classes": 10,
        "settings": {"depths": [20, 56], "num_train_images": 10_000, "seed": 0},
        "networks": [
            make_network(model, loss, {**RATIOS, **(ratios or {})}[model]) for model, loss in networks.items()
        ],
        "num_processes": 2,
        "total_seconds": 90.5,
        "versions": {"python": "3.11.7", "tfjob_speedup": "0.1.0"},
        "host": {"cpu_model": "AMD EPYC", "cores": 2, "memory_bytes": 2**34},
    }


def write_values(values: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(values))
    return path


def make_study(
    folder: Path, losses: dict[str, float | None] | None = None, ratios: dict[str, float] | None = None
) -> Study:
    return read_study(write_values(make_values(losses, ratios), folder / "depth_study.json"))
