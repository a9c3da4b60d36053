"""Certificates of an authority of our own, made by the openssl program for one test."""

import subprocess
from pathlib import Path

from tests.parts.debian import need


class Authority:
    """Signs certificates for names; `days` below 0 makes one that has expired."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.certificate = directory / "ca.pem"
        self._key = directory / "ca.key"
        self._new_key("ca")
        # From Python 3.13 on a certificate has to say what RFC 5280 asks for: what its key is for, and who signed.
        use = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self._openssl("req", "-x509", "-new", "-key", self._key, "-subj", "/CN=Test CA", *use, "-out", self.certificate)

    def sign(self, name: str, days: int = 30) -> tuple[Path, Path]:
        """Return certificate and key for `name`."""
        key, request = self._new_key(name), self.directory / f"{name}.csr"
        certificate, extensions = self.directory / f"{name}.pem", self.directory / f"{name}.ext"
        extensions.write_text(f"subjectAltName=DNS:{name}\nbasicConstraints=CA:FALSE\nauthorityKeyIdentifier=keyid\n")
        self._openssl("req", "-new", "-key", key, "-subj", f"/CN={name}", "-out", request)
        by = ("-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-extfile", extensions)
        self._openssl("x509", "-req", "-in", request, *by, "-days", str(days), "-out", certificate)
        return certificate, key

    def _new_key(self, name: str) -> Path:
        key = self.directory / f"{name}.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        return key

    def _openssl(self, *words: str | Path) -> None:
        subprocess.run([need("openssl", "openssl"), *words], check=True, capture_output=True)
