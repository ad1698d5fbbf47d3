"""Time to make tables of travel times: one of a layered earth, against its layers; a network's of TauP's iasp91.

    python bench/travel_times.py [--against REVISION] [--write NAME]

``--against`` makes the same tables with the package as it was at a revision of this repository, in turn with those of
today, and adds the ratio of the two and the largest difference between their times. The floor: a square root and a
division for each layer crossed by the ray to each node that is computed, once, at the rate of a plain array of them.

With iasp91 the tables are those that a network's first location waits for, at twenty stations' elevations, from a model
that was just read (ObsPy's import, about half a second, is left out). The floor there: a square root and a division for
the time, and for the distance, of each ray of TauP's from each row of depth, and one for each node of the tables.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from obspy.taup import TauPyModel
from tables import add_write_option, best_ms, machine, markdown, publish

from seiscomp_dlloc.arrivals.lattice import Extent, lattice_for, rounded_up
from seiscomp_dlloc.arrivals.radial import RadialArrivals
from seiscomp_dlloc.arrivals.tables import Table, make_table
from seiscomp_dlloc.records import Station
from seiscomp_dlloc.traveltimes import LayeredTravelTimes, TaupTravelTimes

ROOT = Path(__file__).resolve().parent.parent
LAYERS = (1, 3, 9, 33)
EXTENT = Extent(40.0, -1.5, 20.0)
ELEVATION_M = 700.0
ROUNDS = 3
# What anynet's searches ask for, of networks so many km wide (the wider one has a second search below the first)
NETWORKS = {60: [Extent(226.2, -1.0, 80.0)], 300: [Extent(905.0, -1.0, 80.0), Extent(905.0, 0.0, 320.0)]}
STATIONS = [Station("XX", f"S{k:02}", 45.0, 10.0, 50.0 * k) for k in range(20)]


def tops(count: int) -> np.ndarray:
    """Depths (km) of so many layers' tops."""
    return -1.0 + 31.0 * np.arange(count) / count


def earth(count: int) -> LayeredTravelTimes:
    """Layers whose velocity rises from 2.5 to 7 km/s."""
    velocity = np.linspace(2.5, 7.0, count) if count > 1 else np.array([5.0])
    return LayeredTravelTimes(tops(count).tolist(), velocity.tolist(), (velocity / 1.75).tolist())


def made(count: int) -> tuple[Table, float]:
    """A table, and the processor time (s) that it took."""
    travel_times = earth(count)
    lattice = lattice_for(travel_times, rounded_up(EXTENT))
    start = time.process_time()
    table = make_table(travel_times, lattice, ELEVATION_M)
    return table, time.process_time() - start


def work(count: int) -> tuple[int, int]:
    """Nodes that a table computes, and layers crossed by the rays to all of them."""
    travel_times, nodes, crossed = earth(count), 0, 0
    lattice = lattice_for(travel_times, rounded_up(EXTENT))

    class Counting:
        def times(self, phase, distance_km, depth_km, elevation_m=0.0):
            nonlocal nodes, crossed
            depth = np.broadcast_to(depth_km, np.broadcast(distance_km, depth_km).shape).ravel()
            ends = (np.searchsorted(tops(count)[1:], z) for z in (depth, -elevation_m / 1000.0))
            nodes, crossed = nodes + depth.size, crossed + int(np.sum(1 + np.abs(np.subtract(*ends))))
            return travel_times.times(phase, distance_km, depth_km, elevation_m)

    make_table(Counting(), lattice, ELEVATION_M)
    return nodes, crossed


def made_of_taup(aperture_km: int) -> tuple[list[Table], float]:
    """A network's tables of iasp91, and the processor time (s) from the model on."""
    travel_times = TaupTravelTimes("iasp91")
    start = time.process_time()
    arrivals, tables = RadialArrivals(travel_times), []
    for extent in NETWORKS[aperture_km]:
        lattice = arrivals.lattice(extent)
        tables += [arrivals.table(lattice, station) for station in STATIONS]
    return tables, time.process_time() - start


def work_of_taup(aperture_km: int) -> tuple[int, int, int]:
    """Rows of depth that its tables need, rays from them, and nodes computed (P and S)."""
    travel_times, rows, nodes = TaupTravelTimes("iasp91"), set(), 0

    class Counting:
        def times(self, phase, distance_km, depth_km, elevation_m=0.0):
            nonlocal nodes
            nodes += np.broadcast(distance_km, depth_km).size
            place = 2.0 * np.maximum(np.ravel(depth_km), 0.0)  # a row each 0.5 km
            rows.update((phase, int(row)) for ends in (np.floor(place), np.ceil(place)) for row in np.unique(ends))
            return travel_times.times(phase, distance_km, depth_km, elevation_m)

    arrivals = RadialArrivals(Counting())
    for extent in NETWORKS[aperture_km]:
        lattice = arrivals.lattice(extent)
        for station in STATIONS:
            arrivals.table(lattice, station)
    return len(rows), len(rows) * TauPyModel("iasp91").model.ray_params.size, nodes


