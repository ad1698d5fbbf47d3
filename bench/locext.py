"""Round trip of the external locator's script at a warm worker, beyond what the worker itself takes.

    python bench/locext.py [--repeats N] [--write NAME]

As scolv and screloc run it: a process is started, gets a document, answers with one Origin, ends. The demo's events,
whose theoretical seismograms come with the package; without picks, and with 300 arrivals. Locating is preprocessing,
network and what follows, as the worker times it; the rest is start-up, messages, waveforms and documents. The floor
is an interpreter that does nothing.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tables import add_write_option, machine, markdown, publish

REPOSITORY = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))

from test_locext import Place, document  # noqa: E402


def timed(command: list[str], environment: dict[str, str], stdin: bytes) -> float:
    """Seconds of a process from start to end; RuntimeError where it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, input=stdin, env=environment, capture_output=True)
    took = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"{command}: {done.stderr.decode()}")
    return took


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=60, help="round trips of each kind (default %(default)s)")
    add_write_option(parser)
    arguments = parser.parse_args()
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    floor = [sys.executable, "-c", "pass"]
    rows = []
    for name, picks in (("no arrivals", 0), ("300 arrivals", 300)):
        place = Place().start()
        try:
            event = document(picks=picks)
            for _ in range(3):
                timed(place.command(), place.environment, event)
            bare, whole = [], []
            for _ in range(arguments.repeats):
                bare.append(timed(floor, environment, b""))
                whole.append(timed(place.command(), place.environment, event))
            status = place.status()
        finally:
            place.end()
        if status["counts"]["accepted"] + status["counts"]["abstained"] != arguments.repeats + 3:
            raise RuntimeError("the worker did not locate every time: nothing can be measured")
        located = status["latency_s"]["located_s"]["p50"]
        median, late = statistics.median(whole), statistics.quantiles(whole, n=20)[-1]
        rows.append(
            [
                f"{name}, {len(event) / 1024:.0f} KiB",
                *(f"{1e3 * s:.0f}" for s in (median, late, status["latency_s"]["total_s"]["p50"], located)),
                f"{1e3 * (median - located):.0f}",
                f"{1e3 * (late - located):.0f}",
                f"{1e3 * statistics.median(bare):.0f}",
            ]
        )
    header = [
        "document", "round trip (ms)", "95 %", "in the worker", "locating", "round trip beyond locating", "95 %",
        "bare interpreter (floor)",
    ]  # fmt: skip
    publish(f"{machine()}. Medians of {arguments.repeats}.\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
