"""The locator from waveforms to solution, with tiny models: what enters, what does not, and what fails alone."""

from dataclasses import replace

import numpy as np
import obspy
import pytest
import tinymodels
from obspy.core.inventory import Channel, InstrumentSensitivity, Inventory, Network, Response
from obspy.core.inventory import Station as InventoryStation
from samples import passport_document

from seiscomp_dlloc import heads, representations
from seiscomp_dlloc.errors import ModelError, WaveformReadError
from seiscomp_dlloc.geometry import LocalFrame
from seiscomp_dlloc.locate import FOUND_AFTER_S, Job, Locator, Options, locate, locate_many, required_window
from seiscomp_dlloc.passport import Passport, from_dict
from seiscomp_dlloc.records import Pick, Trigger
from seiscomp_dlloc.traveltimes import LayeredTravelTimes

RATE, ORIGIN = 50.0, 1_600_000_000.0
START, SECONDS = ORIGIN - 40.0, 100
X, Y, Z = -4.0, 4.0, 2.0
LATITUDE, LONGITUDE = (float(v) for v in LocalFrame(36.0, -97.0).to_geographic(X, Y))
TRAVEL_TIMES = LayeredTravelTimes([0.0], [6.0], [3.5])
CODES = [f"A{i}" for i in range(4)]


def arrival(i, phase):
    x, y = LocalFrame(36.0, -97.0).to_local(36.0 + 0.1 * i, -97.0)
    return ORIGIN + float(TRAVEL_TIMES.times(phase, np.hypot(x - X, y - Y), Z, 300.0))


def make_inventory(codes=CODES, shift_deg=0.0):
    rows = []
    for code in codes:
        place = 36.0 + 0.1 * int(code[1:]) + shift_deg, -97.0, 300.0
        sensitivity = InstrumentSensitivity(1e9, 1.0, "M/S", "COUNTS")
        channels = [
            Channel(f"HH{c}", "", *place, 0.0, azimuth=a, dip=d, response=Response(instrument_sensitivity=sensitivity))
            for c, a, d in (("Z", 0.0, -90.0), ("N", 0.0, 0.0), ("E", 90.0, 0.0))
        ]
        rows.append(InventoryStation(code, *place, channels=channels))
    return Inventory([Network("XX", rows)])


def make_stream(codes=CODES, rate=RATE, seed=0):
    rng, t = np.random.default_rng(seed), np.arange(int(SECONDS * rate)) / rate + START
    traces = []
    for code in codes:
        for channel, phase in (("HHZ", "P"), ("HHN", "S"), ("HHE", "S")):
            after = t - arrival(int(code[1:]), phase)
            burst = np.where(after >= 0, 5e4 * np.exp(-np.clip(after, 0, 60) / 1.5), 0.0)
            data = np.rint(rng.standard_normal(t.size) * (200 + burst))
            header = {"network": "XX", "station": code, "channel": channel, "sampling_rate": rate}
            traces.append(obspy.Trace(data, {**header, "starttime": obspy.UTCDateTime(START)}))
    return obspy.Stream(traces)


def make_picks(shift=0.0, codes=CODES):
    return tuple(
        Pick(f"pick/{code}/{phase}", arrival(int(code[1:]), phase) + shift, "XX", code, phase=phase)
        for code in codes
        for phase in ("P", "S")
    )


TRIGGER = Trigger("origin/1", ORIGIN + 1.0, "event/1", 36.3, -96.7, 5.0)
PICKED = replace(TRIGGER, picks=make_picks())
INVENTORY = make_inventory()


@pytest.fixture(scope="module")
def stream():
    return make_stream()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def model(folder):
    return tinymodels.load(tinymodels.fixed_image(x_km=X, y_km=Y, z_km=Z), folder)


@pytest.fixture(scope="module")
def responsive(folder):
    """Its answer depends on the waveforms; no answer of it is abstained for its peak."""
    document = passport_document(calibration={"peak_threshold": 0.0, "covariance_scale": 1.0})
    return tinymodels.load(tinymodels.responsive_image(document), folder)


