"""Packaging of the plugin; tools are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
_INIT = (ROOT / "seiscomp_dlloc" / "__init__.py").read_text(encoding="utf-8")
_VERSION = re.search(r'^__version__ = "([^"]+)"$', _INIT, re.MULTILINE)
if _VERSION is None:
    raise RuntimeError("seiscomp_dlloc/__init__.py: no __version__")

# onnxruntime-gpu holds the CPU provider too, but has wheels for these two platforms only.
_GPU_WHEELS = (
    "(sys_platform == 'linux' and platform_machine == 'x86_64') or "
    "(sys_platform == 'win32' and platform_machine == 'AMD64')"
)
_NO_GPU_WHEELS = (
    "(sys_platform != 'linux' or platform_machine != 'x86_64') and "
    "(sys_platform != 'win32' or platform_machine != 'AMD64')"
)

setup(
    name="seiscomp_dlloc",
    version=_VERSION.group(1),
    description="Deep-learning earthquake locator for SeisComP and ObsPy",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    packages=find_packages(include=["seiscomp_dlloc", "seiscomp_dlloc.*"]),
    package_data={"seiscomp_dlloc.models": ["*.onnx"], "seiscomp_dlloc.data": ["*", "*/*"]},
    # What 'dlloc install' puts into a SeisComP beside the package's own modules
    data_files=[
        ("share/seiscomp_dlloc/descriptions", ["descriptions/dlloc.rst", "descriptions/dlloc.xml"]),
        ("share/seiscomp_dlloc/etc/defaults", ["etc/defaults/dlloc.cfg"]),
        ("share/seiscomp_dlloc/etc/init", ["etc/init/dlloc.py"]),
    ],
    python_requires=">=3.11",
    install_requires=[
        "obspy>=1.5",
        "numpy>=1.26",
        "scipy>=1.11",
        "matplotlib>=3.8",
        "lxml>=5",
        "jsonschema>=4.18",
        "tqdm>=4.66",
        f"onnxruntime-gpu>=1.22; {_GPU_WHEELS}",
        f"onnxruntime>=1.22; {_NO_GPU_WHEELS}",
    ],
    extras_require={
        # CUDA and cuDNN as wheels, at the versions that this onnxruntime-gpu was built for
        "gpu": [f"onnxruntime-gpu[cuda,cudnn]>=1.22; {_GPU_WHEELS}"],
        # 'dlloc scan' with several workers
        "scan": ["dask[distributed]>=2024.8"],
        "test": ["pytest>=8", "onnx>=1.16"],
    },
    entry_points={"console_scripts": ["dlloc = seiscomp_dlloc.cli.main:main"]},
)
