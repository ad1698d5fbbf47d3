"""Runs on disk as SPECFEM3D 4.1.1 leaves them, written by the tests: the columns and numbers are gfortran's."""

import math
from pathlib import Path

import h5py
import numpy as np

CMT = """\
PDE  1999 01 01 00 00 00.00  67000 67000 -25000 4.2 4.2 homog_test
event name:       homog_test
time shift:       0.0000
half duration:    0.5
latorUTM:       7000.0
longorUTM:      -3000.0
depth:          3.0
Mrr:      -7.600000e+22
Mtt:       7.700000e+22
Mpp:      -2.000000e+21
Mrt:      -2.500000e+23
Mrp:       4.000000e+21
Mtp:      -2.500000e+22
"""

PAR_FILE = """\
# simulation input parameters
SIMULATION_TYPE                 = 1
SUPPRESS_UTM_PROJECTION         = .true.
NSTEP                           = {steps}
DT                              = {dt}
USE_SOURCES_RECEIVERS_Z         = .false.
NTSTEP_BETWEEN_OUTPUT_SAMPLE    = {every}   # every step
SAVE_SEISMOGRAMS_DISPLACEMENT   = {displacement}
SAVE_SEISMOGRAMS_VELOCITY       = {velocity}
"""

STATIONS = (("X20", "DB", 7000.0, 2273.2), ("X30", "DB", 7000.0, 3469.6), ("X40", "XX", 4666.0, -3000.0))


def real4(value):
    """A single-precision number in a list-directed record of gfortran: 16 columns, 9 digits."""
    value = np.float32(value)
    size = abs(float(value))
    if size == 0.0:
        return f"{value:.8f}".rjust(12) + "    "
    if not math.isfinite(size):
        return str(value).replace("nan", "NaN").rjust(12) + "    "
    if not 0.1 <= size < 1e9:
        return f"{value:.8E}".rjust(16)
    body = f"{value:.{8 - math.floor(math.log10(size))}f}"
    return (body if "." in body else body + ".").rjust(12) + "    "


def write_trace(path: Path, start_s, dt_s, values):
    times = np.arange(len(values)) * dt_s + start_s
    path.write_text("".join(f" {real4(t)} {real4(v)}\n" for t, v in zip(times, values, strict=True)))


def write_run(
    folder: Path,
    traces,
    dt_s,
    start_s,
    stations=STATIONS,
    ending="semv",
    letters="XYZ",
    band="B",
    par_file=True,
    every=1,
):
    """A finished run. ``traces`` (station, 3, sample) in the order of ``letters``."""
    (folder / "DATA").mkdir(parents=True)
    output = folder / "OUTPUT_FILES"
    output.mkdir()
    (folder / "DATA" / "CMTSOLUTION").write_text(CMT)
    (folder / "DATA" / "STATIONS").write_text(
        "".join(f"{code} {network} {y:.2f} {x:.2f} 0.0 0.0\n" for code, network, y, x in stations)
    )
    if par_file:
        flags = {"velocity": ".true." if ending == "semv" else ".false."}
        flags["displacement"] = ".false." if ending == "semv" else ".true."
        (folder / "DATA" / "Par_file").write_text(
            PAR_FILE.format(steps=traces.shape[-1], dt=f"{dt_s / every:g}".replace("e", "d"), every=every, **flags)
        )
    for (code, network, *_), components in zip(stations, traces, strict=True):
        for letter, values in zip(letters, components, strict=True):
            write_trace(output / f"{network}.{code}.{band}X{letter}.{ending}", start_s, dt_s, values)
    return folder


def to_hdf5(folder: Path, traces, dt_s, start_s, stations=STATIONS, name="veloc"):
    """Replace the text seismograms of ``folder`` by a seismograms.h5."""
    _remove_traces(folder)
    samples = traces.shape[-1]
    with h5py.File(folder / "OUTPUT_FILES" / "seismograms.h5", "w") as file:
        file["time"] = (np.arange(samples) * dt_s + start_s).astype(np.float32)
        file["coords"] = np.zeros((3, len(stations)), np.float32)
        for key, texts in (
            ("station", [s[0] for s in stations]),
            ("network", [s[1] for s in stations]),
            ("channel", ["BXX", "BXY", "BXZ"]),
        ):
            file.create_dataset(key, data=np.array([t.ljust(32).encode() for t in texts], "S32"))
        # Fortran's (component, sample, station) is (station, sample, component) here
        file[name] = np.moveaxis(traces, 1, 2).astype(np.float32)


def to_asdf(folder: Path, traces, dt_s, start_s, origin_time_s, stations=STATIONS):
    """Replace the text seismograms of ``folder`` by a synthetic.h5 (ASDF)."""
    _remove_traces(folder)
    with h5py.File(folder / "OUTPUT_FILES" / "synthetic.h5", "w") as file:
        file.attrs["file_format"] = np.bytes_("ASDF")
        file.attrs["file_format_version"] = np.bytes_("1.0.0")
        for (code, network, *_), components in zip(stations, traces, strict=True):
            group = file.create_group(f"Waveforms/{network}.{code}")
            group["StationXML"] = np.frombuffer(b"<xml/>", np.uint8)
            for letter, values in zip("XYZ", components, strict=True):
                span = "1998-12-31T23:59:59__1999-01-01T00:00:05"
                trace = group.create_dataset(f"{network}.{code}.S3.BX{letter}__{span}__synthetic", data=values)
                trace.attrs["starttime"] = np.int64(round((origin_time_s + start_s) * 1e9))
                trace.attrs["sampling_rate"] = 1.0 / dt_s
                trace.attrs["event_id"] = np.bytes_("Shot_ASDF")


def _remove_traces(folder: Path):
    for path in (folder / "OUTPUT_FILES").glob("*.sem?"):
        path.unlink()