def test_an_event_is_located(model, stream):
    solution = locate(PICKED, stream, INVENTORY, model)
    assert solution.accepted, solution.abstention
    h = solution.hypocenter
    assert (h.latitude, h.longitude) == pytest.approx((LATITUDE, LONGITUDE), abs=0.002)
    assert h.depth_km == pytest.approx(Z, abs=0.1)
    assert h.time == pytest.approx(ORIGIN, abs=0.02)
    assert solution.trigger.public_id == "event/1"
    assert solution.model.label == "sample/1.2.3"
    assert solution.model.provider == "CPUExecutionProvider"
    assert solution.used_stations == ("XX.A0", "XX.A1", "XX.A2", "XX.A3")
    assert solution.peak > 0.9
    assert 180 < solution.azimuthal_gap_deg < 360
    assert 4 < solution.min_distance_km < solution.max_distance_km < 31
    assert np.all(np.linalg.eigvalsh(h.covariance_km2) > 0)


def test_arrivals_keep_picks_with_residuals_and_weights(model, stream):
    wrong = Pick("pick/wrong", arrival(2, "P") + 3.0, "XX", "A2", phase="Pn")
    bare = Pick("pick/bare", arrival(1, "S") + 0.05, "XX", "A1")
    unknown = Pick("pick/unknown", arrival(1, "S"), "YY", "NONE", phase="P")
    trigger = replace(PICKED, picks=(*make_picks(), wrong, bare, unknown))
    solution = locate(trigger, stream, INVENTORY, model)
    rows = {a.pick.public_id: a for a in solution.arrivals}
    assert len(rows) == 10
    assert rows["pick/wrong"].residual_s == pytest.approx(3.0, abs=0.05)
    assert rows["pick/wrong"].weight == 0.0
    assert (rows["pick/bare"].phase, rows["pick/bare"].weight) == ("S", 0.0)
    good = rows["pick/A2/P"]
    assert good.residual_s == pytest.approx(0.0, abs=0.05)
    assert good.weight > 0.9
    x, y = LocalFrame(LATITUDE, LONGITUDE).to_local(36.2, -97.0)
    assert good.distance_km == pytest.approx(np.hypot(x, y), abs=0.3)
    assert good.azimuth_deg == pytest.approx(np.degrees(np.arctan2(x, y)), abs=1.0)
    assert any("YY.NONE" in note for note in solution.notes)


def test_without_picks_the_onsets_give_the_time(model, stream):
    solution = locate(TRIGGER, stream, INVENTORY, model)
    assert solution.accepted, solution.abstention
    assert solution.hypocenter.time == pytest.approx(ORIGIN, abs=0.3)
    assert 0.2 <= solution.hypocenter.time_sigma_s < 1.0
    assert solution.arrivals == ()
    assert any("stack of onsets" in note for note in solution.notes)


def same(a, b):
    assert a.hypocenter.covariance_km2.tobytes() == b.hypocenter.covariance_km2.tobytes()
    blank = {"covariance_km2": None}
    assert replace(a.hypocenter, **blank) == replace(b.hypocenter, **blank)
    assert replace(a, trigger=TRIGGER, hypocenter=None) == replace(b, trigger=TRIGGER, hypocenter=None)


@pytest.mark.parametrize("trigger", [TRIGGER, PICKED])
def test_the_triggers_place_never_enters(responsive, stream, trigger):
    """Moved by 50 km, thrown away, put at another depth: bit for bit the same answer."""
    reference = locate(trigger, stream, INVENTORY, responsive)
    assert reference.hypocenter is not None
    for latitude, longitude, depth in (
        (36.75, -96.7, 5.0),
        (36.3, -97.25, 80.0),
        (None, None, None),
        (-89.0, 0.0, 1.0),
    ):
        moved = replace(trigger, latitude=latitude, longitude=longitude, depth_km=depth)
        same(locate(moved, stream, INVENTORY, responsive), reference)


