"""LOCSAT of SeisComP on the automatic picks of the conventional chain, undisturbed events (needs the training package).

    python bench/locsat.py --data FOLDER --earth-model FILE [--every N] [--write NAME]

FOLDER as ``dlloc-train anynet measure`` takes it, and the same events, triggers and picks as its ``--rival
conventional`` has. The chain picks and associates with the earth model given, then LOCSAT locates what it associated
with its tables of iasp91, beginning at the chain's place. A place far outside the network counts as an answer here.
SEISCOMP_ROOT names the installation.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from dlloc_training import metrics
from dlloc_training.answers import truth_of
from dlloc_training.anynet.recordings import Settings, fetched, open_events, triggered
from dlloc_training.anynet.rival import Conventional
from dlloc_training.scoreboard import interval_text
from tables import add_write_option, markdown, publish

from seiscomp_dlloc.formats.earthmodels import read_earth_model
from seiscomp_dlloc.model import load
from seiscomp_dlloc.models import resolve


def locsat(stations: list[list[object]], events: list[dict[str, object]], root: Path) -> list[list[float] | None]:
    """What ``locsat_host.py`` answers. Raises RuntimeError where the host's interpreter fails."""
    with tempfile.TemporaryDirectory() as place:
        source, target = Path(place) / "in.json", Path(place) / "out.json"
        source.write_text(json.dumps({"stations": stations, "events": events}))
        libraries = {"LD_LIBRARY_PATH": str(root / "lib"), "PYTHONPATH": str(root / "lib" / "python")}
        command = [
            str(root / "bin" / "seiscomp-python"),
            str(Path(__file__).with_name("locsat_host.py")),
            str(source),
            str(target),
        ]
        done = subprocess.run(command, env={**os.environ, **libraries, "SEISCOMP_ROOT": str(root)}, capture_output=True)
        if not target.exists():
            raise RuntimeError(f"LOCSAT did not run: {done.stderr.decode()[-2000:]}")
        return list(json.loads(target.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--earth-model", required=True, metavar="FILE")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="each N-th event (default: all)")
    add_write_option(parser)
    arguments = parser.parse_args()
    if "SEISCOMP_ROOT" not in os.environ:
        parser.error("SEISCOMP_ROOT names no SeisComP")
    settings = Settings(every=arguments.every)
    events = open_events(arguments.data, settings)
    passport = load(resolve("migration"), threads=1).passport
    chain = Conventional(passport, events.inventory, events.network, read_earth_model(arguments.earth_model))
    truth, frame = truth_of(events.chosen, events.network.frame), events.network.frame
    ours, asked, places = np.full((len(truth), 3), np.nan), [], []
    for k, trigger in enumerate(events.chosen):
        told = triggered(trigger, settings)
        found = chain.associated(fetched(events, told, *chain.window(told)))
        if found is None:
            continue
        place, phases, starttime = found
        ours[k] = place.x_km, place.y_km, place.depth_km
        latitude, longitude = frame.to_geographic(place.x_km, place.y_km)
        rows = zip(phases.station, phases.is_s, phases.time_s, strict=True)
        picks = [
            [*events.network.stations[station].id.split("."), "S" if is_s else "P", starttime + float(time)]
            for station, is_s, time in rows
        ]
        start = [float(latitude), float(longitude), place.depth_km, starttime + place.time_s]
        asked.append({"start": start, "picks": picks})
        places.append(k)
    stations = [[s.network, s.code, s.latitude, s.longitude, s.elevation_m] for s in events.network.stations]
    theirs = np.full_like(ours, np.nan)
    for k, answer in zip(places, locsat(stations, asked, Path(os.environ["SEISCOMP_ROOT"])), strict=True):
        if answer is not None:
            x, y = frame.to_local(answer[0], answer[1])
            theirs[k] = float(x), float(y), answer[2]
    rows = []
    for name, places_km in (("conventional chain", ours), ("LOCSAT, iasp91, its picks", theirs)):
        error = np.hypot(places_km[:, 0] - truth.x_km, places_km[:, 1] - truth.y_km)
        summary = metrics.summarise(error, settings.resamples, settings.seed)
        depth = metrics.mean_absolute(places_km[:, 2] - truth.depth_km, settings.resamples, settings.seed)
        near = np.mean(np.nan_to_num(error, nan=np.inf) <= settings.near_km)
        rows.append([
            name, str(len(error)), str(int(np.isnan(error).sum())), interval_text(summary.mean),
            interval_text(summary.median), f"{summary.p90.value:.2f}", f"{100 * near:.0f} %", interval_text(depth),
        ])  # fmt: skip
    header = [
        "locator", "events", "failed", "epicentre mean [68 %] km", "median [68 %] km", "p90 km",
        f"within {settings.near_km:g} km", "depth MAE [68 %] km",
    ]  # fmt: skip
    publish(f"{arguments.data.name}, {events.told}.\n\n{markdown(header, rows)}", arguments.write)


if __name__ == "__main__":
    main()
