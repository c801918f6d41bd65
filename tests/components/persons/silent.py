"""A program that honours TF_CONFIG and says nothing: level 0."""

import json
import os
import time

config = json.loads(os.environ.get("TF_CONFIG", "{}"))
time.sleep(0.2 / len(config.get("cluster", {}).get("worker", [None])))
