"""An authority of client certificates, by openssl: issues, revokes, writes its CRL."""

import pathlib
import ssl
import subprocess
import time

CONFIG = """
[ca]
default_ca = own
[own]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
crlnumber = {folder}/crlnumber
certificate = {folder}/ca.pem
private_key = {folder}/ca.key
default_md = sha256
default_days = 1
default_crl_days = 1
unique_subject = no
policy = any
copy_extensions = copy
[any]
commonName = optional
"""


def openssl(*args):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def when(seconds):
    """A time so long from now, as openssl ca has it."""
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(time.time() + seconds))


class ClientCa:
    """A root, or what 'parent' has signed."""

    def __init__(self, folder, parent=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.pem = self.folder / "ca.pem"
        self.crl = self.folder / "crl.pem"
        (self.folder / "index.txt").write_text("")
        (self.folder / "crlnumber").write_text("01\n")
        self.config = self.folder / "openssl.cnf"
        self.config.write_text(CONFIG.format(folder=self.folder))
        request = self.folder / "ca.csr"
        openssl("req", *([] if parent else ["-x509", "-days", "2"]), "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={self.folder.name}", "-keyout",
                self.folder / "ca.key", "-out", request if parent else self.pem,
                "-addext", "keyUsage=critical,keyCertSign,cRLSign",
                *(["-addext", "basicConstraints=critical,CA:TRUE"] if parent else []))
        if parent:
            parent.ca("-in", request, "-out", self.pem)

    def ca(self, *args):
        openssl("ca", "-config", self.config, "-batch", "-notext", *args)

    def issue(self, name, *names, begins_s=-3600, life_s=3600, usage="clientAuth"):
        """The files of a certificate with these subjectAltNames ("URI:…") and its key."""
        cert, key, request = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr"))
        more = ["-addext", f"subjectAltName={','.join(names)}"] if names else []
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                "-subj", f"/CN={name}", "-keyout", key, "-out", request,
                "-addext", f"extendedKeyUsage={usage}", *more)
        self.ca("-in", request, "-out", cert, "-startdate", when(begins_s), "-enddate", when(life_s))
        return cert, key

    def revoke(self, *certs):
        for cert in certs:
            self.ca("-revoke", cert)
        return self.write_crl()

    def write_crl(self, life_s=86400):
        """In place, as a careless cron job does."""
        self.ca("-gencrl", "-crlsec", life_s, "-out", self.crl)
        return self.crl


def context(broker_ca, pair=None):
    """Of a client by h2 that trusts the broker's authority and shows its pair."""
    made = ssl.create_default_context(cafile=broker_ca)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    made.set_alpn_protocols(["h2"])
    if pair is not None:
        made.load_cert_chain(*pair)
    return made
