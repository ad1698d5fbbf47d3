"""Windows made ahead: what a row holds, that it stays the same, and the batches drawn from them."""

from collections import Counter
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from dlloc_training.experiments.augmenting import EVENT, NO_EVENT, TWO_EVENTS, Draws
from dlloc_training.experiments.bank import TARGETS, Bank, load_bank, make_bank, save_bank
from dlloc_training.experiments.trained import BankDataset, EventBatches

from seiscomp_dlloc.errors import SettingError

from .tinyrun import Tiny

FIELDS = ("peak", "targets", "second", "event", "kind", "lost", "snr")
BUSY = Draws(noise_level=(0.1, 0.3), two_events=0.2, no_event=0.2)


def bank_of(tiny: Tiny, kind: str, events: int, per_event: int, seed: int = 1, draws: Draws = BUSY) -> Bank:
    windows = tiny.materials.windows(kind)
    augmenter = tiny.materials.augmenter(kind, "theoretical", tiny.materials.records(kind, "theoretical"))
    augmenter.draws = draws
    augmenter.records = _Few(augmenter.records, events)
    names = windows.passport.representation["inputs"]
    return make_bank(windows, augmenter, names, per_event, (seed, 5), progress=False)


class _Few:
    """Fewer events to make rows of; all of them to draw second events from."""

    def __init__(self, records, count):
        self.records, self.count = records, count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return self.records[index]


@pytest.fixture(scope="module")
def bank(tiny) -> Bank:
    return bank_of(tiny, "stations", 5, 8)


def made_up(events: int = 7, per_event: int = 6, seed: int = 0) -> Bank:
    """Rows that say which they are."""
    count = events * per_event
    rng = np.random.default_rng(seed)
    kind = np.where(np.arange(count) % per_event == 2, NO_EVENT, EVENT)
    targets = np.arange(count)[:, None] + np.arange(5)[None] / 10.0
    targets[kind == NO_EVENT] = np.nan
    return Bank(
        {"waveforms": rng.normal(size=(count, 3, 2, 4)).astype(np.float16)},
        np.full(count, 2.0, np.float32),
        targets.astype(np.float32),
        np.full((count, 3), np.nan, np.float32),
        np.repeat(np.arange(events), per_event),
        kind,
        np.arange(count) % 2,
        np.ones(count, np.float32),
    )


# Rows


def test_a_row_depends_on_the_seed_the_event_and_its_number_alone(tiny, bank):
    fewer = bank_of(tiny, "stations", 3, 4)
    for event in range(3):
        for number in range(4):
            here, there = 4 * event + number, 8 * event + number
            if bank.kind[there] == TWO_EVENTS:
                continue  # the second event is drawn from those that there are
            np.testing.assert_array_equal(fewer.arrays["waveforms"][here], bank.arrays["waveforms"][there])
            for name in ("peak", "targets", "kind", "lost", "snr"):
                np.testing.assert_array_equal(getattr(fewer, name)[here], getattr(bank, name)[there])
    other = bank_of(tiny, "stations", 1, 4, seed=2)
    assert not np.array_equal(other.arrays["waveforms"][0], bank.arrays["waveforms"][0])


def test_rows_of_an_event_differ_and_are_numbered(bank):
    assert bank.event.tolist() == np.repeat(np.arange(5), 8).tolist()
    assert len(bank) == 40
    peaks = bank.peak.reshape(5, 8)
    assert all(len(set(row.tolist())) == 8 for row in peaks)


def test_a_row_is_kept_within_a_thousandth_of_its_peak(tiny):
    windows = tiny.materials.windows("images")
    exact = tiny.materials.exact("images", "held-out").arrays["snapshots"][0]
    peak = np.float32(np.abs(exact).max())
    kept = (exact / peak).astype(np.float16)
    made = replace(made_up(1, 1), arrays={"snapshots": kept[None]}, peak=np.array([peak]))
    (back,) = made.rows(np.array([0]), ["snapshots"])
    assert back.dtype == np.float32
    assert np.abs(back[0] - exact).max() <= 1e-3 * peak
    assert windows.passport.representation["inputs"] == ["snapshots"]


