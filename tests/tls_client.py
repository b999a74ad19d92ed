"""tls_client.py - a certificate of our own, and clients that speak TLS to a
server of login.py. For tls.t and prelogin.t; decides nothing."""

import os
import ssl
import subprocess
import sys

sys.dont_write_bytecode = True
import login

TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
TLS.check_hostname = False
TLS.verify_mode = ssl.CERT_NONE


def built_in():
    return "tls" in subprocess.run([login.IMAPD, "--version"], text=True,
                                   capture_output=True).stdout


def make_keys(room):
    """A certificate of our own, in a file of the server's."""
    room.cert = os.path.join(room.base, "cert.pem")
    room.key = os.path.join(room.base, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
         "ec_paramgen_curve:P-256", "-nodes", "-keyout", room.key, "-out",
         room.cert, "-days", "2", "-subj", "/CN=localhost"],
        check=True, capture_output=True)
    os.chmod(room.key, 0o600)
    room.options = ["--tls-cert=" + room.cert, "--tls-key=" + room.key]


def secure(c):
    try:
        c.sock = TLS.wrap_socket(c.sock)
    except (ssl.SSLError, OSError):
        c.__exit__()
        raise


def begin_tls(c):
    if c.cmd(b"s STARTTLS") != [b"s OK Begin TLS negotiation now"]:
        c.__exit__()
        raise login.Failure(c.wrong("no STARTTLS"))
    secure(c)


def starttls(room, options=()):
    c = room.client(options=room.options + list(options))
    c.line()
    begin_tls(c)
    return c


def tls_at_once(room, options=()):
    c = room.client(options=room.options + ["--tls"] + list(options))
    secure(c)
    c.line()
    return c


def hello():
    """The first bytes of a handshake."""
    out = ssl.MemoryBIO()
    try:
        TLS.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def done(c):
    """Reads to the end, through TLS too; what is wrong."""
    while not c.eof:
        c.take_in()
    return c.end()
