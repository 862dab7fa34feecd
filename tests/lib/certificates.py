"""Certificates for tests, made by openssl: an authority, and what it signs."""

import subprocess
from pathlib import Path


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Authority:
    """A certificate authority with a folder of its own. `ca_file` is what its clients trust."""

    def __init__(self, folder, name="stayd test authority"):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file, self._key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", 3650, "-subj", f"/CN={name}", "-keyout", self._key, "-out", self.ca_file)

    def issue(self, name, hosts="IP:127.0.0.1,DNS:localhost", days=365):
        """(certificate file, key file) for `hosts`; `days` below 0: it has expired."""
        cert, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={hosts}\n")
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.ca_file, "-CAkey", self._key,
                "-CAcreateserial", "-days", days, "-extfile", extensions, "-out", cert)
        return cert, key
