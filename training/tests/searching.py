"""A search with an objective that costs nothing; run as a script, a process of a search that several share."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlloc_training.experiments.search import Space, run_search

SPACE = Space("image_cnn", (16, 16), {"channels": 4})


def valley(settings: dict[str, Any], report: Callable[[int, float], None]) -> dict[str, float]:
    """Errors least at dropout 0.3, three convolutions and filters of 5 pixels; four epochs that halve the rest."""
    error = abs(settings["dropout"] - 0.3) + 0.1 * abs(settings["convolutions"] - 3) + 0.1 * (settings["kernel"] != 5)
    for epoch in range(4):
        report(epoch, error + 0.5**epoch)
    return {"x": error, "depth": 2.0 * error}


def slow_valley(settings: dict[str, Any], report: Callable[[int, float], None]) -> dict[str, float]:
    """The same, at a length that leaves the other process its share."""
    time.sleep(0.3)
    return valley(settings, report)


if __name__ == "__main__":
    storage = sys.argv[3] if len(sys.argv) > 3 else None
    run_search(SPACE, Path(sys.argv[1]), slow_valley, int(sys.argv[2]), 1, storage=storage, progress=False)
