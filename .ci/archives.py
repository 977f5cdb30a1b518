"""Holds what lies in a source archive and in wheels against the files that git tracks:   python .ci/archives.py FOLDER

FOLDER has what `python -m build` made, or wheels alone. A source archive has every tracked file but those that only this tree needs,
and what setuptools adds; a wheel has every tracked file of the package, the compiled core, and with OpenBLAS its notices. Where they
have more or less, this ends with the difference."""

import fnmatch
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_string
from pathlib import Path

OF_THE_TREE = [".gitignore", ".clang-format", ".ci/*", ".github/*"]
ADDED = [
    "PKG-INFO",
    "setup.cfg",
    *(
        f"t0native.egg-info/{name}"
        for name in ("PKG-INFO", "SOURCES.txt", "dependency_links.txt", "entry_points.txt", "requires.txt", "top_level.txt")
    ),
]
INFO = ["METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt", "licenses/LICENSE"]
NOTICES = ["The OpenBLAS Project", "The University of Tennessee", "GCC RUNTIME LIBRARY EXCEPTION", "GNU GENERAL PUBLIC LICENSE"]


def tracked():
    done = subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True, cwd=Path(__file__).parent.parent)
    return done.stdout.splitlines()


def compare(archive, has, expected):
    wrong = [f"has {name}" for name in sorted(has - expected)] + [f"lacks {name}" for name in sorted(expected - has)]
    if wrong:
        sys.exit(f"{archive.name}: " + "; ".join(wrong))
    print(f"{archive.name}: {len(has)} files, as they should be")


def check_sdist(path):
    with tarfile.open(path) as archive:
        has = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    own = {name for name in tracked() if not any(fnmatch.fnmatch(name, pattern) for pattern in OF_THE_TREE)}
    compare(path, has, own | set(ADDED))


def check_wheel(path):
    with zipfile.ZipFile(path) as archive:
        has = {name for name in archive.namelist() if not name.endswith("/")}
        core = [name for name in has if fnmatch.fnmatch(name, "t0native/_core.*.so")]
        blas = [name for name in has if fnmatch.fnmatch(name, "*/lib*openblas*.so*")]
        info = next(name.partition("/")[0] for name in has if name.endswith(".dist-info/METADATA"))
        licences = ["LICENSE", *(["LICENSE-OpenBLAS"] if blas else [])]
        told = message_from_string(archive.read(f"{info}/METADATA").decode()).get_all("License-File")
        if told != licences:
            sys.exit(f"{path.name}: METADATA tells License-File {told}, not {licences}")
        text = archive.read(f"{info}/licenses/LICENSE-OpenBLAS").decode() if blas else ""
        if any(notice not in text for notice in NOTICES) and blas:
            sys.exit(f"{path.name}: LICENSE-OpenBLAS lacks a notice of {NOTICES}")
    if len(core) != 1 or len(blas) > 1:
        sys.exit(f"{path.name}: one compiled core and at most one OpenBLAS, not {sorted(core)} and {sorted(blas)}")
    package = {name for name in tracked() if name.startswith("t0native/") or name == "_t0native_command.py"}
    expected = package | {*core, *blas} | {f"{info}/{name}" for name in INFO} | {f"{info}/licenses/{name}" for name in licences}
    compare(path, has, expected)


for file in sorted(Path(sys.argv[1]).iterdir()):
    if file.name.endswith(".tar.gz"):
        check_sdist(file)
    elif file.suffix == ".whl":
        check_wheel(file)
