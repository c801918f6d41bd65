"""What is set on a TFJob beside what a run needs: as a person types it or KFP hands it on, and how it is laid over."""

from tfjob.settings.fit import fit_annotations as fit_annotations
from tfjob.settings.fit import fit_labels as fit_labels
from tfjob.settings.fit import fit_quantity as fit_quantity
from tfjob.settings.fit import refuse as refuse
from tfjob.settings.overlay import Overlay as Overlay
from tfjob.settings.overlay import lay_over as lay_over
from tfjob.settings.overlay import list_variables as list_variables
from tfjob.settings.overlay import of_containers as of_containers
from tfjob.settings.overlay import of_env as of_env
from tfjob.settings.overlay import of_metadata as of_metadata
from tfjob.settings.overlay import of_pods as of_pods
from tfjob.settings.overlay import of_run_policy as of_run_policy
from tfjob.settings.reading import QUEUE_LABEL as QUEUE_LABEL
from tfjob.settings.reading import describe_settings_here as describe_settings_here
from tfjob.settings.reading import parse_job_settings as parse_job_settings
from tfjob.settings.reading import read_node_labels as read_node_labels
from tfjob.settings.reading import read_task_config as read_task_config
