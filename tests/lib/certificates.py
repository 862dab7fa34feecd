"""Certificates for tests, made by openssl: an authority, and what it signs."""

import subprocess
from pathlib import Path

from .processes import free_port


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


class ServerAuthority(Authority):
    """Of redis-servers that know each other by TLS only, and ask their clients for a certificate."""

    HOSTS = "IP:127.0.0.1,DNS:localhost,DNS:*.redis.test"

    def server_settings(self):
        """Of one server; its plain port stays, for the tests."""
        port = free_port()
        cert, key = self.issue(f"server{port}", self.HOSTS)
        return {
            "tls-port": port, "tls-cert-file": cert, "tls-key-file": key,
            "tls-ca-cert-file": self.ca_file, "tls-replication": "yes",
        }

    def stayd_options(self):
        cert, key = self.issue("stayd")
        return {
            "redis.tls_ca_file": self.ca_file,
            "redis.tls_cert_file": cert, "redis.tls_key_file": key,
        }
