"""Optuna's part of a search: a storage that several processes share, a sampler that a seed determines, the loop.

Imports optuna, which is the extra ``search``; :mod:`.search` imports this module where a search begins.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import optuna
from optuna import TrialPruned
from optuna.distributions import BaseDistribution
from optuna.pruners import MedianPruner
from optuna.samplers import BaseSampler, TPESampler
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from seiscomp_dlloc.errors import SettingError

from .search import LEFT_OUT

__all__ = ["REASON", "TrialPruned", "counted", "open_study", "quiet", "run_trials"]

STARTUP_TRIALS = 6
"""Trials that are drawn evenly before the estimator of Bergstra et al. (2011) has enough to go by."""

PRUNER_STARTUP_TRIALS, PRUNER_WARMUP_EPOCHS = 4, 1
HEARTBEAT_S, GRACE_S, POLL_S = 10, 60, 1.0
"""A trial whose process has not been heard of for ``GRACE_S`` is lost, and its settings are tried again."""

_ATTEMPTS = 4

MOST_LEFT_OUT = 200
"""Trials in a row that are too large, after which there is no hope of a smaller one."""

REASON, RETRIED = "reason", "retry of"
FAILURES = (SettingError, MemoryError)
"""What ends a trial and not the search."""


class SeededTPE(BaseSampler):
    """Tree-structured Parzen estimator whose draws follow from the seed, the trial's number and the trials before it.

    So a search that was stopped between two trials goes on as if it had not been, and processes that share one draw
    differently.
    """

    def __init__(self, seed: int):
        self._seed = seed
        self._sampler: BaseSampler = self._of(0)

    def _of(self, number: int) -> TPESampler:
        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        return TPESampler(seed=seed, n_startup_trials=STARTUP_TRIALS, multivariate=False, constant_liar=True)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """A sampler of its own for every trial."""
        self._sampler = self._of(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """As the estimator says."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """As the estimator says."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """As the estimator says."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def open_study(url: str, name: str, seed: int, about: str, where: str) -> optuna.Study:
    """The study ``name`` in the storage of this URL, made where it is not there.

    ``about``: what its trials rest on; ``where``: what errors call the storage, for its URL may hold a password.
    Raises SettingError where the storage cannot be used, or holds a study of that name about something else.
    """
    for attempt in range(_ATTEMPTS):
        try:
            study = optuna.create_study(
                storage=_storage(url),
                study_name=name,
                sampler=SeededTPE(seed),
                pruner=MedianPruner(PRUNER_STARTUP_TRIALS, PRUNER_WARMUP_EPOCHS),
                load_if_exists=True,
            )
            break
        except ImportError as error:
            raise SettingError(f"{where}: a driver of this kind of storage is missing ({_line(error)})") from error
        except (optuna.exceptions.StorageInternalError, SQLAlchemyError):
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(POLL_S)  # another process makes its tables at this moment
    if study.user_attrs.setdefault("about", about) != about:
        raise SettingError(
            f"{where}: holds a search '{name}' with other settings; remove it, or take another run folder or storage"
        )
    if not study.trials:
        study.set_user_attr("about", about)
    return study


def _storage(url: str) -> RDBStorage:
    # Processes that share a file wait for each other's writing
    options = {"connect_args": {"timeout": 60}} if url.startswith("sqlite") else None
    return RDBStorage(url, options, heartbeat_interval=HEARTBEAT_S, grace_period=GRACE_S)


@contextmanager
def quiet(where: str) -> Iterator[None]:
    """No messages of optuna's own; errors of the storage as SettingError that names ``where``."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError) as error:
        cause = error.__cause__ or error
        raise SettingError(f"{where}: the storage of the search fails ({_line(cause)})") from error
    finally:
        optuna.logging.set_verbosity(before)


def _line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200]


def counted(study: optuna.Study) -> int:
    """Trials that are over: complete, pruned or failed; those that were lost with their process, or were left out, do
    not count."""
    over = study.get_trials(deepcopy=False)
    return sum(
        (t.state in (TrialState.COMPLETE, TrialState.PRUNED) and LEFT_OUT not in t.user_attrs)
        or (t.state == TrialState.FAIL and REASON in t.user_attrs)
        for t in over
    )


def run_trials(
    study: optuna.Study, objective: Callable[[Trial], float], trials: int, after: Callable[[], None]
) -> None:
    """Trials until ``trials`` are over, those of other processes included; waits for theirs at the end.

    ``after`` is called after each. Processes that share a study may make a trial more each than was asked for.
    Raises SettingError after :data:`MOST_LEFT_OUT` networks in a row that were left out.
    """

    def guarded(trial: Trial) -> float:
        try:
            return objective(trial)
        except FAILURES as error:
            trial.set_user_attr(REASON, " ".join(str(error).split()) or type(error).__name__)
            raise

    while (over := counted(study)) < trials:
        fail_stale_trials(study)
        _try_lost_again(study)
        under_way = sum(t.state == TrialState.RUNNING for t in study.get_trials(deepcopy=False))
        if over + under_way >= trials:
            time.sleep(POLL_S)
        else:
            study.optimize(guarded, n_trials=1, catch=FAILURES)
        after()
        last = study.get_trials(deepcopy=False)[-MOST_LEFT_OUT:]
        if len(last) == MOST_LEFT_OUT and all(LEFT_OUT in t.user_attrs for t in last):
            raise SettingError(
                f"search: the last {MOST_LEFT_OUT} networks were too large ({last[-1].user_attrs[REASON]})"
            )


def _try_lost_again(study: optuna.Study) -> None:
    """Put the settings of lost trials in line again, once: a trial may be what ends its process."""
    every = study.get_trials(deepcopy=False)
    retried = {trial.user_attrs.get(RETRIED) for trial in every}
    for trial in every:
        lost = trial.state == TrialState.FAIL and REASON not in trial.user_attrs
        if lost and trial.params and RETRIED not in trial.user_attrs and trial.number not in retried:
            study.enqueue_trial(trial.params, user_attrs={RETRIED: trial.number})