def test_what_is_read_from_a_bank_is_what_the_record_became(tiny):
    # Without noise and augmentation, so that the row is known
    still = Draws(magnitude_shift=0.0, lost=0, gain_sigma=0.0, usual=0.0, shift_s=0.0, wrong_time=0.0, glitch=0.0,
                  gap=0.0, two_events=0.0, no_event=0.0)  # fmt: skip
    windows = tiny.materials.windows("stations")
    records = tiny.materials.records("stations", "theoretical")
    augmenter = tiny.materials.augmenter("stations", "theoretical", records)
    augmenter.clean, augmenter.draws = False, still
    made = make_bank(windows, augmenter, ["waveforms", "mask"], 1, (1, 5), progress=False)
    for event in (0, 7):
        drawn = augmenter.draw(np.random.default_rng([1, 5, event, 0]), event).record
        conditioned = windows.conditioned(drawn)
        built = windows.at(conditioned, windows.predicted_anchor(drawn))
        waveforms, mask = made.rows(np.array([event]), ["waveforms", "mask"])
        assert np.abs(waveforms[0] - built.arrays["waveforms"]).max() <= 1e-3 * np.abs(waveforms).max()
        np.testing.assert_array_equal(mask[0], built.arrays["mask"])
        place = records[event].truth
        x, y = tiny.experiment.region.frame.to_local(place.latitude, place.longitude)
        wanted = [float(x), float(y), place.depth_km, drawn.origin_s - built.starttime, place.magnitude]
        np.testing.assert_allclose(made.targets[event], wanted, atol=1e-5)


def test_targets_agree_with_the_first_waves(tiny):
    """Where a third of a station's energy has come is early in S, which has travelled since the origin time."""
    made = bank_of(tiny, "stations", 12, 2, draws=replace(BUSY, two_events=0.0, no_event=0.0, wrong_time=0.0, gap=0.0,
                                                          glitch=0.0, lost=0))  # fmt: skip
    (waveforms,) = made.rows(np.arange(len(made)), ["waveforms"])
    misfits = []
    for row in range(len(made)):
        x, y, depth, time, _ = made.targets[row]
        frame = tiny.experiment.region.frame
        for station, where in enumerate(tiny.experiment.stations):
            sx, sy = (float(v) for v in frame.to_local(where.latitude, where.longitude))
            way = np.sqrt((sx - x) ** 2 + (sy - y) ** 2 + (depth + where.elevation_m / 1000.0) ** 2)
            energy = np.cumsum((waveforms[row, :, station] ** 2).sum(0))
            misfits.append(np.searchsorted(energy, 0.33 * energy[-1]) / 20.0 - time - way / 3.2)
    assert np.abs(np.median(misfits)) < 0.8
    assert np.percentile(np.abs(misfits), 80) < 1.5


def test_windows_without_an_event_have_no_targets_and_windows_with_two_have_two(bank, tiny):
    kinds = Counter(bank.kind.tolist())
    assert set(kinds) == {EVENT, NO_EVENT, TWO_EVENTS}
    np.testing.assert_array_equal(np.isnan(bank.targets).all(axis=1), bank.kind == NO_EVENT)
    np.testing.assert_array_equal(np.isfinite(bank.second).all(axis=1), bank.kind == TWO_EVENTS)
    known = bank.targets[bank.kind == EVENT]
    assert np.all(np.abs(known[:, :2]) < 12.0), "km, not degrees"
    assert np.all((known[:, 2] >= 2.0) & (known[:, 2] <= 8.0))
    assert np.all((known[:, 3] > 0.0) & (known[:, 3] < 6.5)), "the origin lies about the window's first 4 s"
    assert np.all((known[:, 4] >= 1.9) & (known[:, 4] <= 3.6))


# On the disk


