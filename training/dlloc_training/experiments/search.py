"""The stage ``search``: Bayesian optimisation of a network's settings over the space of Sugiyama et al. (2021).

How a network is trained is not known here: a function is given settings and returns its errors.
"""

import csv
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from seiscomp_dlloc.errors import SettingError
from seiscomp_dlloc.formats.atomic import write_atomically

from ..networks.registry import entry
from ..networks.search_space import suggest
from ..networks.settings import HeadSettings

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial, Trial

SEARCH = "search"
"""Folder in the run folder; in it :data:`BEST`, :data:`TRIALS` and, without a storage elsewhere, :data:`STUDY`."""

LEFT_OUT = "left out"
"""Of a trial whose network was too large."""

BEST, TRIALS, STUDY = "best.json", "trials.csv", "study.sqlite3"

EPOCHS, EVENTS_SHARE = 10, 0.25
"""Of a trial, where the section does not say."""

Train = Callable[[dict[str, Any], Callable[[int, float], None]], Mapping[str, float]]
"""Trains a network of these settings and returns, for each parameter, its RMSE on held-out events in standardised
units. It calls its second argument after every epoch with the epoch and the mean of these, which ends the training
(an exception of optuna's passes through) where the trial is not worth going on. It raises SettingError or MemoryError
where such a network cannot be, and :class:`TooLargeError` where it may not be."""


class TooLargeError(SettingError):
    """A network that is larger than the search allows: no trial of the number asked for, and none to be tried again."""


@dataclass(frozen=True)
class Space:
    """What is searched: a network by its name in the registry. ``pixels`` (rows, columns) of its images, for no more
    poolings than they allow; ``fixed``: settings that are not searched.
    """

    network: str
    pixels: tuple[int, int] | None = None
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def draw(self, trial: "Trial") -> dict[str, Any]:
        """All settings of a trial, as a table of an experiment's file holds them. Raises SettingError."""
        return as_table(suggest(trial, entry(self.network).settings, self.pixels, **self.fixed))


@dataclass(frozen=True)
class Best:
    """The best trial that was not pruned: ``value`` is the mean of ``rmse``, in standardised units."""

    network: str
    trial: int
    value: float
    rmse: dict[str, float]
    settings: dict[str, Any]
    trials: dict[str, int]


def as_table(settings: HeadSettings) -> dict[str, Any]:
    """Settings as a table of TOML or JSON holds them: lists for tuples, nothing for None."""
    made = {name: value for name, value in asdict(settings).items() if value is not None}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in made.items()}


