"""Certificates for tests, made by the openssl command: an authority and what it signs."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile, which

import pytest

_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Issued:
    """A certificate and its key."""

    cert: Path
    key: Path

    def copy_to(self, other: Issued) -> None:
        """Put these in the place of others, as a renewal does."""
        copyfile(self.cert, other.cert)
        copyfile(self.key, other.key)


class Authority:
    """Signs certificates into one folder; without the openssl command the test is skipped."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        if which("openssl") is None:
            pytest.skip("needs the openssl command to make certificates")
        self._folder = folder
        self.cert = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        _openssl(
            *("req", "-x509", *_KEY, "-days", "2", "-subj", f"/CN={name}"),
            *("-keyout", self._key, "-out", self.cert),
        )

    def issue(
        self,
        name: str,
        names: str = "DNS:localhost,IP:127.0.0.1",
        *,
        expired: bool = False,
        subject: str | None = None,
    ) -> Issued:
        """A certificate of this authority in files of this name."""
        issued = Issued(self._folder / f"{name}.pem", self._folder / f"{name}.key")
        request, extensions = self._folder / f"{name}.csr", self._folder / f"{name}.ext"
        subject = f"/CN={name}" if subject is None else subject
        _openssl("req", *_KEY, "-subj", subject, "-keyout", issued.key, "-out", request)
        extensions.write_text(f"subjectAltName={names}\n" if names else "")
        _openssl(
            *("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self._key),
            *("-CAcreateserial", "-extfile", extensions, "-out", issued.cert),
            *("-days", "-1" if expired else "2"),
        )
        return issued


def _openssl(*arguments: str | Path) -> None:
    finished = subprocess.run(
        ["openssl", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    assert finished.returncode == 0, finished.stderr