def test_the_answer_depends_on_the_waveforms(responsive, stream):
    one = locate(TRIGGER, stream, INVENTORY, responsive)
    other = locate(TRIGGER, make_stream(seed=5), INVENTORY, responsive)
    assert one.hypocenter.latitude != other.hypocenter.latitude


def test_the_anchor_shift_moves_the_window(responsive, stream):
    plain = locate(TRIGGER, stream, INVENTORY, responsive)
    moved = locate(TRIGGER, stream, INVENTORY, responsive, Options(anchor_shift_s=5.0))
    assert moved.anchor == pytest.approx(plain.anchor + 5.0)
    assert moved.peak != plain.peak
    assert moved.hypocenter.time == pytest.approx(plain.hypocenter.time, abs=3.0)


def test_a_batch_answers_as_one_by_one_in_order(responsive):
    jobs = [Job(replace(TRIGGER, event_id=f"event/{i}"), make_stream(seed=i)) for i in range(5)]
    together = list(locate_many(iter(jobs), INVENTORY, responsive, Options(batch_size=3)))
    assert [s.trigger.event_id for s in together] == [j.trigger.event_id for j in jobs]
    for job, got in zip(jobs, together, strict=True):
        alone = locate(job.trigger, job.stream, INVENTORY, responsive)
        assert got.hypocenter.latitude == pytest.approx(alone.hypocenter.latitude, abs=1e-4)
        assert got.peak == pytest.approx(alone.peak, abs=1e-4)


def test_jobs_are_drawn_batch_by_batch(model, stream):
    drawn = []

    def jobs():
        for i in range(6):
            drawn.append(i)
            yield Job(TRIGGER, stream)

    next(Locator(model, INVENTORY, Options(batch_size=2)).locate_many(jobs()))
    assert drawn == [0, 1]


def test_one_events_failure_is_its_own(model, stream):
    jobs = [
        Job(TRIGGER, stream),
        Job(TRIGGER, error=WaveformReadError("file x.mseed: truncated")),
        Job(TRIGGER, obspy.Stream()),
        Job(TRIGGER, stream.select(station="A0")),
        Job(replace(TRIGGER, time=START - 1000.0), stream),
        Job(TRIGGER, make_stream(rate=10.0)),
        Job(PICKED, stream),
    ]
    answers = list(Locator(model, INVENTORY).locate_many(jobs))
    reasons = [a.abstention and a.abstention.reason for a in answers]
    assert reasons == [
        None,
        "unreadable waveforms",
        "no waveforms",
        "too few stations",
        "no event in the window",
        "model mismatch",
        None,
    ]
    assert "truncated" in answers[1].abstention.detail
    assert {"XX.A1", "XX.A2", "XX.A3"} <= {d.seed_id for d in answers[3].dropped}
    assert all(a.hypocenter is None for a in answers[1:6])


def test_dropped_channels_are_named(model, stream):
    broken = stream.copy()
    for trace in broken.select(station="A3"):
        trace.data = np.zeros_like(trace.data)
    solution = locate(TRIGGER, broken, INVENTORY, model)
    assert solution.used_stations == ("XX.A0", "XX.A1", "XX.A2")
    assert any(d.seed_id.startswith("XX.A3") and "dead" in d.reason for d in solution.dropped)
    assert solution.hypocenter is not None


def test_stations_at_another_place_are_not_used(model, stream):
    moved = locate(TRIGGER, stream, make_inventory(shift_deg=0.1), model)
    assert moved.abstention.reason == "model mismatch"
    assert "allowed 2 km" in moved.abstention.detail
    partly = Inventory([Network("XX", [*make_inventory(CODES[:3])[0], *make_inventory(CODES[3:], 0.1)[0]])])
    solution = locate(TRIGGER, stream, partly, model)
    assert solution.used_stations == ("XX.A0", "XX.A1", "XX.A2")
    assert [d.seed_id for d in solution.dropped if "from where the model knows it" in d.reason] == ["XX.A3"]
    few = locate(TRIGGER, stream, make_inventory(CODES[:2]), model)
    assert few.abstention.reason == "model mismatch"


