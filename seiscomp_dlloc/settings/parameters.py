"""THE table of settings: the description, the defaults and the typed values are made of it.

Keys are those of etc/dlloc.cfg. A key with ``$name`` is one of a profile. Defaults are written as in a configuration
file; an empty one means that the setting is not given.
"""

from typing import NamedTuple, Optional, Tuple


class Parameter(NamedTuple):
    """One setting: ``type`` and ``unit`` as SeisComP's descriptions have them.

    ``range`` (least, largest), None where open; ``values``: the only ones there are.
    """

    key: str
    type: str
    default: str
    description: str
    unit: str = ""
    range: Tuple[Optional[float], Optional[float]] = (None, None)
    values: Tuple[str, ...] = ()

    @property
    def group(self) -> str:
        """What stands before the last dot; '' at the top level."""
        return self.key.rpartition(".")[0]

    @property
    def name(self) -> str:
        """What stands behind the last dot."""
        return self.key.rpartition(".")[2]

    @property
    def is_list(self) -> bool:
        """Whether there may be several values."""
        return self.type.startswith("list:")


GROUPS = {
    "": "",
    "profile.$name": "A profile: a model with its waveforms, region and thresholds. The name is that in 'profiles'.",
    "trigger": "Which origins of the messaging are located.",
    "evolve": "How the solution of an origin is refined while data arrive.",
    "output": "What the origins say of themselves.",
    "worker": "The resident process that fetches waveforms and runs the models.",
    "ring": "A ring of recent data in the worker's memory, so that a trigger rarely waits for an archive.",
    "locator": "The locator of scolv and screloc (locext).",
    "bundle": "Everything that an origin was made of, kept for 'dlloc replay', with its picture.",
    "journal": "What the module has sent, so that nothing is sent twice.",
    "audit": "Every decision of the module, one JSON object per line.",
    "catchup": "Origins that came while the module was down.",
}
"""Group -> its description, in the order in which they are shown."""

