"""Certificates for the TLS scenarios, made by openssl into a folder that goes with the run."""

import os
import ssl
import subprocess

NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
# What is wrong with each, in the words of scenarios; openssl's arguments in the order authority, names, validity.
KINDS = {
    "good": ("ours", "IP:127.0.0.1,DNS:localhost", ("-days", "2")),
    "expired": ("ours", "IP:127.0.0.1,DNS:localhost", ("-days", "-1")),
    "wrong-host": ("ours", "DNS:other.conduct.test", ("-days", "2")),
    "unknown-authority": ("theirs", "IP:127.0.0.1,DNS:localhost", ("-days", "2")),
}


class Certificates:
    def __init__(self, folder):
        self.folder = folder
        for name in ("ours", "theirs"):
            self.openssl("req", "-x509", *NEW_KEY, "-days", "2", "-subj", f"/CN={name}", "-keyout", self.path(name + ".key"), "-out", self.path(name + ".crt"))
        for kind, (authority, names, validity) in KINDS.items():
            self.openssl("req", *NEW_KEY, "-subj", "/CN=upstream", "-keyout", self.path(kind + ".key"), "-out", self.path(kind + ".csr"))
            with open(self.path(kind + ".ext"), "w") as file:
                file.write(f"subjectAltName={names}\n")
            self.openssl("x509", "-req", "-in", self.path(kind + ".csr"), "-CA", self.path(authority + ".crt"),
                         "-CAkey", self.path(authority + ".key"), "-CAcreateserial",
                         "-extfile", self.path(kind + ".ext"), *validity, "-out", self.path(kind + ".crt"))
        with open(self.path("ours.crt")) as file:
            self.authority = file.read()

    def path(self, name):
        return os.path.join(self.folder, name)

    @staticmethod
    def openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")

    def server(self, meets):
        """The context of an upstream that shows this certificate; None where it does not get so far."""
        kind = meets.removeprefix("tls:")
        if not meets.startswith("tls:") or kind == "stall":
            return None
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.path(kind + ".crt"), self.path(kind + ".key"))
        return context
