"""Running the pipeline on this machine, and taking up a run that was interrupted."""

from pipeline.local.resume import ResumeError as ResumeError
from pipeline.local.resume import describe_killed as describe_killed
from pipeline.local.resume import take_up as take_up
from pipeline.local.run import run_here as run_here
