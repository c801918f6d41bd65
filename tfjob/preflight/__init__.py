"""Whether a cluster has what TFJobs need."""

from tfjob.preflight.program import main as main
