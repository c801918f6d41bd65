"""A person's own TFJob: read, checked, and built for one configuration of a comparison."""

from tfjob.own.documents import read_documents as read_documents
from tfjob.own.job import OwnJob as OwnJob
from tfjob.own.job import PodPlacement as PodPlacement
from tfjob.own.job import read_own_job as read_own_job
from tfjob.own.placeholders import BATCHES as BATCHES
from tfjob.own.placeholders import PLACEHOLDERS as PLACEHOLDERS