@pytest.mark.parametrize(
    ("image", "changes", "reason"),
    [
        ({"sigma_km": 30.0}, {"calibration__peak_radius_km": 3.0, "calibration__peak_threshold": 0.5}, "low peak"),
        ({"sigma_km": 30.0}, {"calibration__no_event_threshold": 0.9, "calibration__peak_radius_km": 3.0},
         "no event in the window"),
        ({"x_km": 30.0}, {}, "outside region"),
        ({"x_km": X}, {"region__latitude": [36.2, 36.5]}, "outside region"),
    ],
)  # fmt: skip
def test_answers_that_are_not_trusted(folder, stream, image, changes, reason):
    document = passport_document(**changes)
    solution = locate(TRIGGER, stream, INVENTORY, tinymodels.load(tinymodels.fixed_image(document, **image), folder))
    assert solution.abstention.reason == reason
    assert solution.hypocenter is not None


def test_two_peaks_are_two_events(folder, stream):
    document = passport_document(head__label_sigma_km=1.5)
    image = tinymodels.gaussian(document, -8, 0, 2, 1.5) + 0.8 * tinymodels.gaussian(document, 8, 0, 2, 1.5)
    model = tinymodels.load(tinymodels.fixed_image(document, image=image / image.sum()), folder)
    solution = locate(TRIGGER, stream, INVENTORY, model)
    assert solution.secondary_peaks == 1
    assert solution.abstention.reason == "two events in the window"


def test_fixed_depth_is_kept(model, stream):
    solution = locate(TRIGGER, stream, INVENTORY, model, Options(fixed_depth_km=3.3))
    assert solution.hypocenter.depth_km == 3.3
    assert np.isnan(solution.hypocenter.covariance_km2[2, 2])
    assert np.all(np.isfinite(solution.hypocenter.covariance_km2[:2, :2]))
    assert "depth fixed at 3.3 km" in solution.notes
    assert solution.hypocenter.depth_type == "operator assigned"
    assert locate(TRIGGER, stream, INVENTORY, model).hypocenter.depth_type == "from location"


def test_no_response_no_magnitude_and_a_note(model, stream, folder):
    solution = locate(TRIGGER, stream, INVENTORY, model)
    assert solution.magnitude is None
    assert solution.magnitude_note == "no ML: no instrument response for XX.A0, XX.A1, XX.A2, XX.A3"
    document = passport_document(preprocessing__prefiltered=True, preprocessing__warmup_s=0.0)
    solution = locate(
        TRIGGER, make_stream(rate=20.0), INVENTORY, tinymodels.load(tinymodels.fixed_image(document), folder)
    )
    assert "already filtered to 2-8 Hz" in solution.magnitude_note
    assert "no instrument response for XX.A0" in solution.magnitude_note


VECTOR = {
    "kind": "vector",
    "parameters": [
        {"name": "x", "unit": "km", "scale": 10.0, "offset": 0.0},
        {"name": "y", "unit": "km", "scale": 10.0, "offset": 0.0},
        {"name": "depth", "unit": "km", "scale": 1.0, "offset": 0.0},
        {"name": "time", "unit": "s", "scale": 1.0, "offset": 0.0},
        {"name": "magnitude", "unit": "1", "scale": 1.0, "offset": 0.0},
        {"name": "sigma_magnitude", "unit": "1", "scale": 1.0, "offset": 0.0},
    ],
    "origin": {"latitude": 36.0, "longitude": -97.0},
}
SNAPSHOTS = {
    "kind": "snapshots", "missing": "reweight", "frames": 20, "frame_rate_hz": 10.0, "rows": 8, "columns": 8,
    "bounds": {"south": 35.9, "north": 36.4, "west": -97.2, "east": -96.8}, "component": "Z",
    "quantity": "waveform", "kernel": {"kind": "gaussian", "length_km": 5.0},
}  # fmt: skip


