"""Training package of seiscomp_dlloc; it needs the plugin, nothing in the plugin needs it."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "([^"]+)"', (HERE / "dlloc_training" / "__init__.py").read_text(encoding="utf-8"))
if VERSION is None:
    raise RuntimeError("dlloc_training/__init__.py holds no __version__")

setup(
    name="dlloc_training",
    version=VERSION.group(1),
    description="Trains models for seiscomp_dlloc: theoretical seismograms, data sets, networks, export",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["dlloc_training", "dlloc_training.*"]),
    package_data={
        "dlloc_training.experiments": ["*.json"],
        "dlloc_training.experiments.shipped": ["*.toml"],
    },
    install_requires=[
        "seiscomp_dlloc",
        "numpy>=2.0",
        "scipy>=1.15",
        "obspy>=1.4.2",
        "h5py>=3.10",
        "jinja2>=3.1",
        "jsonschema>=4.18",
        "matplotlib>=3.8",
        "torch>=2.4",
        "lightning>=2.4",
        "onnx>=1.16",
        "tqdm>=4.60",
        "threadpoolctl>=3.1",
    ],
    entry_points={"console_scripts": ["dlloc-train = dlloc_training.__main__:main"]},
    # pyprop8 and pygrt-kit (both GPL-3) are only references that tests compare with; nothing here is built on them
    extras_require={
        "scale": ["distributed>=2024.8"],
        "search": ["optuna>=4"],
        "test": ["pytest>=8", "pyprop8>=1.1.5", "pygrt-kit>=0.18", "optuna>=4", "distributed>=2024.8"],
    },
)
