"""Certificates and authorities that are renewed while everything runs."""

import os
import pathlib
import shutil
import subprocess

from cluster import eventually, metric


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, capture_output=True)


class Authority:
    """A CA in a folder, and certificates for localhost by it."""

    def __init__(self, folder, name):
        self.folder = folder / name
        self.folder.mkdir()
        self.cert, self.key = self.folder / "ca.pem", self.folder / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-days", "2", "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.cert)

    def issue(self, names="subjectAltName=DNS:localhost,IP:127.0.0.1", subject="/CN=broker",
              days=2):
        """(certificate, key) of a new leaf."""
        cert, key, csr, ext = (self.folder / n for n in ("leaf.pem", "leaf.key", "csr", "ext"))
        ext.write_text(names + "\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                "-subj", subject, "-keyout", key, "-out", csr)
        openssl("x509", "-req", "-in", csr, "-CA", self.cert, "-CAkey", self.key, "-days", str(days),
                "-CAcreateserial", "-extfile", ext, "-out", cert)
        return cert, key


class Certificates:
    """The broker's three files."""

    def __init__(self, folder):
        self.folder = folder / "tls"
        self.folder.mkdir()
        self.cert, self.key, self.bundle = (self.folder / n for n in
                                            ("tls.crt", "tls.key", "ca.crt"))

    def put(self, path, text):
        new = path.with_suffix(".new")
        new.write_text(text)
        os.replace(new, path)

    def leaf(self, authority, **options):
        cert, key = authority.issue(**options)
        self.put(self.key, key.read_text())
        self.put(self.cert, cert.read_text())

    def trust(self, *authorities):
        self.put(self.bundle, "".join(a.cert.read_text() for a in authorities))

    def settings(self):
        return {"tls": {"cert-file": str(self.cert), "key-file": str(self.key),
                        "bundle-file": str(self.bundle)}}


async def renewed(env):
    """A stack whose sidecar was started with the first of two authorities."""
    first, second = Authority(env.folder, "first"), Authority(env.folder, "second")
    files = Certificates(env.folder)
    files.leaf(first)
    files.trust(first)
    ca = env.folder / "configured.pem"
    shutil.copy(first.cert, ca)
    stack = await env.stack(sidecars=1, broker=files.settings(),
                            sidecar={"tls": {"ca-file": str(ca)},
                                     "state": {"dir": str(env.folder / "state")}})
    return stack, files, first, second, ca


async def trusts_anew(stack, n):
    async def changed():
        return await metric(stack.sidecars[0], "sqmqos_trust_changes_total") == n
    await eventually(changed, f"the bundle was taken {n} times")


async def test_an_authority_is_renewed_under_a_running_sidecar(env):
    stack, files, first, second, ca = await renewed(env)
    sidecar = stack.sidecars[0]
    assert await metric(sidecar, "sqmqos_trust_changes_total") == 0  # it is what it trusts already
    client = await env.connect(stack.ports[0], "app")
    files.trust(second, first)
    await trusts_anew(stack, 1)
    files.leaf(second)
    await eventually(lambda: "tls.crt read again" in stack.log(stack.broker), "the leaf is new")
    await stack.end(stack.broker)
    await stack.restart(stack.broker)  # each link is dialled anew, to the new leaf
    files.trust(second)
    await trusts_anew(stack, 2)
    await client.publish("a", b"still there", 1)

    # What was configured is two authorities old; what was kept counts.
    await stack.kill(sidecar)
    await stack.restart(sidecar)
    assert await metric(sidecar, "sqmqos_trust_changes_total") == 0


async def test_other_authorities_in_the_configuration_take_the_place_of_a_bundle(env):
    env.check_leftovers = False
    stack, files, first, second, ca = await renewed(env)
    sidecar = stack.sidecars[0]
    third = Authority(env.folder, "third")
    files.trust(second, first)
    await trusts_anew(stack, 1)
    await stack.end(sidecar)
    shutil.copy(third.cert, ca)
    sidecar.start()
    await eventually(lambda: "unable to get local issuer" in stack.log(sidecar),
                     "the broker is not trusted any more")
    files.trust(third)
    files.leaf(third)
    await eventually(lambda: "tls.crt read again" in stack.log(stack.broker), "the leaf is new")
    await stack.linked()
    shutil.copy(first.cert, ca)  # and while it runs
    files.trust(first)
    files.leaf(first)
    await stack.end(stack.broker)
    stack.broker.start()
    await stack.ready()
    await stack.linked()


async def test_a_bundle_that_is_no_use_is_not_taken(env):
    stack, files, first, second, _ = await renewed(env)
    files.put(files.bundle, "no certificate\n")
    await eventually(lambda: "tls.bundle-file" in stack.log(stack.broker), "it is said")
    files.trust(first, second)
    await trusts_anew(stack, 1)
    await stack.kill(stack.sidecars[0])
    kept = env.folder / "state" / "trust.pem"
    kept.write_text(kept.read_text()[:200])
    await stack.restart(stack.sidecars[0])  # the configured ones are enough
    assert "the broker's bundle" not in stack.log(stack.sidecars[0])


async def test_authorities_as_text(env):
    env.check_leftovers = False
    stack = await env.stack(sidecars=1)
    sidecar = stack.sidecars[0]
    await stack.end(sidecar)
    pem = pathlib.Path(sidecar.tree["tls"].pop("ca-file"))
    sidecar.tree["tls"]["ca"] = pem.read_text()
    sidecar.write_config()
    await stack.restart(sidecar)


async def test_a_name_in_the_subject_alone_is_refused(env):
    """RFC 9525 §2: CN is no name, also where there is no other; subjectAltName is."""
    env.check_leftovers = False
    stack, files, first, _, _ = await renewed(env)
    sidecar = stack.sidecars[0]
    await stack.end(sidecar)
    await stack.end(stack.broker)
    sidecar.tree["tls"]["server-name"] = "localhost"
    files.leaf(first, names="basicConstraints=CA:FALSE", subject="/CN=localhost")
    stack.broker.start()
    sidecar.start()
    await eventually(lambda: "certificate: hostname mismatch" in stack.log(sidecar),
                     "the sidecar does not take the name")
    assert await metric(sidecar, "sqmqos_links") == 0
    files.leaf(first)
    await eventually(lambda: "tls.crt read again" in stack.log(stack.broker), "the leaf is new")
    await stack.linked()


async def test_a_pair_that_does_not_match_yet_is_waited_out(env):
    """Certificate and key are replaced one after the other: until both are there the old pair
    serves, and nobody ends."""
    stack, files, first, _, _ = await renewed(env)
    end = 'sqmqos_certificate_seconds{certificate="link"}'
    for half in ("first", "last"):
        end_s = await metric(stack.sidecars[0],
                             f'sqmqos_certificate_seconds{{certificate="authority-{half}"}}')
        assert 2 * 86400 - 600 < end_s <= 2 * 86400, (half, end_s)
    assert 2 * 86400 - 600 < await metric(stack.broker, end) <= 2 * 86400
    cert, key = first.issue(days=30)
    files.put(files.cert, cert.read_text())
    log = stack.log(stack.broker)
    await eventually(lambda: "not the key of the certificate" in stack.log(stack.broker)[len(log):],
                     "what lasts is said", 60)
    assert await metric(stack.broker, end) <= 2 * 86400, "the old one"
    await stack.kill(stack.sidecars[0])
    await stack.restart(stack.sidecars[0])  # it is served with the old pair
    files.put(files.key, key.read_text())

    async def taken():
        return await metric(stack.broker, end) > 29 * 86400
    await eventually(taken, "the new pair is in use")
    assert stack.log(stack.broker).count("not the key of the certificate") == 1
    client = await env.connect(stack.ports[0], "app")
    await client.publish("a", b"served", 1)
