"""Builds t0native._core: csrc/{base,text,nn,t5} as one static pure-C library, csrc/{template,py} as the extension.

Environment: T0NATIVE_BLAS=bundled (default: OpenBLAS from the build-time wheel, carried beside the extension), system
(pkg-config openblas) or none (our own loops); T0NATIVE_SANITIZE names sanitizers ("address,undefined", or 1 for these; "thread"),
which come with the asserts that a release leaves out.
Quick developer loop: python setup.py build_clib build_ext --inplace
"""

import os
import shutil
import subprocess
import sys
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

CORE = ["base", "text", "nn", "t5"]
BINDING = ["template", "py"]
FLAGS = ["-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow", "-fno-math-errno"]
ORIGIN = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"


def find_blas():
    """(macros of the core, link arguments, library file to carry beside the extension or None)."""
    choice = os.environ.get("T0NATIVE_BLAS", "bundled")
    if choice == "none":
        return [], [], None
    if choice == "system":
        link = subprocess.run(["pkg-config", "--libs", "openblas"], check=True, capture_output=True, text=True).stdout
        return [("T0_BLAS_PREFIX", "")], link.split(), None
    if choice != "bundled":
        sys.exit(f"T0NATIVE_BLAS={choice}: must be bundled, system or none")
    import scipy_openblas32

    folder = Path(scipy_openblas32.get_lib_dir())
    library = next(folder.glob(f"lib{scipy_openblas32.get_library()}.*"))
    # In extra_link_args, behind the static core: before it the linker's --as-needed would drop the library.
    return [("T0_BLAS_PREFIX", "scipy_")], [f"-L{folder}", f"-l:{library.name}", f"-Wl,-rpath,{ORIGIN}"], library


def sources(folders):
    return sorted(file for folder in folders for file in glob(f"csrc/{folder}/*.c"))


BLAS_MACROS, BLAS_LINK, BLAS_LIBRARY = find_blas()
HEADERS = sorted(glob("csrc/*/*.h"))
SANITIZERS = os.environ.get("T0NATIVE_SANITIZE", "").replace("1", "address,undefined")
if SANITIZERS:
    FLAGS += [f"-fsanitize={SANITIZERS}", "-fno-omit-frame-pointer", "-g", "-O1"]
    BLAS_LINK += [f"-fsanitize={SANITIZERS}"]
# Asserts: told either way, for Python's own flags, which come before these, may say either.
FLAGS += ["-UNDEBUG" if SANITIZERS else "-DNDEBUG"]


class BuildWithLibrary(build_ext):
    """Carries the OpenBLAS file beside the extension: the wheel it comes from vanishes with the build environment."""

    def build_extension(self, ext):
        import numpy

        ext.include_dirs.append(numpy.get_include())
        super().build_extension(ext)
        self.carry(Path(self.get_ext_fullpath(ext.name)).parent)

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        self.carry(Path("t0native"))

    def get_outputs(self):
        carried = [str(Path(self.build_lib, "t0native", BLAS_LIBRARY.name))] if BLAS_LIBRARY else []
        return super().get_outputs() + carried

    def carry(self, folder):
        if BLAS_LIBRARY and not self.dry_run:
            folder.mkdir(parents=True, exist_ok=True)
            place = folder / BLAS_LIBRARY.name
            place.unlink(missing_ok=True)  # written over, it would change under a process that has it loaded
            shutil.copyfile(BLAS_LIBRARY, place)


setup(
    libraries=[
        ("t0core", {"sources": sources(CORE), "include_dirs": ["csrc"], "macros": BLAS_MACROS, "cflags": FLAGS, "obj_deps": {"": HEADERS}})
    ],
    ext_modules=[
        Extension(
            "t0native._core",
            sources(BINDING),
            include_dirs=["csrc"],
            depends=HEADERS + sources(CORE),  # relinked when the core changes
            extra_compile_args=FLAGS,
            extra_link_args=[*BLAS_LINK, "-lm", "-lpthread"],
        )
    ],
    cmdclass={"build_ext": BuildWithLibrary},
)
