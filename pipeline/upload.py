"""`python -m pipeline.upload` puts the pipeline on a Kubeflow Pipelines server."""

import sys

from pipeline.remote import upload_program as main

if __name__ == "__main__":
    sys.exit(main())