def test_a_bank_is_taken_where_it_was_made_of_the_same_and_else_not(tmp_path, bank):
    path = tmp_path / "banks" / "x.h5"
    assert load_bank(path, {"a": 1}) is None
    save_bank(path, bank, {"a": 1, "b": [1.5]})
    back = load_bank(path, {"b": [1.5], "a": 1})
    assert back is not None
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(back, name), getattr(bank, name))
    for name, values in bank.arrays.items():
        np.testing.assert_array_equal(back.arrays[name], values)
    assert load_bank(path, {"a": 2, "b": [1.5]}) is None
    assert [p.name for p in path.parent.iterdir()] == ["x.h5"]


def test_a_damaged_bank_is_made_anew(tmp_path, bank):
    path = tmp_path / "x.h5"
    save_bank(path, bank, {})
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert load_bank(path, {}) is None
    with h5py.File(path, "w") as file:
        file.attrs["header"] = "{}"
    assert load_bank(path, {}) is None


def test_a_full_disk_is_named_and_leaves_nothing_half_written(tmp_path, bank, monkeypatch):
    path = tmp_path / "x.h5"

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.Group, "create_dataset", full)
    with pytest.raises(SettingError, match=r"x\.h5: cannot be written \(No space left on device\); make room"):
        save_bank(path, bank, {})
    assert list(tmp_path.iterdir()) == []


def test_materials_make_a_bank_once_and_anew_for_other_settings(tiny, tmp_path):
    from . import tinyrun

    text = tinyrun.TEXT.replace("windows = 4", "windows = 1")
    small = tinyrun.made(tmp_path, text)
    first = small.materials.bank("stations", "theoretical")
    path = tmp_path / "run" / "banks" / "stations_theoretical.h5"
    made = path.stat().st_mtime_ns
    assert small.materials.bank("stations", "theoretical") is first
    again = tinyrun.made(tmp_path, text).materials.bank("stations", "theoretical")
    np.testing.assert_array_equal(again.arrays["waveforms"], first.arrays["waveforms"])
    assert path.stat().st_mtime_ns == made
    other = tinyrun.made(tmp_path, text.replace("lost = 2", "lost = 2\ngain_sigma = 0.3"))
    assert not np.array_equal(other.materials.bank("stations", "theoretical").peak, first.peak)
    assert path.stat().st_mtime_ns != made


# Batches


def drawn(batches: EventBatches, epoch: int) -> list[list[int]]:
    batches.set_epoch(epoch)
    return [rows.tolist() for rows in batches]


def test_every_event_comes_so_many_times_in_an_epoch():
    bank = made_up(8, 6)
    batches = EventBatches(bank, np.arange(48), 3, 4, seed=1)
    epoch = drawn(batches, 0)
    assert len(batches) == len(epoch) == 6
    assert all(len(rows) == 4 for rows in epoch)
    rows = np.concatenate(epoch)
    assert Counter(bank.event[rows].tolist()) == dict.fromkeys(range(8), 3)
    assert len(set(rows.tolist())) == 24, "no row twice"
    assert bank.event[rows].tolist() != sorted(bank.event[rows].tolist()), "shuffled"


def test_every_epoch_draws_other_rows_and_the_same_for_a_seed():
    bank = made_up(8, 6)
    one, again, other = (EventBatches(bank, np.arange(48), 3, 4, seed) for seed in (1, 1, 2))
    first = [drawn(one, epoch) for epoch in range(3)]
    assert first[0] != first[1] != first[2]
    assert drawn(again, 2) == first[2], "whichever epochs came before it"
    assert drawn(other, 2) != first[2]


def test_only_the_rows_that_are_asked_for_are_drawn():
    bank = made_up(8, 6)
    rows = np.flatnonzero((bank.lost == 0) & (bank.event < 5))
    epoch = np.concatenate(drawn(EventBatches(bank, rows, 3, 5, seed=1), 0))
    assert set(epoch.tolist()) <= set(rows.tolist())
    assert len(epoch) == 15
    few = np.concatenate(drawn(EventBatches(bank, rows, 7, 5, seed=1), 0))
    assert Counter(bank.event[few].tolist()) == dict.fromkeys(range(5), 7), "rows come again where there are too few"


