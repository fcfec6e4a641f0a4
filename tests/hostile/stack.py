#!/usr/bin/env python3
"""stack.py PROGRAM: an https upstream with a certificate made here, for PROGRAM (stack_test.cc)."""
import http.server
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        body = b'{"choices": [{"index": 0, "message": {"role": "assistant", "content": "hello"}}]}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    with tempfile.TemporaryDirectory(prefix="lb-stack-") as name:
        folder = pathlib.Path(name)
        # RSA: what takes the most of a verifier's stack among the keys in use.
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:3072", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                        "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
                       check=True, capture_output=True, timeout=60)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return subprocess.run([sys.argv[1], f"https://127.0.0.1:{server.server_port}/v1", folder / "cert.pem"],
                              timeout=60, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
