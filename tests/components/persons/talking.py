"""A program that prints name=value, and needs TF_CONFIG where it is asked to: level 1."""

import json
import os
import pathlib
import sys
import time

output_dir, *asked = sys.argv[1:]
if "no-start" in asked:
    raise ImportError("No module named 'horovod'")
text = os.environ["TF_CONFIG"] if "needs-config" in asked else os.environ.get("TF_CONFIG", "{}")
if "needs-servers" in asked and "ps" not in json.loads(text or "{}").get("cluster", {}):
    sys.exit("ValueError: No PS replicas")
config = json.loads(text)
task = config.get("task", {})
checkpoint = pathlib.Path(output_dir, f"worker-{task.get('index', 0)}.ckpt")  # another worker may have ended already
if task.get("type") != "ps":
    assert not checkpoint.exists(), "an old checkpoint"
    workers = len(config.get("cluster", {}).get("worker", [None]))
    for step in range(1, 21):
        time.sleep(0.05 / workers)  # lines that are read at one moment give no clock
        print(f"step={step} loss={1 / step:.3f}")
    print("auc=0.75")
    checkpoint.touch()
