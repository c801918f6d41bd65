from typing import Any

from components.run_plan import RunPlan, plan_run

PARAMETERS: dict[str, Any] = {
    "image": "registry.example/speedup:1",
    "dataset": "mnist",
    "max_train_images": 0,
    "model": "resnet8",
    "model_arguments": '{"stem_stride": 2}',
    "epochs": 2,
    "global_batch_size": 128,
    "learning_rate": 0.2,
    "target_accuracy": 0.98,
    "scaling": "strong",
    "strategies": ["all_reduce", "parameter_server"],
    "workers": [2],
    "num_ps": 1,
    "bigger_nodes": False,
    "trials": 2,
    "seed": 7,
    "cpus_per_replica": 1.0,
    "memory_per_replica": "2Gi",
    "gpus_per_replica": 0,
    "deadline_minutes": 60,
    "pending_minutes": 10,
    "job_settings": "{}",
    "keep_failed_jobs": False,
    "study_depth": False,
}


def make_plan(run_id: str = "run-1", **changes: Any) -> RunPlan:
    """Returns a plan; `changes` are parameters to replace."""
    return plan_run(run_id, PARAMETERS | changes)
