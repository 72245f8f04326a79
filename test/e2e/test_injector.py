"""The injector as a server: what the API server asks, what others try, and what changes
while it runs. Its certificates are files here; the cluster's tests have the rest."""

import asyncio
import json
import signal
import socket
import ssl

import stack as parts
from cluster import eventually, metrics
from injector import (SERVICE, SETTINGS, Injector, deployment, make_pair, patch_of, pod, replace,
                      review)
from scenario import scenario


async def test_pod_gets_its_sidecar_by_a_patch(env):
    injector = await Injector(env).start()
    response = await injector.ask("/mutate?timeout=5s", review(pod()))
    assert response["allowed"] and "warnings" not in response, response
    patch = patch_of(response)
    added = [op for op in patch if op["path"].startswith("/spec/initContainers")]
    text = json.dumps(added)
    assert "sqmqos-sidecar" in text, patch
    assert (injector.folder / "ca.pem").read_text().strip() in text.replace("\\n", "\n"), \
        "what sidecars trust is in their environment"
    with injector.connect() as sock:
        assert (sock.version(), sock.selected_alpn_protocol()) == ("TLSv1.3", "http/1.1")
        for _ in range(3):  # a connection is used again
            again = await injector.ask("/mutate", review(pod()), sock)
            assert patch_of(again) == patch
    seen = await metrics(injector.program)
    assert seen['sqmqos_injector_requests_total{webhook="mutate",outcome="patched"}'] == 4
    assert seen["sqmqos_injector_request_seconds_count"] == 4
    assert 29 * 86400 < seen['sqmqos_injector_certificate_seconds{certificate="webhook"}'] \
        <= 30 * 86400


async def test_bad_pod_is_denied_with_all_reasons_in_one_message(env):
    injector = await Injector(env).start()
    bad = pod({"sqmqos.io/subscribe": "- {filter: a, qos: 7}\n- {filtre: b}\n",
               "sqmqos.io/port": "http"})
    response = await injector.ask("/mutate", review(bad))
    assert not response["allowed"] and "patch" not in response
    assert response["status"]["code"] == 403
    message = response["status"]["message"]
    for part in ("sqmqos.io/subscribe", "line 1", "line 2", "sqmqos.io/port"):
        assert part in message, message
    response = await injector.ask("/mutate", review(pod({"sqmqos.io/subscibe": "a"})))
    assert response["allowed"]
    assert any("sqmqos.io/subscribe" in w for w in response["warnings"]), response
    log = injector.log(injector.program)
    assert "Pod shop/app-: denied" in log


async def test_workloads_and_edits_are_checked(env):
    injector = await Injector(env).start()
    good, bad = {"sqmqos.io/subscribe": "a/#"}, {"sqmqos.io/subscribe": "a/#/b"}
    for path in ("/validate/asked", "/validate"):
        response = await injector.ask(path, review(deployment(bad)))
        assert not response["allowed"] and "sqmqos.io/subscribe" in response["status"]["message"]
    assert (await injector.ask("/validate/asked", review(deployment(good))))["allowed"]
    # Where nobody asked, nobody is stopped: neither by what is malformed nor by what we can't do.
    response = await injector.ask("/validate/unasked", review(deployment(good)))
    assert response["allowed"] and len(response["warnings"]) == 1, response
    for path in ("/validate/unasked", "/validate"):
        response = await injector.ask(path, review(deployment(hostNetwork=True)))
        assert response == {"uid": response["uid"], "allowed": True}
    assert not (await injector.ask("/validate/asked",
                                   review(deployment(hostNetwork=True))))["allowed"]
    # A template that is as it was does not hold up its workload.
    was, scaled = deployment(bad), deployment(bad)
    scaled["spec"]["replicas"] = 7
    assert (await injector.ask("/validate/asked", review(scaled, "UPDATE", was)))["allowed"]
    assert not (await injector.ask("/validate/asked",
                                   review(was, "UPDATE", deployment(good))))["allowed"]
    # kubectl annotate of a running pod.
    response = await injector.ask("/validate", review(pod(bad), "UPDATE", pod(good)))
    assert not response["allowed"] and "sqmqos.io/subscribe" in response["status"]["message"]
    assert (await injector.ask("/validate", review(pod(good), "UPDATE", pod({}))))["allowed"]


