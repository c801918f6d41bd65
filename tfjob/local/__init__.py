"""TFJobs as processes of this machine."""

from tfjob.local.backend import LocalBackend as LocalBackend
