"""The pipeline, and the programs that run, compile and upload it."""

import sys

try:
    from components import check_packages as check_packages
except ImportError as error:  # a person's own module of that name stands before it
    sys.exit(f"error: {error.path} is found in place of this project's own components. Give it another name.")
