"""Who may import whom, and that preprocessing exists once: read from the source, module by module."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGE = REPOSITORY / "seiscomp_dlloc"
TRAINING = REPOSITORY / "training" / "dlloc_training"

CONTRACTS = {"errors", "units", "wording", "geometry", "records", "passport"}
PREPROCESSING = {
    "traces", "channels", "quality", "orientation", "gain", "merging", "resampling", "preprocess", "firstbreak"
}  # fmt: skip
INPUTS = {"tensor", "snapshots", "representations"}
ANSWERS = {
    "decode", "heads", "flatlayers", "spherelayers", "timerows", "traveltimes", "arrivals", "predict", "network",
    "onsets", "origintime", "magnitude", "trust", "solution"
}  # fmt: skip
CORE = CONTRACTS | PREPROCESSING | INPUTS | ANSWERS | {"model", "migration", "locate"}
EDGES = {"waveforms", "formats"}
# What runs under the host's interpreter, or must start fast, takes only these of the worker
LIGHT_WORKER = {"worker.client", "worker.protocol", "worker.launch"}

# Module or subpackage -> what it may import of ours; "version" stands for the package itself (__version__)
ALLOWED: dict[str, set[str]] = {
    "version": set(),
    "errors": set(),
    "units": set(),
    "wording": set(),
    "geometry": {"errors", "units"},
    "records": {"errors", "units", "geometry"},
    "passport": CONTRACTS,
    "data": set(),
    "models": {"errors"},
    "model": CONTRACTS,
    **dict.fromkeys(PREPROCESSING, CONTRACTS | PREPROCESSING),
    "tensor": CONTRACTS | PREPROCESSING,
    "snapshots": CONTRACTS | PREPROCESSING,
    "representations": CONTRACTS | {"tensor", "snapshots", "traveltimes"},
    "flatlayers": set(),
    "spherelayers": set(),
    "timerows": set(),
    "traveltimes": CONTRACTS | {"flatlayers", "spherelayers", "timerows"},
    "predict": CONTRACTS | {"traveltimes"},
    "arrivals": CONTRACTS | {"traveltimes"},
    "network": CONTRACTS,
    "onsets": CONTRACTS | {"channels", "predict"},
    "decode": CONTRACTS,
    "heads": CONTRACTS | {"decode"},
    "trust": CONTRACTS | {"decode"},
    "origintime": CONTRACTS | PREPROCESSING | {"traveltimes"},
    "magnitude": CONTRACTS | PREPROCESSING | {"traveltimes"},
    "solution": CORE - {"model", "migration", "locate"},
    "migration": CONTRACTS | {"arrivals", "decode", "heads", "representations", "traveltimes", "migration"},
    "locate": (CORE - {"model"}) | {"arrivals"},
    "defaults": CONTRACTS | {"models", "model", "network"},
    "formats": {"errors", "units", "geometry", "records", "arrivals", "version"} | EDGES,
    # The host's helper is spoken to in the frames of the worker's protocol
    "waveforms": {"errors", "units", "geometry", "records", "version", "worker.protocol"} | EDGES,
    "settings": {"errors", "settings", "version"},
    "bundle": CORE | EDGES | {"models", "version"},
    "compare": CORE | EDGES | {"version"},
    "scan": CORE | EDGES | {"compare", "scan", "version"},
    "worker": CORE | EDGES | {"worker", *LIGHT_WORKER, "settings", "bundle", "report", "models", "defaults", "version"},
    "locext": {"errors", "settings", "version", *LIGHT_WORKER},
    "install": CORE | EDGES | {"install", "settings", "models", "defaults", "version", *LIGHT_WORKER},
    "report": CORE | EDGES | {"compare", "report", "version"},
    "cli": CORE
    | EDGES
    | {"worker", "settings", "install", "bundle", "compare", "report", "models", "defaults", "scan", "cli", "data"}
    | {"version", *LIGHT_WORKER},
    "__main__": {"cli"},
    "seiscomp_app": {"errors", "settings", "seiscomp_app", "version", *LIGHT_WORKER},
}

# Third-party package -> the only module that may import it
ONLY_IN = {
    "onnxruntime": {"model"},
    "seiscomp": {"seiscomp_app"},
    "torch": set(),
    "onnx": set(),
    "dlloc_training": set(),
}

SIGNAL_PROCESSING = {
    # scipy.signal
    "butter", "iirfilter", "iirdesign", "cheby1", "cheby2", "ellip", "bessel", "firwin", "firwin2", "sosfilt",
    "sosfiltfilt", "filtfilt", "lfilter", "resample_poly", "upfirdn", "zpk2sos", "cheb2ord",
    # obspy.signal
    "bandpass", "highpass", "lowpass", "integer_decimation", "lanczos_interpolation", "cosine_taper",
}  # fmt: skip
TRACE_METHODS = {"filter", "resample", "decimate", "detrend", "normalize", "taper", "remove_response", "simulate"}
# The Wood-Anderson seismometer is an instrument, not a preparation of the model's input
EXCEPTIONS = {"magnitude": {"simulate", "remove_response"}}


def modules(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def group(path: Path) -> str:
    """``traces`` of seiscomp_dlloc/traces.py, ``cli`` of seiscomp_dlloc/cli/demo.py."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return "version" if parts == ("__init__",) else parts[0]


