"""What runs under the host's interpreter, or must start fast: Python 3.8 and the standard library alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from seiscomp_dlloc.install.light import PACKAGE, light_files

LIGHT = sorted([*light_files(), PACKAGE / "locext.py"])
HEAVY = ("numpy", "scipy", "obspy", "lxml", "onnxruntime", "matplotlib", "jsonschema", "tqdm")
BLOCK = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked}:
            raise ImportError(name + " is not there")
sys.meta_path.insert(0, Blocker())
import {module}
"""


def name_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def needs_host(path: Path) -> bool:
    """Whether a module of the host stands among the imports at its top."""
    body = ast.parse(path.read_text("utf-8")).body
    names = [alias.name for node in body if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in body if isinstance(node, ast.ImportFrom) and not node.level]
    return any(name.split(".")[0] == "seiscomp" for name in names)


@pytest.mark.parametrize("path", LIGHT, ids=name_of)
def test_the_syntax_is_that_of_python_3_8(path):
    tree = ast.parse(path.read_text("utf-8"), feature_version=(3, 8))
    if any(isinstance(n, ast.ImportFrom) and n.module == "__future__" for n in tree.body):
        return  # annotations are not evaluated
    # Built-in generics and unions of types parse in 3.8 and fail when they are evaluated
    annotations = [
        part
        for node in ast.walk(tree)
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if part is not None
    ]
    for annotation in annotations:
        for node in ast.walk(annotation):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
                assert node.value.id not in {"list", "dict", "tuple", "set", "type", "frozenset"}, node.lineno
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)), node.lineno


@pytest.mark.parametrize("path", [p for p in LIGHT if not needs_host(p)], ids=name_of)
def test_the_import_needs_nothing_but_the_standard_library(path):
    text = BLOCK.format(blocked=set(HEAVY), module=name_of(path))
    done = subprocess.run([sys.executable, "-c", text], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=60)
    if "No module named 'seiscomp'" in done.stderr:
        pytest.skip("imports a module that needs the host")
    assert done.returncode == 0, done.stderr