async def test_what_no_api_server_sends_is_refused(env):
    injector = await Injector(env).start()
    body = json.dumps(review(pod())).encode()
    js = {"content-type": "application/json"}
    deep = body.replace(b'"app-"', b'"x","y":' + b"[" * 99 + b"]" * 99)
    cases = [
        ("POST", "/mutate", b"{", js, 400), ("POST", "/mutate", b"", js, 400),
        ("POST", "/mutate", b"{}", js, 400), ("POST", "/validate", deep, js, 400),
        ("POST", "/mutate", body.replace(b"io/v1", b"io/v1beta1", 1), js, 400),
        ("POST", "/mutate", body[:-1], js, 400),
        ("POST", "/Mutate", body, js, 404), ("POST", "/mutate/", body, js, 404),
        ("POST", "/", body, js, 404), ("GET", "/mutate", b"", js, 405),
        ("PUT", "/validate", body, js, 405),
        ("POST", "/mutate", body, {"content-type": "text/plain"}, 415),
        ("POST", "/mutate", body, {"content-type": "application/jsonx"}, 415),
        ("POST", "/mutate", body, {}, 415),
        ("POST", "/mutate", b" " * (8 << 20) + body, js, 413),
        ("POST", "/mutate", body, {"content-type": "Application/JSON; charset=utf-8"}, 200),
        ("POST", "/mutate", b" " * ((8 << 20) - len(body)) + body, js, 200),
    ]
    for method, path, content, headers, expected in cases:
        status, answered, text = await asyncio.to_thread(
            injector.request, method, path, content, headers)
        case = (method, path, content[:40], headers, status, text)
        assert status == expected, case
        if expected != 200:
            problem = json.loads(text)
            assert answered["content-type"] == "application/problem+json", case
            assert (problem["status"], bool(problem["detail"])) == (expected, True), case
        if expected == 405:
            assert answered["allow"] == "POST", case
    assert await injector.ready()


async def test_only_tls_1_3_with_http_1_1_comes_in(env):
    injector = await Injector(env).start()
    with injector.connect(alpn=()) as sock:
        assert sock.version() == "TLSv1.3"
    for spoil in ("h2", "1.2", "name"):
        context = injector.context(("h2",) if spoil == "h2" else ("http/1.1",))
        if spoil == "1.2":
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection(("127.0.0.1", injector.port)) as raw:
            try:
                context.wrap_socket(raw, server_hostname="other" if spoil == "name" else SERVICE)
                raise AssertionError(f"{spoil} came in")
            except ssl.SSLError:
                pass
    with socket.create_connection(("127.0.0.1", injector.port), timeout=20) as raw:
        raw.sendall(b"GET /mutate HTTP/1.1\r\n\r\n")
        assert b"HTTP/1.1 200" not in raw.recv(1000)


async def until_closed(sock, drip):
    """Sends 'drip' every 0.2 s until the other side has closed."""
    sock.setblocking(False)
    while True:
        try:
            if sock.recv(1000) == b"":
                return
        except (ssl.SSLWantReadError, BlockingIOError):
            pass
        except OSError:
            return
        try:
            sock.send(drip)
        except (ssl.SSLWantWriteError, BlockingIOError):
            pass
        except OSError:
            return
        await asyncio.sleep(0.2)


async def test_slow_requests_end_and_others_go_on(env):
    injector = await Injector(env).start()
    head, body, silent = injector.connect(), injector.connect(), injector.connect()
    head.sendall(b"POST /mutate HTTP/1.1\r\nhost: x\r\n")
    body.sendall(b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                 b"content-length: 100000\r\n\r\n")
    slow = [env.spawn(until_closed(s, d)) for s, d in ((head, b"x: y\r\n"), (body, b" "),
                                                       (silent, b""))]
    while not all(t.done() for t in slow):
        assert (await injector.ask("/mutate", review(pod())))["allowed"]
        await asyncio.wait(slow, timeout=0.5)
    seen = await metrics(injector.program)
    assert seen['sqmqos_injector_connections_ended_total{reason="slow"}'] == 3
    for s in (head, body, silent):
        s.close()


