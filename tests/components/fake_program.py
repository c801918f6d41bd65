import json

from tests.components.fake_backend import make_training

# What a replica runs where a test is not about learning: it is done as soon as it has started.
FAKE_PROGRAM = f"""
import json, os, pathlib, sys
config = json.loads(os.environ.get("TF_CONFIG", "null"))
role = config["task"]["type"] + "-" + str(config["task"]["index"]) if config else "alone"
print("trained as", role)
if role in ("alone", "worker-0", "chief-0"):
    folder = pathlib.Path(sys.argv[sys.argv.index("--output-dir") + 1])
    folder.mkdir(exist_ok=True)
    training = json.loads({json.dumps(make_training())!r})
    cluster = config["cluster"] if config else {{"worker": [""]}}
    names = [(kind, index) for kind, addresses in cluster.items() for index in range(len(addresses))]
    first = training["replicas"][0]
    training["replicas"] = [first | {{"type": kind, "index": index}} for kind, index in names]
    (folder / "training.json").write_text(json.dumps(training))
    (folder / "model.keras").write_text("weights")
"""
