"""Builds the kernels where there is a C compiler; without one spanmill runs on its references.

A kernel is a module whose name begins with an underscore: typed Python that Cython compiles.
CFLAGS adds flags (sanitizers, say); SPANMILL_BUILD_ONLY=_decode builds one kernel alone.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from setuptools import Extension, setup

SOURCES = Path("processors")
BUILT_FROM = Path("build/kernels")
HASH_LINE = 'SOURCE_SHA256: str = ""'
# Without contraction: a fused multiply-add rounds once where the references round twice.
FLAGS = ["-O3", "-fno-strict-aliasing", "-ffp-contract=off"]
DIRECTIVES = {
    "language_level": 3,
    "boundscheck": True,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}


def kernels() -> list[Extension]:
    """An extension for each kernel; none where Cython is missing."""
    try:
        from Cython.Build import cythonize
    except ImportError:
        return []
    only = os.environ.get("SPANMILL_BUILD_ONLY", "_[a-z]*")
    extensions = []
    for source in sorted(SOURCES.glob(f"spanmill/**/{only}.py")):
        module = ".".join(source.relative_to(SOURCES).with_suffix("").parts)
        extensions.append(Extension(module, [stamped(source)], extra_compile_args=FLAGS))
    compiled = cythonize(extensions, build_dir="build", compiler_directives=DIRECTIVES, quiet=True)
    for extension in compiled:
        extension.optional = True  # cythonize does not hand it on
    return list(compiled)


def stamped(source: Path) -> str:
    """A copy of a kernel that knows the hash of its source: a stale build is found by it."""
    text = source.read_text()
    if text.count(HASH_LINE) != 1:
        raise SystemExit(f"{source}: a kernel has one line that begins with {HASH_LINE}")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    copy = BUILT_FROM / source.relative_to(SOURCES)
    copy.parent.mkdir(parents=True, exist_ok=True)
    stamped_text = text.replace(HASH_LINE, f'SOURCE_SHA256: str = "{digest}"')
    if not copy.exists() or copy.read_text() != stamped_text:
        copy.write_text(stamped_text)
    return str(copy)


setup(ext_modules=kernels())