async def test_connections_and_their_memory_are_bounded(env):
    injector = await Injector(env, listen={"max-connections": 8, "max-waiting": "16Mi"}).start()
    head = (b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
            b"content-length: 8388608\r\n\r\n")
    large = [injector.connect() for _ in range(4)]

    def fill(sock):
        try:
            sock.sendall(head + b" " * 7000000)
        except OSError:
            pass
    await asyncio.gather(*[asyncio.to_thread(fill, s) for s in large])
    ended = 'sqmqos_injector_connections_ended_total{reason="%s"}'

    async def bounded():
        return (await metrics(injector.program))[ended % "memory"] >= 2
    await eventually(bounded, "two of four have to go")
    for s in large:
        s.close()

    async def empty():
        return (await metrics(injector.program))["sqmqos_injector_connections"] == 0
    await eventually(empty, "they are gone")
    # Whoever holds connections shuts nobody out: for a ninth the idlest goes.
    kept = [injector.connect() for _ in range(8)]
    for s in kept[1:]:
        assert (await injector.ask("/mutate", review(pod()), s))["allowed"]
    kept.append(injector.connect())
    assert (await injector.ask("/mutate", review(pod()), kept[8]))["allowed"]
    assert await asyncio.to_thread(kept[0].recv, 1) == b"", "the one that never asked"
    assert (await metrics(injector.program))[ended % "limit"] == 1
    for s in kept[1:]:
        assert (await injector.ask("/mutate", review(pod()), s))["allowed"]
        s.close()


def serial(sock):
    return sock.getpeercert()["serialNumber"]


async def test_new_certificates_are_taken_up_once_they_fit(env):
    injector = await Injector(env).start()
    old = injector.connect()
    cert, key = make_pair(injector.folder, "second")
    replace(injector.folder / "tls.crt", cert)
    await eventually(lambda: "not the key of the certificate" in injector.log(injector.program),
                     "a pair that does not fit is seen")
    with injector.connect() as sock:
        assert serial(sock) == serial(old)
    assert await injector.ready(), "the last good pair serves"
    replace(injector.folder / "tls.key", key)

    def changed():
        with injector.connect() as sock:
            return serial(sock) != serial(old)
    await eventually(changed, "new connections get the new certificate")
    assert (await injector.ask("/mutate", review(pod()), old))["allowed"], "old ones stay"
    old.close()


async def test_settings_are_read_again(env):
    injector = await Injector(env).start()

    async def patched():
        return json.dumps(patch_of(await injector.ask("/mutate", review(pod()))))
    assert "sqmqos/sidecar:0.1.0" in await patched()
    injector.write_settings(SETTINGS | {"sidecar": {"image": {"tag": "9.9"}}})

    async def has_new():
        return "sqmqos/sidecar:9.9" in await patched()
    await eventually(has_new, "the new image")
    injector.write_settings(SETTINGS | {"sidecars": {}})

    async def refused():
        return (await metrics(injector.program))["sqmqos_injector_settings_errors_total"] == 1
    await eventually(refused, "a bad file is refused")
    assert await has_new(), "the last good ones stay"
    ready, why = await asyncio.to_thread(injector.program.ready)
    assert ready and "sidecars" in why, why
    injector.write_settings(SETTINGS | {"fullname": "other"})
    await eventually(lambda: "a start is needed" in injector.log(injector.program),
                     "names are of a start")