def test_snapshots_and_a_vector_head_with_its_own_time_and_magnitude(folder, stream):
    document = passport_document(head=VECTOR, representation=SNAPSHOTS)
    model = tinymodels.load(tinymodels.fixed_vector(document, [-0.4, 0.4, 2.5, 1.25, 2.2, 0.3]), folder)
    solution = locate(TRIGGER, stream, INVENTORY, model)
    assert solution.hypocenter.depth_km == pytest.approx(2.5)
    assert solution.hypocenter.time == pytest.approx(solution.anchor - 2.0 + 1.25, abs=0.06)
    assert (solution.magnitude.type, solution.magnitude.sigma) == ("Mdl", pytest.approx(0.3))
    assert solution.magnitude.value == pytest.approx(2.2)
    assert solution.peak is None
    assert np.all(np.isnan(solution.hypocenter.covariance_km2))


class WithVector:
    """A model of an image, and of a vector that the passport may name beside it."""

    def __init__(self, document, inner, values):
        self.passport, self.identity, self.input_names = from_dict(document), inner.identity, inner.input_names
        self._inner, self._values = inner, np.asarray(values, np.float32)

    def run(self, inputs):
        outputs = self._inner.run(inputs)
        return {**outputs, "vector": np.repeat(self._values[None], len(outputs["image"]), 0)}


BESIDE = [
    {"name": "time", "unit": "s", "scale": 2.0, "offset": 1.0},
    {"name": "magnitude", "unit": "1", "scale": 1.0, "offset": 0.0},
    {"name": "sigma_time", "unit": "s", "scale": 1.0, "offset": 0.0},
    {"name": "sigma_magnitude", "unit": "1", "scale": 1.0, "offset": 0.0},
]


def test_time_and_magnitude_beside_an_image_are_the_models_own(folder, stream):
    document = passport_document()
    inner = tinymodels.load(tinymodels.fixed_image(document), folder)
    document = passport_document(head={**document["head"], "parameters": BESIDE})
    solution = locate(TRIGGER, stream, INVENTORY, WithVector(document, inner, [0.5, 2.2, 0.4, 0.3]))
    alone = locate(TRIGGER, stream, INVENTORY, inner)
    pretrigger = document["preprocessing"]["pretrigger_s"]
    assert solution.hypocenter.time == pytest.approx(solution.anchor - pretrigger + 2.0, abs=0.06)
    assert solution.hypocenter.time_sigma_s == pytest.approx(0.4)
    assert (solution.magnitude.type, solution.magnitude.sigma) == ("Mdl", pytest.approx(0.3))
    assert solution.magnitude.value == pytest.approx(2.2)
    assert (solution.hypocenter.latitude, solution.peak) == (alone.hypocenter.latitude, alone.peak)
    with pytest.raises(ModelError, match="output 'vector' is missing"):
        heads.read({"image": tinymodels.gaussian(document, 0.0, 0.0, 2.0, 1.5)}, from_dict(document))


class Recorder:
    """A model that is no ONNX file: whatever the locator hands over is kept."""

    input_names = ("waveforms", "times")

    def __init__(self, passport, inner):
        self.passport, self.identity, self.seen, self._inner = passport, inner.identity, [], inner

    def run(self, inputs):
        self.seen.append(inputs)
        return {
            "image": np.repeat(tinymodels.gaussian(passport_document(), X, Y, Z, 1.5)[None], len(inputs["times"]), 0)
        }


