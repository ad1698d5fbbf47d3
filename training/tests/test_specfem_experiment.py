"""An experiment's seismograms by way of SPECFEM3D: the runs are those of a homogeneous full space in closed form."""

from pathlib import Path

import numpy as np
import pytest
from dlloc_training.__main__ import main
from dlloc_training.experiments.drawing import draw_events
from dlloc_training.experiments.models import highest_hz
from dlloc_training.experiments.reading import read_experiment
from dlloc_training.experiments.synthesis import DATASET, run_synthesis
from dlloc_training.specfem import forexperiment
from dlloc_training.specfem.archive import STRAINS, StrainArchive
from dlloc_training.specfem.forexperiment import (
    EVENTS,
    RECIPROCAL,
    import_archive,
    import_events,
    write_experiment_inputs,
)
from dlloc_training.specfem.sources import read_cmtsolution, read_forcesolution
from dlloc_training.specfem.sourcetime import width_s
from dlloc_training.specfem.stations import read_stations
from dlloc_training.specfem.text import SpecfemError

from .fullspace import FullSpace
from .smallexperiment import TEXT
from .specfem_files import write_trace

DT, START, SAMPLES = 0.05, -1.0, 200
TIME = START + DT * np.arange(SAMPLES)
NED_OF_ENU = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])
SMALL = (
    TEXT.replace(
        "spacing_deg = 0.02, spacing_depth_km = 2.0, per_node = 2", "spacing_deg = 0.06, spacing_depth_km = 3.0"
    )
    .replace("off_node = 10", "off_node = 2\ntest_share = 0.3\nheld_out_share = 0.3")
    .replace("top_km = 0.0", "top_km = 2.0")
    .replace("sampling_rate_hz = 50.0\nduration_s = 20.0", "sampling_rate_hz = 10.0\nduration_s = 8.0\nbefore_s = 1.0")
    .replace("models = 3", "models = 1")
    + "highest_hz = 1.0\nsite_terms = false\n"
)


def _experiment(tmp_path: Path, text: str = SMALL):
    path = tmp_path / "small.toml"
    path.write_text(text)
    return read_experiment(path)


def _medium(half_duration_s):
    return FullSpace(vp=6000.0, vs=3500.0, rho=2700.0, h=width_s(half_duration_s, DT))


def _finish_event(folder: Path):
    output = folder / "OUTPUT_FILES"
    output.mkdir()
    source = read_cmtsolution(folder / "DATA" / "CMTSOLUTION")
    tensor = NED_OF_ENU.T @ source.tensor @ NED_OF_ENU
    for station in read_stations(folder / "DATA" / "STATIONS"):
        offset = np.array([station.x - source.x, station.y - source.y, source.depth * 1e3 - station.burial_m])
        motion = _medium(source.half_duration_s).moment_velocity(offset, tensor, TIME)
        for letter, values in zip("XYZ", motion, strict=True):
            write_trace(output / f"{station.id}.BX{letter}.semv", START, DT, values)


def _finish_reciprocal(folder: Path):
    output = folder / "OUTPUT_FILES"
    output.mkdir()
    force = read_forcesolution(folder / "DATA" / "FORCESOLUTION")
    for node in read_stations(folder / "DATA" / "STATIONS"):
        offset = np.array([node.x - force.x, node.y - force.y, force.depth * 1e3 - node.burial_m])
        strain = np.einsum("pqkt,k->pqt", _medium(force.half_duration_s).strain(offset, TIME), force.direction)
        for name in STRAINS:
            values = strain["ENZ".index(name[0]), "ENZ".index(name[1])] * force.newtons
            code = name.translate(str.maketrans("EN", "XY"))
            write_trace(output / f"{node.id}.S{code}.semd", START, DT, values)


@pytest.fixture
def experiment(tmp_path):
    return _experiment(tmp_path)


@pytest.fixture
def events(experiment, tmp_path):
    """The folders of the experiment's events, run."""
    write_experiment_inputs(experiment, tmp_path / "runs", EVENTS)
    folders = sorted((tmp_path / "runs" / "events").iterdir())
    for folder in folders:
        _finish_event(folder)
    return folders


@pytest.fixture
def archive(experiment, tmp_path):
    write_experiment_inputs(experiment, tmp_path / "runs", RECIPROCAL)
    folders = sorted((tmp_path / "runs" / "reciprocal").iterdir())
    for folder in folders:
        _finish_reciprocal(folder)
    path = tmp_path / "archive.h5"
    words = ["specfem", "pack", *map(str, folders), "-o", str(path), "--fmax", str(highest_hz(experiment))]
    assert main(words) == 0
    return path


def test_events_of_single_runs_become_the_experiments_file(experiment, events, tmp_path):
    drawn = draw_events(experiment)
    assert len(events) == len(drawn)
    data = import_events(experiment, events, tmp_path / "run")
    assert data.shape == (len(drawn), 3, 2, 90)
    source = read_cmtsolution(events[1] / "DATA" / "CMTSOLUTION")
    x, y = experiment.region.frame.to_local(drawn.latitude[1], drawn.longitude[1])
    station = experiment.stations[0]
    sx, sy = experiment.region.frame.to_local(station.latitude, station.longitude)
    # The mesh's surface is that of the earth model, at the stations' mean elevation of 600 m
    offset = 1e3 * np.array([float(sx - x), float(sy - y), drawn.depth_km[1] + 0.6])
    expected = _medium(source.half_duration_s).moment_velocity(
        offset, NED_OF_ENU.T @ drawn.tensors[1] @ NED_OF_ENU, -1.0 + 0.1 * np.arange(90)
    )[[2, 1, 0]]
    assert np.abs(data.read(1, 2)[0, :, 0] - expected).max() < 2e-3 * np.abs(expected).max()


