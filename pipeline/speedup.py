"""The pipeline: what runs, in what order, with which parameters."""

import functools
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from kfp import dsl
from kfp.dsl.graph_component import GraphComponent

from components.clean_up import clean_up
from components.compare import compare
from components.evaluate import evaluate
from components.image import DEFAULT_IMAGE
from components.plan_comparison import plan_comparison
from components.planning import describe_form
from components.prepare_data import prepare_data
from components.study_depth import study_depth as study_depth_step
from components.train import train_distributed, train_single_node
from pipeline.form import with_form

QUESTION = "Does distributing my TensorFlow training pay off here, by how much, and from how many workers on?"


@dataclass(frozen=True)
class Workspace:
    """The run's shared volume. It is compiled into the pipeline, because KFP takes no parameters there.

    Attributes:
        access_mode: ReadWriteMany, or ReadWriteOnce where all pods run on one node.
        storage_class: The cluster's storage class; empty for its default.
        size: Kubernetes quantity.
    """

    access_mode: str = "ReadWriteMany"
    storage_class: str = ""
    size: str = "2Gi"

    def to_kfp(self) -> dsl.WorkspaceConfig:
        """Returns the workspace as KFP compiles it."""
        claim: dict[str, Any] = {"accessModes": [self.access_mode]}
        if self.storage_class:
            claim["storageClassName"] = self.storage_class
        return dsl.WorkspaceConfig(size=self.size, kubernetes=dsl.KubernetesWorkspaceConfig(pvcSpecPatch=claim))


@functools.cache
def build_pipeline(workspace: Workspace, image: str = DEFAULT_IMAGE) -> GraphComponent:
    """Returns the pipeline with a workspace, and with the image that its form shows."""
    return dsl.pipeline(
        with_form(train_and_compare, image),
        name="tfjob-speedup",
        description=f"{QUESTION}\n\n{describe_form()}",
        pipeline_config=dsl.PipelineConfig(workspace=workspace.to_kfp()),
    )


def train_and_compare(parameters: SimpleNamespace) -> None:
    """Trains the same model on the same data on a single node and as TFJobs, and compares time and accuracy."""
    last = clean_up(
        pipeline_job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        settings=parameters.settings,
        workspace_path=dsl.WORKSPACE_PATH_PLACEHOLDER,
    )
    with dsl.ExitHandler(last, name="comparison"):
        plan = plan_comparison(pipeline_job_id=dsl.PIPELINE_JOB_ID_PLACEHOLDER, **vars(parameters))
        data = prepare_data(dataset=parameters.dataset, run_info=plan.outputs["run_info"])
        # The iterations start side by side, and their trials take turns (`components.trials.turns`): with a limit here,
        # a Retry in the dashboard would wait for ever.
        with dsl.ParallelFor(plan.outputs["Output"], name="trials") as iteration:
            inputs = {
                "iteration": iteration,
                "workspace_path": dsl.WORKSPACE_PATH_PLACEHOLDER,
                "settings": parameters.settings,
                "tfjob": parameters.tfjob,
                "run_info": plan.outputs["run_info"],
                "prepared": data.outputs["prepared"],
            }
            single = train_single_node(**inputs)
            distributed = train_distributed(**inputs).after(single)
        evaluated = evaluate(
            workspace_path=dsl.WORKSPACE_PATH_PLACEHOLDER,
            run_info=plan.outputs["run_info"],
            prepared=data.outputs["prepared"],
            baselines=dsl.Collected(single.outputs["trained"]),  # the compiler changes it: one for each consumer
            distributed=dsl.Collected(distributed.outputs["trained"]),
        )
        with dsl.If(parameters.study_depth == True, name="why-resnet"):  # noqa: E712 - KFP makes a condition of the comparison
            # After everything timed, and not last: KFP closes a graph's node when a step ends, not when one is skipped.
            studied = study_depth_step(prepared=data.outputs["prepared"], seed=plan.outputs["seed"]).after(evaluated)
        compared = compare(
            run_info=plan.outputs["run_info"],
            baselines=dsl.Collected(single.outputs["trained"]),
            distributed=dsl.Collected(distributed.outputs["trained"]),
            evaluations=evaluated.outputs["evaluations"],
        )
    for task in (plan, data, single, distributed, evaluated, compared, studied, last):
        task.set_container_image(parameters.image)
        # A timed step is never answered from a cache. Nor are the data: the key has their address, not their content.
        task.set_caching_options(enable_caching=False)
    # KFP's page of a task breaks where the platform has a workspace and no setting of any step. So here is one, and the
    # one that changes nothing: the nodes have the image when the last step starts.
    last.platform_config["kubernetes"] = {"imagePullPolicy": "IfNotPresent"}


DEFAULT_WORKSPACE = Workspace()
speedup_pipeline = build_pipeline(DEFAULT_WORKSPACE)