PARAMETERS: Tuple[Parameter, ...] = (
    Parameter(
        "profiles",
        "list:string",
        "default",
        "Names of the profiles. An origin is located with every profile whose region holds it.",
    ),
    Parameter(
        "profile.$name.model",
        "string",
        "",
        "Bundled model or .onnx file (@DATADIR@/dlloc/NAME.onnx). Not given: anynet, which is for any network.",
    ),
    Parameter(
        "profile.$name.waveforms",
        "string",
        "recordstream",
        "Where waveforms come from: 'recordstream' for the host's RecordStream, 'recordstream:URL' for another one, or "
        "any source of 'dlloc locate --waveforms': a folder, a file, sds:, fdsnws: or seedlink: address.",
    ),
    Parameter(
        "profile.$name.inventory",
        "file",
        "",
        "StationXML or SeisComP inventory. Not given: the host's inventory.",
    ),
    Parameter(
        "profile.$name.earthModel",
        "string",
        "",
        "Earth of a model for any network: a model of TauP (iasp91, ak135), a file, CSV, .tvel or .nd, or a folder of "
        "NonLinLoc's 3-D time grids. Not given: that of the bundled model of one network that knows the inventory's "
        "stations, else the model's own.",
    ),
    Parameter(
        "profile.$name.corrections",
        "file",
        "",
        "Station corrections for a model for any network: what 'dlloc corrections' learned with the same earth model.",
    ),
    Parameter(
        "profile.$name.region",
        "list:double",
        "",
        "Origins inside are located with this profile: south, west, north, east. Not given: everywhere.",
        "deg",
        (-180.0, 360.0),
    ),
    Parameter(
        "profile.$name.maxDistance",
        "double",
        "",
        "Stations farther than this from the trigger's epicentre are left out. Not given: all are used, and the "
        "trigger's place enters nothing.",
        "km",
        (0.0, None),
    ),
    Parameter(
        "profile.$name.minPeak",
        "double",
        "",
        "The locator abstains where the peak of the location image is lower. Not given, or lower than the model's own "
        "threshold: that.",
        "",
        (0.0, 1.0),
    ),
    Parameter(
        "profile.$name.minStations",
        "int",
        "",
        "The locator abstains with fewer stations. Not given, or less than the model's own number: that.",
        "",
        (1.0, None),
    ),
    Parameter("trigger.origins", "boolean", "true", "Locate every origin that passes the conditions below."),
    Parameter(
        "trigger.events",
        "boolean",
        "true",
        "Locate the preferred origin of an event when it is made or changes, too. An origin is located once.",
    ),
    Parameter("trigger.agencies", "list:string", "", "Agencies whose origins are located. Not given: all."),
    Parameter("trigger.agenciesBlacklist", "list:string", "", "Agencies whose origins are not located."),
    Parameter("trigger.authors", "list:string", "", "Authors whose origins are located. Not given: all."),
    Parameter("trigger.authorsBlacklist", "list:string", "", "Authors whose origins are not located."),
    Parameter(
        "trigger.region",
        "list:double",
        "",
        "Origins outside are not located: south, west, north, east. Not given: everywhere.",
        "deg",
        (-180.0, 360.0),
    ),
    Parameter(
        "trigger.minPhases",
        "int",
        "0",
        "Origins with fewer used phases are not located.",
        "",
        (0.0, None),
    ),
    Parameter(
        "trigger.modes",
        "list:string",
        "automatic",
        "Evaluation modes of the origins that are located: automatic, manual.",
    ),
    Parameter(
        "trigger.maxAge",
        "double",
        "3600",
        "Origins whose time is longer ago are not located. 0: there is no limit.",
        "s",
        (0.0, None),
    ),
    Parameter(
        "evolve.enable",
        "boolean",
        "true",
        "Send a first solution early and refine it while data arrive. Otherwise one is sent, on the complete window.",
    ),
    Parameter(
        "evolve.firstDelay",
        "double",
        "2",
        "From the trigger's arrival to the first solution on incomplete data.",
        "s",
        (0.0, 600.0),
    ),
    Parameter("evolve.interval", "double", "5", "Least time between two solutions of a trigger.", "s", (0.5, 600.0)),
    Parameter("evolve.maxOrigins", "int", "5", "Most origins sent for one trigger.", "", (1.0, 100.0)),
    Parameter(
        "evolve.stopDistance",
        "double",
        "1",
        "A refinement that moves less than this, and less than evolve.stopTime, is not sent and ends the refining; the "
        "solution on the complete window still is.",
        "km",
        (0.0, None),
    ),
    Parameter("evolve.stopTime", "double", "0.3", "See evolve.stopDistance.", "s", (0.0, None)),
    Parameter(
        "evolve.latency",
        "double",
        "60",
        "How long after the window's end late data are waited for; then what is there is used, and said.",
        "s",
        (0.0, 3600.0),
    ),
    Parameter("output.agencyID", "string", "", "Agency of the origins. Not given: the host's agencyID."),
    Parameter("output.author", "string", "dlloc@@hostname@", "Author of the origins; @hostname@ is replaced."),
    Parameter(
        "output.methodID",
        "string",
        "DLLOC",
        "methodID of the origins. scevent's METHOD priority names it when the origins are to be promoted.",
    ),
    Parameter(
        "output.evaluationStatus",
        "string",
        "reported",
        "evaluationStatus of the origins. With 'reported' they stand beside the conventional origin and never become "
        "preferred; 'none' leaves it out.",
        values=("reported", "preliminary", "confirmed", "reviewed", "none"),
    ),
    Parameter(
        "output.magnitudes",
        "boolean",
        "true",
        "Send magnitudes, without station count so that scmag leaves them alone.",
    ),
    Parameter(
        "output.arrivals",
        "boolean",
        "true",
        "Send arrivals: the trigger's picks with residuals at our hypocentre. scevent associates by them.",
    ),
    Parameter(
        "output.comments", "boolean", "true", "Send comments: peak, provider, stations, distance to the trigger."
    ),
    Parameter("worker.socket", "string", "@RUNDIR@/dlloc.sock", "Unix socket of the worker; at most 107 bytes long."),
    Parameter(
        "worker.python",
        "file",
        "",
        "Python of the worker's virtual environment. Set by 'dlloc install'. Not given: the present interpreter.",
    ),
    Parameter("worker.jobs", "int", "2", "Jobs at once.", "", (1.0, 64.0)),
    Parameter("worker.queue", "int", "64", "Jobs that may wait; further ones are refused.", "", (1.0, 10000.0)),
    Parameter("worker.threads", "int", "1", "CPU threads of a model. 0: onnxruntime's choice.", "", (0.0, 256.0)),
    Parameter(
        "worker.provider",
        "string",
        "auto",
        "Where models run: auto takes CUDA where it works, else the CPU.",
        values=("auto", "cuda", "cpu"),
    ),
    Parameter("worker.requireGPU", "boolean", "false", "Refuse to start where the models would not run on a GPU."),
    Parameter(
        "worker.recordstreamCommand",
        "string",
        "",
        "Command of the helper that reads the host's RecordStream. Set by 'dlloc install'.",
    ),
    Parameter("worker.deadline", "double", "120", "Deadline of a job that states none.", "s", (1.0, 3600.0)),
    Parameter("worker.logFile", "string", "@LOGDIR@/dlloc-worker.log", "Log of the worker; rotates."),
    Parameter("worker.autostart", "boolean", "true", "Start the worker where it is needed and does not run."),
    Parameter("ring.enable", "boolean", "true", "Follow the stations of the profiles with the RecordStream helper."),
    Parameter("ring.length", "double", "600", "Length of the ring.", "s", (60.0, 86400.0)),
    Parameter(
        "locator.deadline",
        "double",
        "10",
        "The locator answers, or fails with a reason in its log, within this time: scolv waits without a limit.",
        "s",
        (1.0, 600.0),
    ),
    Parameter("locator.logFile", "string", "@LOGDIR@/dlloc-locext.log", "Log of the locator."),
    Parameter("locator.profile", "string", "", "Profile of a locator that is told none. Not given: the first one."),
    Parameter("bundle.keep", "boolean", "false", "Keep a bundle for each origin that is sent."),
    Parameter("bundle.folder", "path", "@STATEDIR@/bundles", "Where bundles and pictures go."),
    Parameter("bundle.maximum", "int", "200", "Bundles kept; the oldest are removed.", "", (1.0, None)),
    Parameter("journal.file", "string", "@STATEDIR@/journal.jsonl", "The module's journal; must outlive a restart."),
    Parameter("audit.file", "string", "@LOGDIR@/dlloc-audit.jsonl", "The module's audit log; rotates."),
    Parameter(
        "catchup.maxAge",
        "double",
        "3600",
        "Origins younger than this are looked up in the database when the module starts. 0: none are.",
        "s",
        (0.0, None),
    ),
)

BY_KEY = {parameter.key: parameter for parameter in PARAMETERS}

BINDING = (
    Parameter(
        "enable",
        "boolean",
        "true",
        "Use this station. If not, the locator does as if it were not in the inventory. Counts for profiles that take "
        "the host's inventory.",
    ),
)
"""Settings of a station's binding."""
