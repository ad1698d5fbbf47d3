"""Time of a whole ``dlloc locate`` per event, and where it goes.

    python bench/locate.py FOLDER [--model NAME|FILE] [--provider cpu|cuda] [--threads N] [--batch N] [--write NAME]

FOLDER holds catalog.xml, stations.xml and waveforms/, such as ../shared/data/oklahoma. The model's own time stands
beside the whole as the floor: nothing else is needed for an answer.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tables import Clock, add_write_option, machine, markdown, publish

from seiscomp_dlloc.cli.run import Run, Settings
from seiscomp_dlloc.locate import Job


class Stopwatch:
    """Sums the time (wall time by default) of wrapped functions by name."""

    def __init__(self, clock: Clock = time.perf_counter) -> None:
        self.seconds: dict[str, float] = {}
        self._clock = clock

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """``function``, its time added to ``name``."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            start = self._clock()
            try:
                return function(*args, **kwargs)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + self._clock() - start

        return timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--model", metavar="NAME|FILE")
    parser.add_argument("--provider", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of the model (default 1)")
    parser.add_argument("--batch", type=int, default=16, help="events per run of the model (default 16)")
    add_write_option(parser)
    arguments = parser.parse_args()
    watch = Stopwatch()
    with tempfile.TemporaryDirectory() as scratch:
        settings = Settings(
            events=arguments.folder / "catalog.xml",
            waveforms=str(arguments.folder / "waveforms"),
            inventory=arguments.folder / "stations.xml",
            model=arguments.model,
            output=Path(scratch) / "located.xml",
            provider=arguments.provider,
            threads=arguments.threads,
            batch=arguments.batch,
            progress=False,
        )
        start = time.perf_counter()
        run = Run(settings)
        opened = time.perf_counter() - start
        run.source.get_waveforms = watch.wrap("waveforms", run.source.get_waveforms)  # type: ignore[method-assign]
        run.model.run = watch.wrap("model", run.model.run)  # type: ignore[method-assign]
        jobs = [run._fetch(trigger) for trigger in run.triggers.triggers[:1]]
        list(run.locator.run(Job(job.trigger, job.stream) for job in jobs))  # warm tables of travel times and filters
        watch.seconds.clear()
        start = time.perf_counter()
        run.go()
        whole = time.perf_counter() - start
    count = len(run.solutions)
    parts = {**watch.seconds, "rest": whole - sum(watch.seconds.values())}
    header = [
        "events", "batch", "whole (ms per event)", "reading waveforms", "the rest", "the model alone (floor)",
        "opening (s, once)",
    ]  # fmt: skip
    per_event = [
        f"{1e3 * seconds / count:.1f}" for seconds in (whole, parts["waveforms"], parts["rest"], parts["model"])
    ]
    row = [str(count), str(arguments.batch), *per_event, f"{opened:.1f}"]
    where = f"{arguments.threads} threads" if arguments.provider == "cpu" else "one GPU"
    note = f"{machine()}; {run.model.identity.label} on {run.model.provider}, {where}; {arguments.folder.name}."
    publish(f"{note}\n\n{markdown(header, [row])}", arguments.write)


if __name__ == "__main__":
    main()
