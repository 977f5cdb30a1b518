"""Builds t0native._core: csrc/{base,text,nn,t5} as one static pure-C library, csrc/{template,py} as the extension.

Environment: T0NATIVE_BLAS=bundled (default: OpenBLAS from the build-time wheel, carried beside the extension, its licence beside
ours), system (pkg-config openblas) or none (our own loops); T0NATIVE_SANITIZE names sanitizers ("address,undefined", or 1 for
these; "thread"), which come with the asserts that a release leaves out; T0NATIVE_URL is where the tree can be read, for the links
of the description on an index page (https://HOST/OWNER/t0native/blob/v0.1.1).
Quick developer loop: python setup.py build_clib build_ext --inplace

Nothing that was built before is taken for what would be built now: build/lib* is emptied first, the objects of build/temp*
when they are not of these sources, settings and compiler, by a digest, and the extension is always built anew. Time stamps decide nothing.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
from glob import glob
from importlib import import_module
from importlib.metadata import distribution
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_clib import build_clib
from setuptools.command.build_ext import build_ext

CORE = ["base", "text", "nn", "t5"]
BINDING = ["template", "py"]
FLAGS = ["-std=c11", "-O3", "-fPIC", "-fvisibility=hidden", "-Wall", "-Wextra", "-Wshadow", "-fno-math-errno"]
ORIGIN = "@loader_path" if sys.platform == "darwin" else "$ORIGIN"
PAPER = "https://arxiv.org/abs/2110.08207"
REMEDY = (
    "Debian, Ubuntu: apt-get install gcc libc6-dev python3-dev; Fedora: dnf install gcc python3-devel; "
    "conda: conda install -c conda-forge c-compiler python; another compiler: CC=NAME"
)


# What a build needs, and the one line that says so where it is not here.


def build_package(name):
    """A package that the build needs; it is here under pip, which reads pyproject.toml, and may lack where setup.py is called by hand."""
    try:
        return import_module(name)
    except ImportError as error:
        sys.exit(
            f"t0native: building needs {name} ({error}): pip install 'setuptools>=80' and what else pyproject.toml names in [build-system]"
        )


def find_blas():
    """(macros of the core, link arguments, library file to carry beside the extension or None)."""
    choice = os.environ.get("T0NATIVE_BLAS", "bundled")
    if choice == "none":
        return [], [], None
    if choice == "system":
        return [("T0_BLAS_PREFIX", "")], system_blas(), None
    if choice != "bundled":
        sys.exit(f"t0native: T0NATIVE_BLAS={choice}: must be bundled, system or none")
    openblas = build_package("scipy_openblas32")
    folder = Path(openblas.get_lib_dir())
    library = next(folder.glob(f"lib{openblas.get_library()}.*"))
    # In extra_link_args, behind the static core: before it the linker's --as-needed would drop the library.
    return [("T0_BLAS_PREFIX", "scipy_")], [f"-L{folder}", f"-l:{library.name}", f"-Wl,-rpath,{ORIGIN}"], library


def system_blas():
    try:
        return subprocess.run(["pkg-config", "--libs", "openblas"], check=True, capture_output=True, text=True).stdout.split()
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", "") or str(error)).strip().splitlines()[0]
        sys.exit(
            f"t0native: T0NATIVE_BLAS=system: no OpenBLAS by `pkg-config --libs openblas` ({said}). Debian, Ubuntu: apt-get install "
            "pkg-config libopenblas-dev; Fedora: dnf install pkgconf openblas-devel; or T0NATIVE_BLAS=bundled"
        )


def what_is_missing(command, complaint):
    """The line that says what this machine lacks for a build, or None. command: the compiler's, in words; complaint(source): what it
    says against a text in C, "" where it takes it."""
    if not shutil.which(command[0]):
        return f"t0native: no C compiler: `{command[0]}` is not on the PATH. {REMEDY}"
    said = complaint("#include <pthread.h>\n#include <stdatomic.h>\n#include <stdlib.h>\n")
    if said:
        return f"t0native: `{' '.join(command)}` compiles no C11 program ({first_error(said)}). {REMEDY}"
    said = complaint("#include <Python.h>\n")
    if said:
        here = f"CPython {sys.version_info[0]}.{sys.version_info[1]}'s headers, looked for in {sysconfig.get_path('include')}"
        return f"t0native: no Python.h ({here}: {first_error(said)}). {REMEDY}"
    return None


def first_error(said):
    lines = said.strip().splitlines()
    return next((line for line in lines if "error" in line), lines[0])


def compiler_command():
    """The words by which an object is compiled: those of CC and CFLAGS, or of this Python."""
    from distutils.ccompiler import new_compiler  # setuptools' own
    from distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    customize_compiler(compiler)
    return list(compiler.compiler_so)


def check_tools():
    """Ends the build with one line, before its first command, where a compiler or Python's headers are missing."""
    command = compiler_command()
    folders = {f"-I{sysconfig.get_path(name)}" for name in ("include", "platinclude")}

    def complaint(source):
        options = ["-std=c11", *sorted(folders), "-fsyntax-only", "-x", "c", "-"]
        done = subprocess.run([*command, *options], input=source, capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr or f"exit code {done.returncode}"

    missing = what_is_missing(command, complaint)
    if missing:
        sys.exit(missing)


# The sources and settings of this build, and their digest.


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


def digest_of_the_core():
    """SHA-256 of what its objects come from: the sources, the flags, and the compiler by its command and its own words."""
    command = compiler_command()
    version = subprocess.run([command[0], "--version"], capture_output=True, text=True).stdout
    digest = hashlib.sha256(repr((command, version, FLAGS, BLAS_MACROS)).encode())
    for file in [*sources(CORE), *HEADERS]:
        content = Path(file).read_bytes()
        digest.update(f"{file} {len(content)}\n".encode() + content)
    return digest.hexdigest()


# The commands.


class Build(build):
    """Looks at the tools before anything is copied, and begins with an empty build/lib*: what lay there would go into the wheel."""

    def run(self):
        check_tools()
        if Path(self.build_lib).parent == Path(self.build_base):  # not a folder that somebody named
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()


class BuildCore(build_clib):
    """Compiles the core, and all of it unless its objects are known to be of these sources and settings."""

    def run(self):
        check_tools()
        folder, digest = Path(self.build_temp), digest_of_the_core()
        stamp = folder / "built-from"  # there while what lies in the folder is whole
        if not stamp.exists() or stamp.read_text() != digest:
            for file in [stamp, *folder.rglob("*.o"), *folder.glob("*.a")]:
                file.unlink(missing_ok=True)
        super().run()
        stamp.write_text(digest)


class BuildExtension(build_ext):
    """Compiles and links the extension anew, behind the core; carries the OpenBLAS file beside it, for the wheel it comes from vanishes
    with the build environment."""

    def run(self):
        self.run_command("build_clib")
        self.force = True
        super().run()

    def build_extension(self, ext):
        ext.include_dirs.append(build_package("numpy").get_include())
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


class Wheel(bdist_wheel):
    """Adds the notices of what is bundled to the wheel's licences (OpenBLAS, LAPACK in it, GCC's run-time library)."""

    def egg2dist(self, egginfo_path, distinfo_path):
        super().egg2dist(egginfo_path, distinfo_path)
        if BLAS_LIBRARY:
            add_licence(Path(distinfo_path), "LICENSE-OpenBLAS", blas_notices())


def add_licence(folder, name, text):
    """Writes a licence into a wheel's .dist-info folder, with its line in METADATA behind that of our own."""
    (folder / "licenses" / name).write_text(text, encoding="utf-8")
    metadata = folder / "METADATA"
    own = "License-File: LICENSE\n"
    before, line, after = metadata.read_text(encoding="utf-8").partition(own)
    if not line:
        sys.exit(f"t0native: {metadata} has no line {own.strip()}: setuptools {distribution('setuptools').version} writes it elsewhere")
    metadata.write_text(f"{before}{own}License-File: {name}\n{after}", encoding="utf-8")


def blas_notices():
    """The notices as the package that OpenBLAS comes from carries them; where it carries none, what is known of its licences."""
    package = distribution("scipy-openblas32")
    head = f"{BLAS_LIBRARY.name} in this wheel is that of scipy-openblas32 {package.version}, "
    texts = [file for file in package.files or [] if "license" in file.name.lower() and ".dist-info" in str(file)]
    if texts:
        return f"{head}whose notices follow.\n\n" + "\n\n".join(file.locate().read_text(encoding="utf-8") for file in sorted(texts))
    return (
        f"{head}which carries no notices here. It has OpenBLAS (BSD-3-Clause, https://github.com/OpenMathLib/OpenBLAS/blob/develop/LICENSE),\n"
        "LAPACK (modified BSD, https://www.netlib.org/lapack/LICENSE.txt) and parts of GCC's run-time library\n"
        "(GPL-3.0 with the GCC Runtime Library Exception 3.1, https://www.gnu.org/licenses/gcc-exception-3.1.html).\n"
    )


# What an index page shows.


def description(text, address):
    """README.md as an index page shows it: links to files of the tree lead to `address`, where the tree can be read; a host shows a
    page under .../blob/... (.../src/...), and hands out a picture under .../raw/.... Without an address the text is as it is."""
    if not address:
        return text
    raw = re.sub("/(blob|src)/", "/raw/", address, count=1)

    def absolute(match):
        return f"{match[1]}{raw if match[1].startswith('!') else address}/{match[2]})"

    return re.sub(r"(!?\[[^\]]*\]\()(?!\w+:|#|/)([^)\s]+)\)", absolute, text)


def urls(address):
    return {"Paper": PAPER} | ({"Source": address, "Changelog": f"{address}/CHANGELOG.md"} if address else {})


if __name__ == "__main__":
    URL = os.environ.get("T0NATIVE_URL", "").rstrip("/")
    setup(
        long_description=description(Path("README.md").read_text(encoding="utf-8"), URL),
        long_description_content_type="text/markdown",
        project_urls=urls(URL),
        libraries=[
            (
                "t0core",
                {"sources": sources(CORE), "include_dirs": ["csrc"], "macros": BLAS_MACROS, "cflags": FLAGS, "obj_deps": {"": HEADERS}},
            )
        ],
        ext_modules=[
            Extension(
                "t0native._core",
                sources(BINDING),
                include_dirs=["csrc"],
                extra_compile_args=FLAGS,
                extra_link_args=[*BLAS_LINK, "-lm", "-lpthread"],
            )
        ],
        cmdclass={"build": Build, "build_clib": BuildCore, "build_ext": BuildExtension, "bdist_wheel": Wheel},
    )
