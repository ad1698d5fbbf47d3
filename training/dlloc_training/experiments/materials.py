"""What the networks of an experiment are trained and measured on, made once and shared by all of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.passport import Passport

from .augmenting import Augmenter, Draws
from .bank import TARGETS, Bank, alone_with, exact_input, load_bank, make_bank, save_bank
from .building import passport_of
from .dataset import Dataset
from .drawing import HELD_OUT, OFF_NODE, TEST, TRAIN, MadeEvents
from .inputs import Kind, draft_passport
from .plans import WINDOWS, NetworkPlan, plans
from .predictions import HELD_OUT as HELD_OUT_SET
from .predictions import OFF_NODE as OFF_NODE_SET
from .predictions import RECORDED_HELD_OUT, RECORDED_TEST
from .predictions import TEST as TEST_SET
from .reading import ExperimentFile
from .recorded import RecordedNoise, RecordedSets, read_recorded
from .records import Record
from .retiming import VirtualRecords
from .theoretical import TheoreticalRecords, filtered
from .windows import Windows, signal_to_noise

FloatArray = NDArray[np.float64]

THEORETICAL, RECORDED, VIRTUAL = "theoretical", "recorded", "virtual"
LOST_PREFIX = "lost-"
_SEEDS = {THEORETICAL: 5, RECORDED: 15, VIRTUAL: 25}
_SETS = {HELD_OUT_SET: HELD_OUT, TEST_SET: TEST, OFF_NODE_SET: OFF_NODE}


@dataclass(frozen=True)
class ExactSet:
    """Events as inference would see them: arrays (event, ...) by name, targets (event, 5), what is known of each.

    ``answered`` (event,): False where the plugin finds no first break and so gives no answer.
    """

    arrays: dict[str, NDArray[np.float32]]
    targets: FloatArray
    records: tuple[Record, ...]
    snr: FloatArray
    lost: NDArray[np.int64]
    answered: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.records)


class Materials:
    """Training windows and exact sets of an experiment. Nothing is made before it is asked for."""

    def __init__(self, experiment: ExperimentFile, folder: Path, data: Dataset, events: MadeEvents, progress: bool):
        self.experiment, self.folder, self.data, self.events = experiment, folder, data, events
        self.progress = progress
        self.draws = Draws.from_mapping(experiment.settings.get("augmentation", {}))
        self._exact: dict[tuple[str, str], ExactSet] = {}
        self._banks: dict[tuple[str, str], Bank] = {}

    def passport(self, plan: NetworkPlan) -> Passport:
        """The draft passport of a network."""
        return passport_of(self.experiment, plan)

    @cached_property
    def recorded(self) -> RecordedSets | None:
        """Recorded events, None where the experiment has none."""
        if "recorded" not in self.experiment.settings:
            return None
        return read_recorded(self.experiment, self.folder, self._passport("stations").preprocessing)

    @cached_property
    def virtual(self) -> VirtualRecords:
        """Recorded training events re-timed. Raises SettingError where the file asks for none."""
        count = self.experiment.settings.get("recorded", {}).get("virtual", 0)
        if self.recorded is None or not count:
            raise SettingError(f"{self.experiment.path}: recorded.virtual: how many virtual events is not said")
        passport, seed = self._passport("stations"), self.experiment.seed
        return VirtualRecords(self.experiment, passport, self.recorded.train, count, (seed, 18))

    @cached_property
    def recorded_noise(self) -> RecordedNoise | None:
        """Noise of recorded training events, None without any."""
        if self.recorded is None:
            return None
        return RecordedNoise(self.recorded.train) if self.draws.recorded_noise > 0 else None

    @cache  # noqa: B019
    def _passport(self, inputs: Kind) -> Passport:
        """With every array that a network of these inputs takes: all share the windows."""
        taking = [plan for plan in plans(self.experiment) if plan.inputs == inputs]
        mask, log_scale = any(plan.mask for plan in taking), any(plan.log_scale for plan in taking)
        return draft_passport(self.experiment, inputs, mask=mask, log_scale=log_scale)

    def windows(self, inputs: Kind) -> Windows:
        """What makes inputs of a kind."""
        return Windows.of(self._passport(inputs))

    def augmenter(self, inputs: Kind, source: str, records: Sequence[Record], draws: Draws | None = None) -> Augmenter:
        """Augmenter of ``records`` of a source; ``draws`` in place of the experiment's."""
        frame, settings = self.experiment.region.frame, self._passport(inputs).preprocessing
        noise = self.recorded_noise
        return Augmenter(
            records,
            self.draws if draws is None else draws,
            lambda record: record.truth.local(frame),
            clean=source == THEORETICAL,
            recorded=None if noise is None else noise.draw,
            finish_noise=lambda data, rate: filtered(data, rate, settings),
        )

    def records(self, inputs: Kind, name: str) -> Sequence[Record]:
        """Records of the training events of a source, or of a set."""
        if name == VIRTUAL:
            return self.virtual
        if name in (RECORDED, RECORDED_HELD_OUT, RECORDED_TEST):
            if self.recorded is None:
                raise SettingError(f"{self.experiment.path}: there is no section recorded")
            if name == RECORDED_TEST:
                return self.recorded.test
            return self.recorded.train if name == RECORDED else self.recorded.held_out
        chosen = self.events.of(TRAIN if name == THEORETICAL else _SETS[name])
        return TheoreticalRecords(self.data, self.events, chosen, self._passport(inputs).preprocessing)

    def bank(self, inputs: Kind, source: str) -> Bank:
        """Augmented windows of the training events of a source, from the run folder where they are there."""
        key = (inputs, source)
        if key not in self._banks:
            path, header = self.folder / "banks" / f"{inputs}_{source}.h5", self.header(inputs, source)
            with alone_with(path):
                bank = load_bank(path, header)
                if bank is None:
                    bank = self._make_bank(inputs, source)
                    save_bank(path, bank, header)
            self._unknown(bank.targets, source)
            self._banks[key] = bank
        return self._banks[key]

    def _unknown(self, targets: NDArray[np.floating], source: str) -> None:
        """Take origin times out of ``targets`` (row, 5) where the file says that recorded events have none to trust."""
        if source != THEORETICAL and not self.experiment.settings["recorded"].get("time", True):
            targets[:, TARGETS.index("time")] = np.nan

    def _make_bank(self, inputs: Kind, source: str) -> Bank:
        seed = (self.experiment.seed, _SEEDS[source], 0 if inputs == "images" else 1)
        per_event = self.experiment.settings.get("training", {}).get("windows", WINDOWS)
        augmenter = self.augmenter(inputs, source, self.records(inputs, source))
        names = self._passport(inputs).representation["inputs"]
        return make_bank(self.windows(inputs), augmenter, names, per_event, seed, self.progress)

    def header(self, inputs: Kind, source: str) -> dict[str, Any]:
        """What the windows of a source rest on."""
        document = {**self._passport(inputs).raw}
        for name in ("provenance", "head", "calibration"):
            document.pop(name)
        settings = self.experiment.settings
        return {
            "passport": document,
            "augmentation": settings.get("augmentation", {}),
            "windows": settings.get("training", {}).get("windows", WINDOWS),
            "recorded": settings.get("recorded", {}),
            "source": source,
            "seismograms": self.data.header,
        }

    def exact(self, inputs: Kind, name: str) -> ExactSet:
        """A set as inference would see it; ``lost-N`` is the test with N stations cut out."""
        key = (inputs, name)
        if key not in self._exact:
            self._exact[key] = self._make_exact(inputs, name)
        return self._exact[key]

    def noise_rng(self, name: str, event: int) -> np.random.Generator:
        """What the noise of an event of a set is drawn with: the same for every kind of input."""
        number = list(_SETS).index(name) if name in _SETS else 9
        return np.random.default_rng([self.experiment.seed, 10, number, event])

    def _make_exact(self, inputs: Kind, name: str) -> ExactSet:
        lost = int(name.removeprefix(LOST_PREFIX)) if name.startswith(LOST_PREFIX) else 0
        base = TEST_SET if lost else name
        source = RECORDED if base.startswith(RECORDED) else THEORETICAL
        augmenter = self.augmenter(inputs, source, self.records(inputs, base))
        windows, names = self.windows(inputs), self._passport(inputs).representation["inputs"]
        arrays: dict[str, list[NDArray[np.float32]]] = {each: [] for each in names}
        targets, records, ratios, gone, answered = [], [], [], [], []
        events = range(len(augmenter.records))
        for event in tqdm(events, desc=f"{name}, {inputs}", leave=False, disable=None if self.progress else True):
            rng = self.noise_rng(base, event)
            record = augmenter.noisy(rng, event)
            away = np.zeros(len(record.live), bool)
            if lost:
                live = np.flatnonzero(record.live)
                away[rng.choice(live, min(lost, max(len(live) - 1, 0)), replace=False)] = True
                record = record.without(away)
            made, target, there = exact_input(windows, record, names)
            answered.append(there)
            for each, values in zip(names, made, strict=True):
                arrays[each].append(values)
            targets.append(target)
            records.append(record)
            ratios.append(signal_to_noise(windows.conditioned(record), record.origin_s + windows.p_travel_s(record)))
            gone.append(int(away.sum()))
        known = np.array(targets).reshape(-1, len(TARGETS))
        self._unknown(known, source)
        return ExactSet(
            {each: np.stack(values) for each, values in arrays.items()},
            known,
            tuple(records),
            np.array(ratios),
            np.array(gone, np.int64),
            np.array(answered, bool),
        )
