"""Builds the compiled modules from their sources, with mypyc and a C compiler, in the folder where they are looked for.

It is done in a folder of its own with a copy of the sources, so that a build that fails leaves nothing behind, and the
one before it in force.
"""

from __future__ import annotations

import ast
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from concurrent.futures import ThreadPoolExecutor
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiled.modules import GROUP, MODULES, PACKAGES
from compiled.stamp import BUILT, ROOT, Stamp, abi, digest

if TYPE_CHECKING:
    from collections.abc import Iterable

_FLAGS = ("-O3", "-g0", "-fPIC", "-fwrapv", "-DNDEBUG", "-pthread", "-fvisibility=hidden", "-w")
_MYPY = """[mypy]
python_version = {version}
ignore_missing_imports = true
follow_untyped_imports = false
"""


class BuildError(Exception):
    """Nothing was built; says what to do about it."""


class UnequippedError(BuildError):
    """There is nothing here to build with."""


def build(folder: Path = BUILT) -> None:
    """Build all modules. Raises BuildError."""
    compiler = _compiler()
    _demand_mypyc()
    with tempfile.TemporaryDirectory(prefix="pointsman-") as name:
        place = Path(name)
        for package in PACKAGES:
            shutil.copytree(ROOT / package, place / package, ignore=_all_but_sources)
        sources = {path: digest(place / path) for path in sorted(_read_from(place))}
        made = place / "built"
        made.mkdir()
        for extension in _translate(place):
            _compile(compiler, place, extension, made)
        files = {path.name: digest(path) for path in made.iterdir()}
        Stamp(abi(), sources, files).write(made)
        _put(made, folder)


def path_of(module: str) -> str:
    """Return the path of a module's source, below the folder that the packages are in."""
    return module.replace(".", "/") + ".py"


def _compiler() -> list[str]:
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if not compiler or shutil.which(compiler[0]) is None:
        raise UnequippedError("there is no C compiler: install gcc (apt-get install gcc), or name another one by CC")
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if not header.exists():
        raise UnequippedError(
            f"Python's headers are missing ({header}): install python3-dev (apt-get install python3-dev)"
        )
    return compiler


def _demand_mypyc() -> None:
    try:
        import mypyc.build  # noqa: F401
    except ImportError as error:
        raise UnequippedError(f"mypyc cannot be had ({error}): pip install 'pointsman[compiled]'") from None


def _all_but_sources(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if name in ("__pycache__", "built") or not (name.endswith(".py") or "." not in name)}


def _read_from(place: Path) -> Iterable[str]:
    """Return the paths of all that is built, and of all of ours that it imports: types and constants are theirs."""
    found = set()
    for module in MODULES:
        path = path_of(module)
        found.add(path)
        for node in ast.walk(ast.parse((place / path).read_bytes())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            found.update(path for path in map(path_of, names) if (place / path).is_file())
    return found


def _translate(place: Path) -> list[Any]:
    """Have mypyc write C, in a process of its own: it looks for sources where it is started, and ends it on errors."""
    (place / "mypy.ini").write_text(_MYPY.format(version=".".join(map(str, sys.version_info[:2]))))
    program = (
        "import json, sys; from mypyc.build import mypycify\n"
        "made = mypycify(['--config-file', 'mypy.ini', '--cache-dir', 'cache', *json.loads(sys.argv[1])],"
        f" group_name={GROUP!r}, multi_file=True, target_dir='c', opt_level='3', debug_level='0')\n"
        "told = [[one.name, one.sources, one.include_dirs] for one in made]\n"
        "open('extensions.json', 'w').write(json.dumps(told))\n"
    )
    paths = json.dumps([path_of(module) for module in MODULES])
    ran = subprocess.run(
        [sys.executable, "-P", "-c", program, paths], cwd=place, capture_output=True, text=True, check=False,
        env={name: value for name, value in os.environ.items() if not name.startswith(("MYPY", "PYTHON"))},
    )  # fmt: skip
    if ran.returncode:
        raise BuildError(f"mypyc does not take the sources:\n{ran.stdout}{ran.stderr}".rstrip())
    extensions: list[Any] = json.loads((place / "extensions.json").read_text())
    return extensions


def _compile(compiler: list[str], place: Path, extension: Any, made: Path) -> None:
    name, sources, folders = extension
    include = [f"-I{folder}" for folder in (sysconfig.get_path("include"), *folders)]

    def compiled(source: str) -> str:
        target = f"{source}.o"
        if Path(source).is_absolute():
            target = f"c/{Path(source).name}.o"
        _run([*compiler, *_FLAGS, *include, "-c", source, "-o", target], place)
        return target

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        objects = list(pool.map(compiled, sources))
    _run([*compiler, *_FLAGS, "-shared", *objects, "-o", str(made / f"{name}{EXTENSION_SUFFIXES[0]}")], place)


def _run(command: list[str], place: Path) -> None:
    ran = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BuildError(f"{shlex.join(command)}\n{ran.stdout}{ran.stderr}".rstrip())


def _put(made: Path, folder: Path) -> None:
    """Put what was built where it belongs; processes that run keep what they have loaded."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = folder.with_name(f"{folder.name}.new"), folder.with_name(f"{folder.name}.old")
    for leftover in (new, old):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(made, new)
    if folder.exists():
        folder.rename(old)
    new.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
