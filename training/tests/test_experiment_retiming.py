"""Virtual events of an experiment: recorded ones re-timed to the whole region."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dlloc_training.experiments.inputs import draft_passport
from dlloc_training.experiments.plans import plans
from dlloc_training.experiments.reading import ExperimentFile, read_experiment
from dlloc_training.experiments.recorded import RecordedRecord, read_recorded
from dlloc_training.experiments.retiming import VirtualRecords

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.passport import Passport

from . import bursts

TEXT = """[events]
count = 5
magnitude = [2.0, 3.0]
[records]
sampling_rate_hz = 20.0
duration_s = 40.0
[preprocessing]
band_hz = [2.0, 8.0]
window_s = 51.2
pretrigger_s = 15.0
[recorded]
folder = "FOLDER"
held_out = 2
virtual = 20
[location_image]
spacing_km = 5.0
spacing_depth_km = 3.0
[networks.tuned]
network = "slim"
data = "recorded"
virtual = true
"""
TRAIN, COUNT = 14, 20


class Made:
    """Virtual events of a folder, and what they are made of."""

    def __init__(self, folder: Path):
        bursts.write_folder(folder, TRAIN, 1)
        path = folder / "retimed.toml"
        path.write_text((bursts.experiment_of(str(folder)) + TEXT).replace("FOLDER", str(folder)))
        self.experiment: ExperimentFile = read_experiment(path)
        self.passport: Passport = draft_passport(self.experiment, "stations")
        self.records = read_recorded(self.experiment, folder / "run", bursts.SETTINGS).train
        self.virtual = self.of(self.records)

    def of(self, records: tuple[RecordedRecord, ...]) -> VirtualRecords:
        return VirtualRecords(self.experiment, self.passport, records, COUNT, (3, 18))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return Made(tmp_path_factory.mktemp("retimed"))


def true_travel_s(made: Made, phase: str, latitude: float, longitude: float, depth_km: float) -> np.ndarray:
    """(station,) s, as the bursts were made."""
    net = bursts.network()
    x, y = net.frame.to_local(latitude, longitude)
    return np.asarray(bursts.MODEL.times(phase, net.distances(np.array([float(x), float(y), depth_km]))))


def test_travel_times_are_calibrated_on_the_waveforms(made: Made) -> None:
    """The half-space has the right velocities and neither the delays nor the stations' terms."""
    source = made.virtual.source
    for phase in ("P", "S"):
        off = [
            source.travel_s(phase, source.hypocentres[k])
            + source.model.event_terms[k]
            - true_travel_s(made, phase, r.truth.latitude, r.truth.longitude, r.truth.depth_km)
            for k, r in enumerate(made.records)
        ]
        # STA/LTA peaks some samples after the onset
        assert np.ptp(np.median(off, axis=0)) < 0.15
        assert abs(np.median(off)) < 0.3


def test_waveforms_move_with_the_hypocentre(made: Made) -> None:
    """Energy of a virtual event comes where its P and its S should."""
    late = []
    for record in made.virtual[:8]:
        truth = record.truth
        p, s = (true_travel_s(made, phase, truth.latitude, truth.longitude, truth.depth_km) for phase in ("P", "S"))
        for station in np.flatnonzero(record.live & (s - p > 3.0)):
            for row, at in ((record.data[0, station], p[station]), (record.data[1, station], s[station])):
                first = round((record.origin_s + at) * record.rate_hz)
                before, after = (row[first - 30 : first - 6] ** 2).mean(), (row[first + 6 : first + 30] ** 2).mean()
                late.append(after / before)
    assert len(late) > 40
    assert np.mean(np.array(late) > 2.0) > 0.9


def test_virtual_events_lie_in_the_region_and_carry_a_donors_magnitude(made: Made) -> None:
    region = made.experiment.region
    sized = tuple(replace(r, truth=replace(r.truth, magnitude=float(k))) for k, r in enumerate(made.records))
    for record in made.of(sized):
        truth = record.truth
        assert region.south - 1e-6 <= truth.latitude <= region.north + 1e-6
        assert region.top_km <= truth.depth_km <= region.bottom_km
        assert truth.magnitude in range(len(sized))
        assert record.data.shape == made.records[0].data.shape
        assert not record.data[~record.valid].any()


def test_an_event_depends_on_the_seed_and_its_number_alone(made: Made) -> None:
    again = made.of(made.records)
    np.testing.assert_array_equal(again[7].data, made.virtual[7].data)
    np.testing.assert_array_equal(made.virtual[6:8][1].data, made.virtual[7].data)
    assert again[7].truth == made.virtual[7].truth
    assert not np.array_equal(made.virtual[6].data, made.virtual[7].data)
    assert len(made.virtual) == COUNT
    with pytest.raises(IndexError):
        _ = made.virtual[COUNT]


def test_the_catalogues_picks_are_taken_where_there_are_enough(made: Made) -> None:
    def picked(record: RecordedRecord, late_s: float) -> RecordedRecord:
        truth = record.truth
        p, s = (true_travel_s(made, phase, truth.latitude, truth.longitude, truth.depth_km) for phase in ("P", "S"))
        return replace(record, p_picks_s=p + late_s, s_picks_s=s + late_s, first_pick_s=record.origin_s + p.min())

    virtual = made.of(tuple(picked(record, 5.0) for record in made.records))
    # A delay that no waveform has: it can come from the picks alone
    assert virtual.source.model.p_delay == pytest.approx(5.1, abs=0.1)
    assert virtual.source.model.s_delay == pytest.approx(5.3, abs=0.1)
    assert virtual[0].first_pick_s is not None
    assert made.virtual[0].first_pick_s is None


def test_records_without_onsets_are_refused(made: Made) -> None:
    silent = tuple(replace(record, data=np.zeros_like(record.data)) for record in made.records)
    with pytest.raises(SettingError, match=r"recorded\.virtual: no travel times"):
        made.of(silent)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('data = "recorded"', 'data = "theoretical"', "made of all recorded training events"),
        ("virtual = true", "virtual = true\nevents_share = 0.5", "made of all recorded training events"),
        ("virtual = 20\n", "", r"recorded\.virtual: say how many"),
    ],
)
def test_networks_that_cannot_have_virtual_events_are_refused(
    made: Made, tmp_path: Path, old: str, new: str, words: str
) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(made.experiment.path.read_text().replace(old, new))
    with pytest.raises(SettingError, match=words):
        plans(read_experiment(path))
