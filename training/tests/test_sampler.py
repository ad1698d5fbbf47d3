"""What a training example goes through on its way to the network."""

from dataclasses import replace

import numpy as np
import pytest
from dlloc_training.augment import Augmentation
from dlloc_training.sampler import ExampleSource

from . import toy

NOTHING = Augmentation(
    small=0.0,
    drop=0.0,
    gain_sigma=0.0,
    usual=0.0,
    shift_s=0.0,
    noise_only=0.0,
    two_events=0.0,
    wrong_time=0.0,
    glitch=0.0,
)


@pytest.fixture(scope="module")
def source() -> ExampleSource:
    return toy.experiment().training


def with_augmentation(source: ExampleSource, **changes: float) -> ExampleSource:
    return ExampleSource(source.target, source.virtual, source.noise, None, source.shares, replace(NOTHING, **changes))


def test_the_windows_are_shifted_by_wrong_anchors(source):
    """The same draw with and without an error of the anchor: the same samples, elsewhere."""
    still, moved = with_augmentation(source), with_augmentation(source, shift_s=5.0)
    late = []
    for seed in range(20):
        one, where = still.draw(np.random.default_rng(seed))
        other, same = moved.draw(np.random.default_rng(seed))
        assert np.array_equal(where, same)
        # Where the largest sample stands tells the shift; what both windows hold is the same
        place = [int(np.abs(data).max(axis=(0, 1)).argmax()) for data in (one, other)]
        late.append((place[0] - place[1]) / toy.RATE)
        before, after = min(place), toy.SAMPLES - max(place)
        parts = [data[..., at - before : at + after] for data, at in zip((one, other), place, strict=True)]
        assert np.array_equal(*parts)
    assert -5.05 <= min(late) < -2.0
    assert 2.0 < max(late) <= 5.05


def test_shares_of_noise_and_of_second_events_are_kept(source):
    rng = np.random.default_rng(0)
    assert all(len(with_augmentation(source, noise_only=1.0).draw(rng)[1]) == 0 for _ in range(5))
    assert all(len(with_augmentation(source, two_events=1.0).draw(rng)[1]) == 2 for _ in range(5))
    assert all(len(with_augmentation(source).draw(rng)[1]) == 1 for _ in range(5))