def run_search(
    space: Space,
    folder: Path,
    train: Train,
    trials: int,
    seed: int,
    *,
    storage: str | None = None,
    name: str = SEARCH,
    about: Mapping[str, Any] | None = None,
    progress: bool = True,
) -> Best:
    """Search until ``trials`` trials are over, going on where an earlier search stopped; keep tables in ``folder``.

    The objective is the mean of the errors that ``train`` returns. Trials that look worse than the median are pruned;
    those that cannot be built are recorded as failed, and those that are too large are left out: the table has them,
    the sampler learns from them, and others are drawn for them.

    ``storage``: URL of a database that several processes, or machines, share (all with the same ``name``); by default a
    file in ``folder``/search, which processes of one machine may share. ``about``: what the errors rest on besides
    (data, epochs), as JSON can hold it.

    Raises SettingError where optuna is not installed, the storage cannot be used or holds another search, or no trial
    could be completed or all that were drawn were too large.
    """
    try:
        from . import trials as optuna_part
    except ModuleNotFoundError as error:
        if error.name != "optuna":
            raise
        raise SettingError("search: optuna is not installed: pip install 'dlloc_training[search]'") from error
    entry(space.network)
    place = folder / SEARCH
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(f"{place}: cannot be made ({error.strerror or error})") from error
    where = "search.storage" if storage else str(place / STUDY)
    rests_on = {**asdict(space), "seed": seed, **(about or {})}

    def objective(trial: "Trial") -> float:
        settings = space.draw(trial)
        trial.set_user_attr("settings", settings)

        def report(epoch: int, value: float) -> None:
            trial.report(value, epoch)
            if trial.should_prune():
                raise optuna_part.TrialPruned(f"after epoch {epoch}")

        try:
            rmse = {parameter: float(value) for parameter, value in train(settings, report).items()}
        except TooLargeError as error:
            trial.set_user_attr(LEFT_OUT, True)
            trial.set_user_attr(optuna_part.REASON, str(error))
            raise optuna_part.TrialPruned(str(error)) from error
        mean = sum(rmse.values()) / len(rmse)
        if not math.isfinite(mean):
            raise SettingError(f"the training came to nothing: errors are {rmse}")
        trial.set_user_attr("rmse", rmse)
        return mean

    with optuna_part.quiet(where):
        study = optuna_part.open_study(
            storage or f"sqlite:///{(place / STUDY).absolute()}",
            name,
            seed,
            json.dumps(rests_on, sort_keys=True),
            where,
        )
        with tqdm(total=trials, desc="search", unit="trial", disable=not progress) as bar:

            def after() -> None:
                every = study.get_trials(deepcopy=False)
                write_tables(place, space.network, every)
                bar.update(optuna_part.counted(study) - bar.n)
                done = [t.value for t in every if t.state.name == "COMPLETE" and t.value is not None]
                if done:
                    bar.set_postfix(best=f"{min(done):.3f}")

            after()
            optuna_part.run_trials(study, objective, trials, after)
    return read_best(folder)


def write_tables(place: Path, network: str, trials: Iterable["FrozenTrial"]) -> None:
    """``trials.csv``, a row for each trial, and, where one is complete, ``best.json``; each whole or not at all."""
    every = list(trials)
    rows = [_row(trial) for trial in every]
    columns = list(dict.fromkeys(name for row in rows for name in row)) or ["trial"]
    text = io.StringIO()
    table = csv.DictWriter(text, columns, lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    write_atomically(place / TRIALS, text.getvalue().encode())
    complete = [trial for trial in every if trial.state.name == "COMPLETE" and trial.value is not None]
    if not complete:
        return
    best = min(complete, key=lambda trial: (trial.value, trial.number))
    states = [_state(trial) for trial in every]
    found = Best(
        network,
        best.number,
        float(best.value or 0.0),
        best.user_attrs["rmse"],
        best.user_attrs["settings"],
        {state: states.count(state) for state in sorted(set(states))},
    )
    write_atomically(place / BEST, (json.dumps(asdict(found), indent=1) + "\n").encode())


def _state(trial: "FrozenTrial") -> str:
    return "left out" if trial.user_attrs.get(LEFT_OUT) else trial.state.name.lower()


def _row(trial: "FrozenTrial") -> dict[str, Any]:
    seconds = trial.duration.total_seconds() if trial.duration else None
    return {
        "trial": trial.number,
        "state": _state(trial),
        "value": trial.value,
        "epochs": len(trial.intermediate_values),
        "seconds": None if seconds is None else round(seconds, 3),
        "reason": trial.user_attrs.get("reason"),
        **{f"rmse_{name}": value for name, value in trial.user_attrs.get("rmse", {}).items()},
        **{
            name: " ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in trial.user_attrs.get("settings", {}).items()
        },
    }


def read_best(folder: Path) -> Best:
    """The best trial of the search in a run folder; its ``settings`` are those of a network's table.

    Raises SettingError where there is none.
    """
    path = folder / SEARCH / BEST
    try:
        return Best(**json.loads(path.read_text("utf-8")))
    except FileNotFoundError as error:
        raise SettingError(
            f"{path}: no trial was completed; {path.with_name(TRIALS)} has the reasons, if there was a search"
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise SettingError(f"{path}: is no result of a search ({error})") from error