def imported_names(source: str, package: tuple[str, ...]) -> Iterator[str]:
    """Full dotted names that ``source``, a module of ``package``, imports, wherever in the file."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (*package[: len(package) - node.level + 1],) if node.level else ()
            stem = ".".join((*base, *([node.module] if node.module else [])))
            yield from (f"{stem}.{alias.name}" for alias in node.names)


def our_targets(source: str, package: tuple[str, ...]) -> Iterator[str]:
    """Which of our modules and subpackages ``source`` imports, as keys of ``ALLOWED`` (or worker.client)."""
    for name in imported_names(source, package):
        parts = name.split(".")
        if parts[0] != PACKAGE.name:
            continue
        head = parts[1] if len(parts) > 1 else ""
        if not ((PACKAGE / head).is_dir() or (PACKAGE / f"{head}.py").is_file()) or head == "__init__":
            yield "version"
        elif head == "worker" and len(parts) > 2 and parts[2] in ("client", "protocol", "launch"):
            yield f"worker.{parts[2]}"
        else:
            yield head


def package_of(path: Path, root: Path) -> tuple[str, ...]:
    return (root.name, *path.relative_to(root).parent.parts)


def signal_processing_in(source: str) -> set[str]:
    """Names in ``source`` that filter, resample, detrend, taper or normalise traces."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names} & SIGNAL_PROCESSING
            if node.module == "scipy.signal":
                found |= {alias.name for alias in node.names} & TRACE_METHODS
        elif isinstance(node, ast.Attribute) and node.attr in SIGNAL_PROCESSING:
            found.add(node.attr)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in TRACE_METHODS:
            found.add(node.func.attr)
    return found


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_module_imports_only_what_stands_below_it(path: Path):
    name = group(path)
    assert name in ALLOWED, f"{path.name}: a new module; give it a place in ALLOWED and in docs/conventions.md"
    targets = set(our_targets(path.read_text("utf-8"), package_of(path, PACKAGE)))
    allowed = ALLOWED[name] | ({name} if path.parent != PACKAGE else set())
    if "worker" in allowed:
        allowed |= {"worker.client", "worker.protocol"}
    assert not targets - allowed, f"{path.relative_to(REPOSITORY)} may not import {sorted(targets - allowed)}"


@pytest.mark.parametrize("path", modules(PACKAGE), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_and_host_packages_are_imported_at_one_place_only(path: Path):
    top_level = {name.split(".")[0] for name in imported_names(path.read_text("utf-8"), package_of(path, PACKAGE))}
    wrong = {third for third, places in ONLY_IN.items() if third in top_level and group(path) not in places}
    assert not wrong, f"{path.relative_to(REPOSITORY)} may not import {sorted(wrong)}"


@pytest.mark.parametrize("path", modules(PACKAGE) + modules(TRAINING), ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_traces_are_filtered_resampled_and_normalised_in_one_place_only(path: Path):
    ours = path.is_relative_to(PACKAGE)
    if ours and group(path) in PREPROCESSING:
        return
    found = signal_processing_in(path.read_text("utf-8")) - (EXCEPTIONS.get(group(path), set()) if ours else set())
    assert not found, f"{path.relative_to(REPOSITORY)}: {sorted(found)} belong in the preprocessing modules"


def test_training_is_imported_by_nobody_and_touches_neither_host_nor_command_line():
    for path in modules(TRAINING):
        targets = set(our_targets(path.read_text("utf-8"), package_of(path, TRAINING)))
        assert not targets & {"cli", "worker", "seiscomp_app"}, path.name


@pytest.mark.parametrize(
    ("source", "package", "target"),
    [
        ("from .locate import locate", ("seiscomp_dlloc",), "locate"),
        ("from . import units", ("seiscomp_dlloc",), "units"),
        ("from ..model import load", ("seiscomp_dlloc", "cli"), "model"),
        ("from .. import __version__", ("seiscomp_dlloc", "cli"), "version"),
        ("def f():\n    import seiscomp_dlloc.cli.main", ("seiscomp_dlloc",), "cli"),
    ],
)
def test_the_reader_of_imports_resolves_every_spelling(source: str, package: tuple[str, ...], target: str):
    assert list(our_targets(source, package)) == [target]


@pytest.mark.parametrize(
    "source",
    [
        "from scipy import signal\nsignal.butter(4, 1)",
        "from scipy.signal import sosfilt",
        "from scipy.signal import detrend",
        "stream.filter('bandpass', freqmin=2, freqmax=8)",
        "trace.resample(20.0)",
        "from obspy.signal.filter import bandpass",
    ],
)
def test_the_reader_of_signal_processing_finds_it(source: str):
    assert signal_processing_in(source)


def test_importing_the_package_loads_nothing_heavy():
    code = "import sys, seiscomp_dlloc; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not set(done.stdout.split()) & {"numpy", "obspy", "onnxruntime", "scipy", "matplotlib", "lxml", "jsonschema"}


def test_help_answers_without_loading_the_model_runtime():
    code = (
        "import sys\nfrom seiscomp_dlloc.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "print(*sorted({name.split('.')[0] for name in sys.modules}), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not set(done.stderr.split()) & {"numpy", "obspy", "onnxruntime", "matplotlib"}
