"""A whole experiment in seconds: six stations, 48 nodes, 20 Hz; what tests of the stages after synthesis share."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from dlloc_training.experiments.drawing import draw_events
from dlloc_training.experiments.materials import Materials
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.experiments.records import Record
from dlloc_training.experiments.synthesis import run_synthesis
from obspy import Inventory, Stream, Trace, UTCDateTime
from obspy.core.inventory import Channel, Network, Response, Site
from obspy.core.inventory import Station as InventoryStation
from obspy.core.inventory.response import InstrumentSensitivity

from seiscomp_dlloc.records import Station

RATE = 20.0
TEXT = """
name = "tiny"
seed = 5
[network]
stations = [
  {code = "XX.A", latitude = 45.09, longitude = 10.00, elevation_m = 300.0},
  {code = "XX.B", latitude = 45.04, longitude = 10.11, elevation_m = 100.0},
  {code = "XX.C", latitude = 44.95, longitude = 10.09, elevation_m = 200.0},
  {code = "XX.D", latitude = 44.91, longitude = 9.97, elevation_m = 0.0},
  {code = "XX.E", latitude = 44.97, longitude = 9.88, elevation_m = 250.0},
  {code = "XX.F", latitude = 45.05, longitude = 9.92, elevation_m = 350.0},
]
[earth]
layers = [[3.0, 5.0, 2.9, 2.5, 300, 150], [0.0, 6.0, 3.5, 2.7, 600, 300]]
[region]
south = 44.94
north = 45.06
west = 9.92
east = 10.08
top_km = 2.0
bottom_km = 8.0
[events]
grid = {spacing_deg = 0.04, spacing_depth_km = 3.0, per_node = 1}
off_node = 3
magnitude = [2.0, 3.5]
mechanism = "random"
held_out_share = 0.25
[records]
sampling_rate_hz = 20.0
before_s = 12.0
duration_s = 12.0
highest_hz = 10.0
[preprocessing]
band_hz = [1.0, 8.0]
window_s = 12.8
pretrigger_s = 4.0
[images]
frames = 20
frame_rate_hz = 5.0
rows = 16
columns = 16
quantity = "envelope"
kernel = {kind = "gaussian", length_km = 4.0}
[location_image]
spacing_km = 1.0
spacing_depth_km = 2.0
margin_km = 2.0
[augmentation]
lost = 2
[training]
windows = 4
windows_per_epoch = 2
epochs = 2
batch = 16
learning_rate = 3e-3
[networks.volume]
network = "volume_cnn"
settings = {channels = 2, window_frames = 16}
[networks.slim]
network = "slim"
settings = {mixed = 32, hidden = 32}
[evaluation]
lost = [1]
"""

BESIDE = """[networks.beside]
network = "slim"
outputs = [["time", "magnitude"]]
settings = {mixed = 32, hidden = 32}
"""
WITH_BESIDE = TEXT.replace("[evaluation]", BESIDE + "[evaluation]")
"""With a network that returns parameters beside its location image, too."""

COUNTS_PER_M_S = 2.0**31
"""A power of two: counts of up to 24 bits divided by it are exact in float32."""

CHANNELS = (("HHZ", 0.0, -90.0), ("HHN", 0.0, 0.0), ("HHE", 90.0, 0.0))
STARTTIME = 1.6e9


@dataclass(frozen=True)
class Tiny:
    """The experiment with its seismograms made."""

    experiment: ExperimentFile
    materials: Materials


def written(folder: Path, text: str = TEXT) -> ExperimentFile:
    """The experiment of ``text``, its file in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tiny.toml"
    path.write_text(text)
    return read_experiment(path)


def made(folder: Path, text: str = TEXT) -> Tiny:
    """The experiment of ``text`` with its seismograms; its run folder is ``folder``/run."""
    experiment = written(folder, text)
    return Tiny(experiment, materials_of(experiment, folder / "run"))


def materials_of(experiment: ExperimentFile, folder: Path) -> Materials:
    """The materials of an experiment in a run folder, where its seismograms are made if they are not there."""
    data = run_synthesis(experiment, folder, say=lambda _: None, progress=False)
    return Materials(experiment, folder, data, draw_events(experiment), progress=False)


def in_counts(record: Record) -> Record:
    """The record with velocities that whole counts stand for to the last bit."""
    counts = np.rint(record.data.astype(np.float64) * COUNTS_PER_M_S)
    assert np.abs(counts).max() < 2**24
    return replace(record, data=(counts / COUNTS_PER_M_S).astype(np.float32))


def stream_of(record: Record, stations: tuple[Station, ...], starttime: float = STARTTIME) -> Stream:
    """The valid parts of a record as an operator's data centre would send them: counts, a trace for each piece."""
    traces = []
    for index, station in enumerate(stations):
        for row, (channel, _, _) in enumerate(CHANNELS):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], record.valid[row, index].view(np.int8), [0]])))
            for first, stop in edges.reshape(-1, 2):
                header = {
                    "network": station.network,
                    "station": station.code,
                    "channel": channel,
                    "sampling_rate": record.rate_hz,
                    "starttime": UTCDateTime(starttime) + first / record.rate_hz,
                }
                counts = record.data[row, index, first:stop].astype(np.float64) * COUNTS_PER_M_S
                traces.append(Trace(counts.astype(np.int32), header))
    return Stream(traces)


def inventory_of(stations: tuple[Station, ...]) -> Inventory:
    """StationXML's contents for :func:`stream_of`."""
    response = Response(
        instrument_sensitivity=InstrumentSensitivity(COUNTS_PER_M_S, 1.0, input_units="M/S", output_units="COUNTS")
    )
    rows = [
        InventoryStation(
            s.code,
            s.latitude,
            s.longitude,
            s.elevation_m,
            site=Site(s.code),
            channels=[
                Channel(code, "", s.latitude, s.longitude, s.elevation_m, 0.0, azimuth, dip, sample_rate=RATE,
                        response=response)
                for code, azimuth, dip in CHANNELS
            ],
        )
        for s in stations
    ]  # fmt: skip
    return Inventory([Network("XX", stations=rows)], source="tests")
