"""The launcher of a cell: trains one trial as a step does, and tells how it went in its last line, as JSON."""

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from components.planning import Parameters, list_places, plan_run
from components.trials.trial import run_trial
from tfjob.errors import TFJobError
from tfjob.launch import choose_backend

# A network of 5,142 parameters on 2,000 images of noise about ten patterns; trained for some seconds.
SETTINGS: dict[str, Any] = {
    "model_arguments": '{"width": 4, "stem_stride": 4}',
    "global_batch_size": 64,
    "same_batch_norm": True,
}


def main() -> int:
    """Runs the program: DATA (prepared), WORKSPACE, OUTPUT, STRATEGY, WORKERS, EPOCHS, SEED."""
    data, workspace, output_dir = map(Path, sys.argv[1:4])
    strategy, (workers, epochs, seed) = sys.argv[4], map(int, sys.argv[5:])
    parameters = Parameters(strategies=[strategy], workers=[workers], trials=1, epochs=epochs, seed=seed, **SETTINGS)
    plan = plan_run(workspace.name, parameters, lambda _: None)
    place = next(place for place in list_places(plan) if place.configuration.training.strategy == strategy)
    os.environ["TFJOB_SPEEDUP_ACCEPT_NOISE"] = "1"
    try:
        run_trial(plan, place, data, workspace, output_dir, choose_backend())
    except TFJobError as error:
        print(f"error: {error}", flush=True)
        return 1
    training = json.loads((output_dir / "training.json").read_text())
    launch = json.loads((output_dir / "launch.json").read_text())
    told = {
        "weights": training["weights_sha256"],
        "accuracy": training["curve"][-1]["validation_accuracy"],
        "earlier": launch["earlier_attempts"],
        "model": hashlib.sha256((output_dir / "model.keras").read_bytes()).hexdigest(),
    }
    print(json.dumps(told), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