def test_a_third_representation_is_one_registered_function(monkeypatch, model, stream):
    def with_times(window, passport):
        built = representations.REPRESENTATIONS["stations"](window, passport)
        times = window.travel_times.times("P", np.arange(4.0), 2.0)
        return replace(built, arrays={"waveforms": built.arrays["waveforms"], "times": times})

    raw = passport_document(representation={"kind": "stations_and_times", "missing": "zero"})
    recorder = Recorder(Passport(raw), model)
    with pytest.raises(ModelError, match="stations_and_times"):
        locate(TRIGGER, stream, INVENTORY, recorder)
    monkeypatch.setitem(representations.REPRESENTATIONS, "stations_and_times", with_times)
    assert locate(TRIGGER, stream, INVENTORY, recorder).accepted
    assert recorder.seen[0]["times"].shape == (1, 4)
    assert recorder.seen[0]["waveforms"].shape == (1, 3, 4, 256)


def test_an_output_that_is_missing_or_misshapen_stops_the_run(model):
    with pytest.raises(ModelError, match="'image' is missing"):
        heads.read({"volume": np.zeros(3)}, model.passport)
    with pytest.raises(ModelError, match="shape"):
        heads.read({"image": np.zeros((5, 9, 12))}, model.passport)


def test_the_required_window_holds_all_that_is_used(model, stream):
    start, end = required_window(TRIGGER, model.passport)
    assert start <= TRIGGER.time - 15 - 5 - 5.5
    assert end >= TRIGGER.time + 30 - 2 + 12.8
    start, end = required_window(PICKED, model.passport, magnitude=False)
    first = min(p.time for p in PICKED.picks)
    assert first - 20 < start <= first - 2 - 5
    assert first + 10.8 <= end < first + 15
    # A pick that whoever located the trigger threw out anchors nothing, so it must not move the window
    early = Pick("pick/early", first - 300.0, "XX", "A1", phase="P", used=False)
    assert required_window(replace(PICKED, picks=(early, *PICKED.picks)), model.passport, magnitude=False) == (
        start,
        end,
    )
    assert required_window(replace(TRIGGER, picks=(early,)), model.passport) == required_window(TRIGGER, model.passport)
    cut = stream.slice(obspy.UTCDateTime(start), obspy.UTCDateTime(end))
    whole, part = locate(PICKED, stream, INVENTORY, model), locate(PICKED, cut, INVENTORY, model)
    assert part.accepted
    assert part.hypocenter.time == pytest.approx(whole.hypocenter.time, abs=1e-6)


def test_without_picks_the_window_ends_where_the_first_break_says_once_the_search_for_it_is_over(model, stream):
    locator = Locator(model, INVENTORY)
    begin, latest = required_window(TRIGGER, model.passport, magnitude=False)
    found = stream.slice(obspy.UTCDateTime(begin), obspy.UTCDateTime(TRIGGER.time + FOUND_AFTER_S - 1.0))
    end = locator.window_end(TRIGGER, found) - 30.0
    assert end == pytest.approx(locator.window_end(TRIGGER, stream) - 30.0, abs=1e-6)
    assert begin < end < latest - 20.0
    enough = max(end, TRIGGER.time + FOUND_AFTER_S)
    whole = locator.locate(TRIGGER, stream)
    part = locator.locate(TRIGGER, stream.slice(obspy.UTCDateTime(begin), obspy.UTCDateTime(enough)))
    assert whole.accepted
    assert part.accepted
    for name in ("latitude", "longitude", "depth_km", "time"):
        assert getattr(part.hypocenter, name) == pytest.approx(getattr(whole.hypocenter, name), abs=1e-6), name
    quiet = stream.copy()
    for trace in quiet:
        trace.data = np.zeros_like(trace.data)
    assert locator.window_end(TRIGGER, quiet) is None


def test_details_for_figures_come_along(model, stream):
    located = next(Locator(model, INVENTORY).run([Job(TRIGGER, stream)]))
    assert located.image.values.shape == model.passport.grid.shape
    assert located.conditioned.data.shape[1] == len(located.stations) == 4


def test_the_stream_is_not_changed(model, stream):
    before = stream.copy()
    locate(PICKED, stream, INVENTORY, model)
    assert all(np.array_equal(a.data, b.data) and a.stats == b.stats for a, b in zip(stream, before, strict=True))