def test_a_short_batch_is_left_out_where_it_is_not_the_only_one():
    bank = made_up(5, 6)
    assert [len(rows) for rows in drawn(EventBatches(bank, np.arange(30), 2, 4, 1), 0)] == [4, 4]
    assert [len(rows) for rows in drawn(EventBatches(bank, np.arange(30), 2, 32, 1), 0)] == [10]


def test_processes_have_disjoint_parts_of_one_epoch():
    bank = made_up(9, 6)
    whole = EventBatches(bank, np.arange(54), 4, 3, seed=1)
    everything = set(np.concatenate(drawn(whole, 1)).tolist())
    parts = []
    for number in range(2):
        part = EventBatches(bank, np.arange(54), 4, 3, seed=1)
        part.share = (number, 2)
        epoch = drawn(part, 1)
        assert len(part) == len(epoch) == 6
        parts.append(set(np.concatenate(epoch).tolist()))
    assert not parts[0] & parts[1]
    assert parts[0] | parts[1] == everything


# What a network is taught


def test_batches_hold_the_arrays_and_the_targets_that_are_asked_for():
    bank = made_up()
    data = BankDataset(bank, ["waveforms"], ["depth", "x"], False, seed=1)
    waveforms, targets = data[np.array([1, 9])]
    assert waveforms.dtype == targets.dtype == torch.float32
    np.testing.assert_array_equal(waveforms.numpy(), 2.0 * bank.arrays["waveforms"][[1, 9]].astype(np.float32))
    assert TARGETS[:3] == ("x", "y", "depth")
    assert targets.numpy() == pytest.approx(np.array([[1.2, 1.0], [9.2, 9.0]]), abs=1e-5)


def test_windows_without_an_event_get_the_parameters_of_some_event_anew_each_time():
    bank = made_up()
    data = BankDataset(bank, ["waveforms"], TARGETS, False, seed=1)
    taught = []
    for other in range(60):
        rows = np.array([2, 3 + 6 * (other % 7), 12 + other % 30])
        targets = data[rows][1].numpy()
        again = BankDataset(bank, ["waveforms"], TARGETS, False, seed=1)[rows][1].numpy()
        np.testing.assert_array_equal(targets, again)
        assert np.isfinite(targets).all()
        event = round(float(targets[0, 0]))
        np.testing.assert_allclose(targets[0], event + np.arange(5) / 10.0, atol=1e-5, err_msg="one event's, all five")
        assert bank.kind[event] == EVENT
        assert targets[1, 0] == rows[1]
        taught.append(event)
    assert len(set(taught)) > 5
    assert np.isnan(bank.targets[2]).all(), "the bank stays as it is"


def test_what_is_left_out_of_the_training_is_not_taught_by_way_of_noise():
    bank = made_up(20, 6)
    rows = np.flatnonzero(bank.event < 2)
    data = BankDataset(bank, ["waveforms"], ["x"], False, 1, rows)
    empty = rows[bank.kind[rows] == NO_EVENT]
    taught = {round(float(data[np.array([row, other])][1][0, 0])) for row in empty for other in rows}
    assert taught <= set(rows.tolist())
    assert len(taught) > 3


def test_location_images_are_taught_the_hypocentres_in_the_window():
    bank = made_up()
    bank.second[4] = [7.0, 8.0, 9.0]
    points = BankDataset(bank, ["waveforms"], (), True, seed=1)[np.array([1, 2, 4])][1].numpy()
    assert points.shape == (3, 2, 3)
    assert points[0, 0] == pytest.approx([1.0, 1.1, 1.2])
    assert np.isnan(points[0, 1]).all()
    assert np.isnan(points[1]).all(), "no event: no hypocentre"
    assert points[2, 1].tolist() == [7.0, 8.0, 9.0]
