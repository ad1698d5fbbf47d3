"""The machine that a figure was measured on, in words."""

import os
import platform
from pathlib import Path

import torch


def machine() -> str:
    """Processor, cores that this process may use, GPU where there is one, Python."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        lines = []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    gpu = f", {torch.cuda.get_device_name(0)}" if torch.cuda.is_available() else ""
    return f"{name}, {len(os.sched_getaffinity(0))} cores{gpu}, Python {platform.python_version()}"