async def test_sigterm_lets_requests_come_and_finishes_them(env):
    injector = await Injector(env, shutdown={"lame-duck": "2s", "timeout": "10s"}).start()
    body = json.dumps(review(pod())).encode()
    half = injector.connect()
    idle = injector.connect()
    assert (await injector.ask("/mutate", review(pod()), idle))["allowed"]
    half.sendall(b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
                 b"content-length: %d\r\n\r\n" % len(body))
    injector.program.signal(signal.SIGTERM)

    async def ending():
        status, why = await asyncio.to_thread(injector.program.get, "/readyz")
        return status == 503 and "ending" in why
    await eventually(ending, "it says that it ends")
    status, headers, _ = await asyncio.to_thread(injector.request, "POST", "/mutate", body)
    assert (status, headers["connection"]) == (200, "close"), "it still serves, once each"

    def refuses():
        try:
            injector.connect(timeout_s=1).close()
            return False
        except OSError:
            return True
    await eventually(refuses, "nobody comes in any more")
    assert injector.program.running()
    await asyncio.to_thread(half.sendall, body)
    answer = b""
    while chunk := await asyncio.to_thread(half.recv, 65536):
        answer += chunk
    assert answer.startswith(b"HTTP/1.1 200") and b'"patchType"' in answer, answer[:200]
    assert await asyncio.to_thread(injector.program.process.wait, 20) == 0
    half.close()
    idle.close()


MANAGED = {"mode": "managed", "cert-file": None, "key-file": None, "ca-file": None}


async def test_check_config_of_the_injector(env):
    injector = Injector(env)
    assert injector.program.check() == ""
    for changes, line in [
            ({"settings": {"file": "/nowhere"}}, "settings.file: /nowhere: No such file"),
            ({"settings": None}, "settings.file: needed"),
            ({"certificates": {"key-file": None}},
             "certificates.key-file: needed with certificates.mode: files"),
            ({"certificates": {"ca-secret": "x"}},
             "certificates.ca-secret: not taken with certificates.mode: files"),
            ({"certificates": MANAGED}, "no Kubernetes API server"),
            ({"certificates": {"overlap": "48h", "ca-lifetime": "240h"}},
             "certificates.overlap: more than a sixth"),
            ({"certificates": {"broker-names": ["mq.example"]}},
             "certificates.broker-names: not taken with certificates.mode: files"),
            *[({"certificates": MANAGED | {"broker-names": names}}, f"certificates.broker-names: {said}")
              for names, said in [
                  ([f"n{n}.example" for n in range(17)], "more than 16"),
                  (["mq.example", "Mq"], "'Mq' is no DNS name in lower case"),
                  ([".a"], "'.a' is no"), (["a."], "'a.' is no"), (["a..b"], "'a..b' is no"),
                  (["-a"], "'-a' is no"), (["a-.b"], "'a-.b' is no"), (["a.*"], "'a.*' is no"),
                  (["*."], "'*.' is no"), (["1.2.3.4:5"], "'1.2.3.4:5' is no"), (["1.2.3.4"], "'1.2.3.4' is no"),
                  (["a" * 64], f"'{'a' * 64}' is no"), (["a." * 127 + "a"], f"'{('a.' * 32)}' is no")]],
            ({"certificates": MANAGED | {"broker-names": ["*.mq-1.example", "a" * 63, "a.2"]}},
             "no Kubernetes API server"),
            ({"certificates": {"ca-file": "/nowhere"}}, "certificates.ca-file: /nowhere: No such"),
            ({"listen": {"address": "nonsense"}}, "listen.address: nonsense")]:
        program = parts.Program("injector", "bad", injector.folder,
                                parts.ROOT / "build" / env.settings.build,
                                parts.merge(injector.program.tree, changes))
        said = program.check()
        assert said.startswith(f"sqmqos-injector: {line}"), (changes, said)


@scenario(timeout_s=60)
async def test_replicas_do_not_wait_for_an_api_server(env):
    """Managed, with nobody at the API server's address: it says so, and ends when told."""
    port = parts.free_port()
    injector = Injector(env, certificates={"mode": "managed", "cert-file": None, "key-file": None,
                                           "ca-file": None},
                        kubernetes={"server": f"https://127.0.0.1:{port}",
                                    "token-file": str(env.folder / "token"),
                                    "ca-file": str(env.folder / "injector-0" / "ca.pem")})
    (env.folder / "token").write_text("token")
    injector.program.start()

    async def says():
        status, why = await asyncio.to_thread(injector.program.get, "/readyz")
        return status == 503 and "authority:" in why and str(port) in why
    await eventually(says, "what is missing")
    assert (await asyncio.to_thread(injector.program.get, "/livez"))[0] == 200
    assert await asyncio.to_thread(injector.program.stop) == 0