def root_ns() -> float:
    """Time (ns) of a square root and a division, in arrays that stay in the processor's cache."""
    values, out = np.linspace(1.0, 2.0, 4096), np.empty(4096)

    def once() -> None:
        for _ in range(100):
            np.sqrt(values, out=out)
            np.divide(1.0, out, out=out)

    return 1e6 * best_ms(once, 5) / (100 * values.size)


def measure(target: Path) -> None:
    """Write the tables and their times to ``target``."""
    kept = {}
    for count in LAYERS:
        table, seconds = made(count)
        kept |= {f"seconds{count}": seconds, f"slowness{count}": table.slowness}
    for aperture in NETWORKS:
        tables, seconds = made_of_taup(aperture)
        kept |= {f"taup_seconds{aperture}": seconds, f"taup{aperture}": np.concatenate([t.slowness for t in tables], 1)}
    np.savez(target, **kept)


def run(package: Path, target: Path) -> dict[str, np.ndarray]:
    """What :func:`measure` finds with the package in this folder."""
    paths = os.pathsep.join([str(package), str(ROOT)])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, __file__, "--measure", str(target)], check=True, env=environment)
    with np.load(target) as found:
        return dict(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", metavar="REVISION", help="a revision of this repository to compare with")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    add_write_option(parser)
    arguments = parser.parse_args()
    if arguments.measure is not None:
        measure(arguments.measure)
        return
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        packages = [ROOT]
        if arguments.against:
            command = ["git", "-C", str(ROOT), "archive", arguments.against, "seiscomp_dlloc"]
            archive = subprocess.run(command, check=True, stdout=subprocess.PIPE)
            (scratch / "then").mkdir()
            subprocess.run(["tar", "-x", "-C", str(scratch / "then")], check=True, input=archive.stdout)
            packages.append(scratch / "then")
        rounds = [[run(package, scratch / "one.npz") for package in packages] for _ in range(ROUNDS)]
    rate, rows = root_ns(), []
    for count in LAYERS:
        seconds = [statistics.median(float(one[k][f"seconds{count}"]) for one in rounds) for k in range(len(packages))]
        nodes, crossed = work(count)
        shape = lattice_for(earth(count), rounded_up(EXTENT))
        floor = 1e-6 * crossed * rate
        row = [str(count), f"{shape.z_km.size} x {shape.x_km.size}", str(nodes), f"{1e3 * seconds[0]:.0f}"]
        row += [f"{floor:.2f}", f"{1e3 * seconds[0] / floor:.0f}"]
        if arguments.against:
            now, then = (one[f"slowness{count}"] for one in rounds[0])
            farthest = float(np.hypot(shape.x_km[-1], shape.z_km[-1] + ELEVATION_M / 1000.0))
            row += [f"{1e3 * seconds[1]:.0f}", f"{seconds[1] / seconds[0]:.1f}"]
            row += [f"{farthest * float(np.max(np.abs(now - then))):.1g}"]
        rows.append(row)
    header = ["layers", "table", "nodes computed (P and S)", "ms", "floor (ms)", "ratio"]
    header += ["ms then", "then / now", "largest difference (s)"] if arguments.against else []
    rows_of_taup = []
    for aperture, extents in NETWORKS.items():
        name = f"taup_seconds{aperture}"
        seconds = [statistics.median(float(one[k][name]) for one in rounds) for k in range(len(packages))]
        depths, rays, nodes = work_of_taup(aperture)
        floor = 1e-6 * (2 * rays + nodes) * rate
        row = [f"iasp91, {aperture} km wide", str(len(extents) * len(STATIONS)), str(depths), f"{nodes}"]
        row += [f"{seconds[0]:.2f}", f"{1e-3 * floor:.3f}", f"{1e3 * seconds[0] / floor:.0f}"]
        if arguments.against:
            farthest = max(float(np.hypot(extent.distance_km, extent.bottom_km)) for extent in extents)
            now, then = (one[f"taup{aperture}"] for one in rounds[0])
            row += [f"{seconds[1]:.1f}", f"{seconds[1] / seconds[0]:.0f}"]
            row += [f"{farthest * float(np.max(np.abs(now - then))):.1g}"]
        rows_of_taup.append(row)
    header_of_taup = ["network", "tables", "rows of depth", "nodes computed (P and S)", "s", "floor (s)", "ratio"]
    header_of_taup += ["s then", "then / now", "largest difference (s)"] if arguments.against else []
    note = (
        f"{machine()}. Distances to {rounded_up(EXTENT).distance_km:g} km, P and S, one receiver; processor time, "
        f"medians of {ROUNDS}. A root and a division: {rate:.2f} ns."
    )
    both = f"{markdown(header, rows)}\n\n{markdown(header_of_taup, rows_of_taup)}"
    publish(f"{note}\n\n{both}", arguments.write)


if __name__ == "__main__":
    main()