def test_the_later_stages_take_the_file_for_theirs(experiment, events, tmp_path):
    data = import_events(experiment, events, tmp_path / "run")
    records = data.read(0, len(data))
    data.close()
    again = run_synthesis(experiment, tmp_path / "run", say=lambda _: None, progress=False)
    np.testing.assert_array_equal(again.read(0, len(again)), records)


def test_the_archive_gives_the_events_of_single_runs_but_for_their_source(experiment, events, archive, tmp_path):
    single = import_events(experiment, events, tmp_path / "run1")
    with StrainArchive(archive) as opened:
        found = import_archive(experiment, opened, tmp_path / "run2")
    a, b = (data.read(0, len(data)) for data in (found, single))
    assert a.shape == b.shape
    # Same places and mechanisms: the motion below a fifth of fmax, where both sources are flat, is the same
    low = slice(1, 3)
    spectra = [np.fft.rfft(records, axis=-1)[..., low] for records in (a, b)]
    strong = np.abs(spectra[1]) > 0.3 * np.abs(spectra[1]).max(axis=(1, 3), keepdims=True)
    ratio = np.abs(spectra[0])[strong] / np.abs(spectra[1])[strong]
    assert np.median(ratio) == pytest.approx(1.0, abs=0.1)


def test_an_interrupted_import_goes_on(experiment, events, archive, tmp_path, monkeypatch):
    monkeypatch.setattr(forexperiment, "BATCH", 2)
    experiment = _experiment(tmp_path, SMALL.replace("site_terms = false", "site_terms = true"))
    with StrainArchive(archive) as opened:
        whole = import_archive(experiment, opened, tmp_path / "whole").read(0, 99)
        counts = []

        def stop(count):
            counts.append(count)
            if len(counts) == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            import_archive(experiment, opened, tmp_path / "stopped", progress=stop)
        assert not (tmp_path / "stopped" / DATASET).exists()
        made = []
        original = forexperiment.synthesize
        monkeypatch.setattr(forexperiment, "synthesize", lambda *a, **k: made.append(1) or original(*a, **k))
        resumed = import_archive(experiment, opened, tmp_path / "stopped").read(0, 99)
    assert len(made) == -(-len(whole) // 2) - 2
    np.testing.assert_array_equal(resumed, whole)


def test_site_terms_change_amplitudes(experiment, archive, tmp_path):
    other = _experiment(tmp_path, SMALL.replace("site_terms = false", "site_terms = true"))
    with StrainArchive(archive) as opened:
        plain = import_archive(experiment, opened, tmp_path / "a").read(0, 99)
        terms = import_archive(other, opened, tmp_path / "b").read(0, 99)
    gains = np.abs(terms).max(axis=(1, 3)) / np.abs(plain).max(axis=(1, 3))
    assert np.std(np.log(gains)) == pytest.approx(0.5, abs=0.25)


def test_an_archive_that_cannot_serve_is_told_at_once(experiment, archive, tmp_path):
    cases = [
        (SMALL.replace("highest_hz = 1.0", "highest_hz = 3.0"), "holds up to 1 Hz"),
        (SMALL.replace("XX.B", "XX.C"), "it lacks: XX.C"),
        (SMALL.replace("latitude = 35.20", "latitude = 35.23"), "from where the experiment has it"),
        (SMALL.replace("spacing_depth_km = 3.0", "spacing_depth_km = 1.0"), "from the nearest"),
    ]
    with StrainArchive(archive) as opened:
        for text, message in cases:
            with pytest.raises(SpecfemError, match=message):
                import_archive(_experiment(tmp_path, text), opened, tmp_path / "run")
    assert not (tmp_path / "run" / DATASET).exists()


def test_runs_that_are_not_the_experiments_events_are_told(experiment, events, tmp_path):
    with pytest.raises(SpecfemError, match="folders were given"):
        import_events(experiment, events[:-1], tmp_path / "run")
    swapped = [events[1], events[0], *events[2:]]
    with pytest.raises(SpecfemError, match="not that of event 0"):
        import_events(experiment, swapped, tmp_path / "run")
    (events[2] / "OUTPUT_FILES" / "XX.B.BXZ.semv").unlink()
    with pytest.raises(SpecfemError, match=r"1 of .* folders cannot be imported"):
        import_events(experiment, events, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_command_writes_inputs_and_imports(experiment, archive, tmp_path, capsys):
    file = str(experiment.path)
    assert main(["specfem", "inputs", "--experiment", file, "--runs", "events", "-o", str(tmp_path / "more")]) == 0
    folders = sorted((tmp_path / "more" / "events").iterdir())
    for folder in folders:
        _finish_event(folder)
    words = ["specfem", "import", "--experiment", file]
    assert main([*words, "--events", str(tmp_path / "more" / "events"), "-o", str(tmp_path / "a")]) == 0
    assert main([*words, "--archive", str(archive), "-o", str(tmp_path / "b")]) == 0
    assert f"{len(folders)} events, 2 stations, 90 samples" in capsys.readouterr().out
    assert main([*words, "--archive", str(archive), "-o", str(tmp_path / "b")]) == 2
    assert "is there already" in capsys.readouterr().err
