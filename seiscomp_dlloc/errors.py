"""The one tree of errors.

Every error that a user can cause derives from :class:`DllocError`. Its message names the file, the station or the
setting at fault and says what to do. Third-party errors are translated at the edge where they arise.

The tree has two branches with different consequences:

* :class:`InputError`: the run as a whole cannot go on (exit status 2);
* :class:`EventError`: one event cannot be located, the others can (exit status 1).
"""


class DllocError(Exception):
    """Base of all errors of this package."""


class InputError(DllocError):
    """The run cannot start or go on with what the operator gave: a file, a setting, a model."""


class EventFileError(InputError):
    """The file of triggered origins cannot be read."""


class InventoryError(InputError):
    """The inventory cannot be read or holds no usable station."""


class WaveformSourceError(InputError):
    """The source of waveforms as a whole is unusable: no such path, no permission, unknown scheme."""


class SettingError(InputError):
    """A setting has a value that it cannot have."""


class ModelError(InputError):
    """A model file cannot be read, is damaged, or its passport is not valid."""


class ProviderError(InputError):
    """The wanted execution provider cannot run the model."""


class BundleError(InputError):
    """A bundle cannot be read, is damaged, or belongs to another model."""


class InstallError(InputError):
    """The plugin cannot be installed where it was told to, or what is installed is not whole."""


class WorkerError(InputError):
    """The resident worker gave no answer."""


class WorkerUnavailable(WorkerError):
    """No worker listens, and none could be started."""


class WorkerTimeout(WorkerError):
    """The worker did not answer within the deadline."""


class ProtocolError(WorkerError):
    """What came over the worker's socket is no message of its protocol."""


class EventError(DllocError):
    """One event cannot be located; ``reason`` is the short code written to outputs."""

    reason = "failed"


class NoWaveforms(EventError):
    """No usable waveform in the window of the event."""

    reason = "no waveforms"


class WaveformReadError(EventError):
    """The waveforms of this event are damaged or could not be fetched."""

    reason = "unreadable waveforms"


class NoEventFound(EventError):
    """No first break in the window of the trigger."""

    reason = "no event in the window"


class TooFewStations(EventError):
    """Fewer usable stations than the model's passport asks for."""

    reason = "too few stations"


class ModelMismatch(EventError):
    """The model's passport forbids its use on this event: wrong network, rate, components."""

    reason = "model mismatch"
