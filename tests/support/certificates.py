"""Certificates made for a test by the command `openssl`: good ones of an authority of our own, and bad ones of every kind."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificates")


class Authority:
    """An authority in a folder; `variables` make a process trust it, and nobody else."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0
        self.variables = {"SSL_CERT_FILE": str(folder / "trusted.pem")}
        if shutil.which("openssl") is not None:
            self._authority("trusted")
            self._authority("stranger")

    def _authority(self, name: str) -> None:
        self._openssl(
            "req", "-x509", *_fresh_key(self._folder / f"{name}.key"), "-days", "30", "-subj", f"/CN={name}",
            "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign",
            "-out", f"{name}.pem",
        )  # fmt: skip

    def issue(
        self,
        *,
        names: Sequence[str] = ("localhost",),
        days: tuple[int, int] = (-1, 30),
        trusted: bool = True,
        self_signed: bool = False,
    ) -> tuple[Path, Path]:
        """The files of a certificate and its key; `days` from today it begins and ends."""
        self._count += 1
        name = f"server{self._count}"
        key, request, made = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        extensions = self._folder / f"{name}.ext"
        alternatives = ",".join(f"DNS:{each}" for each in names)
        extensions.write_text(f"subjectAltName={alternatives}\nextendedKeyUsage=serverAuth\n")
        self._openssl("req", "-new", *_fresh_key(key), "-subj", f"/CN={names[0]}", "-out", request.name)
        signer = name if self_signed else "trusted" if trusted else "stranger"
        if self_signed:
            self._openssl(
                "x509",
                "-req",
                "-in",
                request.name,
                "-signkey",
                key.name,
                "-days",
                "30",
                "-extfile",
                extensions.name,
                "-out",
                made.name,
            )
            return made, key
        self._sign(signer, request, extensions, made, days)
        return made, key

    def _sign(self, signer: str, request: Path, extensions: Path, made: Path, days: tuple[int, int]) -> None:
        # `openssl ca` is the one that takes both dates.
        place = self._folder / f"{made.stem}.ca"
        place.mkdir()
        (place / "index.txt").touch()
        (place / "serial").write_text(f"{self._count:04X}\n")
        config = place / "ca.cnf"
        config.write_text(
            f"[ca]\ndefault_ca=own\n[own]\ndatabase={place}/index.txt\nserial={place}/serial\nnew_certs_dir={place}\n"
            f"certificate={self._folder}/{signer}.pem\nprivate_key={self._folder}/{signer}.key\ndefault_md=sha256\npolicy=any\n"
            "[any]\ncommonName=supplied\n"
        )
        begin, end = (f"{datetime.now(UTC) + timedelta(days=each):%Y%m%d%H%M%SZ}" for each in days)
        self._openssl(
            "ca", "-batch", "-config", str(config), "-in", request.name, "-out", made.name, "-notext",
            "-startdate", begin, "-enddate", end, "-extfile", extensions.name,
        )  # fmt: skip

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self._folder, env=dict(os.environ), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


def _fresh_key(path: Path) -> list[str]:
    return ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", path.name]
