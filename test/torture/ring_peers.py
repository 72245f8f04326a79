"""What is between the installations of a ring (ring.py): queues of RabbitMQ on three nodes and on one, and of
SQS. What goes wrong with them, each call from its begin to its end; all block."""

import base64
import collections
import concurrent.futures
import random
import threading
import time

import peers
import rabbit
import signed_proxy
import sqs_tools
from elasticmq import ElasticMQ

FULL = 150       # messages at which a queue of RabbitMQ takes no more
HIDDEN_S = 3     # that what was received from SQS, and not deleted, is hidden
KEY = ("AKIATEST", "secret")


def are_there():
    """Raises Skip where something is missing that they need."""
    peers.venv()
    sqs_tools.folder()


class Rabbits:
    """quorum: three nodes; classic: one."""

    def __init__(self, folder):
        for name in ("quorum", "classic"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        self.of = {"quorum": rabbit.Rabbit(folder / "quorum", nodes=3),
                   "classic": rabbit.Rabbit(folder / "classic", conf="queue_index_embed_msgs_below = 4096\n")}
        self.busy = {"quorum": threading.Lock(), "classic": threading.Lock()}
        # A process ends with the thread that started it.
        self.threads = concurrent.futures.ThreadPoolExecutor(len(self.of))

    def start(self, queues, full):
        """queues: names of those that both have, with the type before them; full: whether they are
        soon. What a consumer held whose connection is gone comes before what follows, as there is one at a time."""
        for started in [self.threads.submit(r.start) for r in self.of.values()]:
            started.result()
        limits = {"x-max-length": FULL, "x-overflow": "reject-publish"} if full else {}
        for kind, server in self.of.items():
            channel = server.channel()
            for queue in queues:
                channel.queue_declare(f"{kind}-{queue}", durable=True, arguments=limits | {
                    "x-queue-type": kind, "x-single-active-consumer": True})
            channel.connection.close()

    @property
    def nodes(self):
        return [node for server in self.of.values() for node in server.nodes]

    def do(self, kind, seconds, seed):
        """One fault at a time of each: quorum queues live while one of three nodes is away. Whether
        it was done."""
        rng = random.Random(seed)
        name = "quorum" if kind == "rabbit-kill-all" else rng.choice(("quorum", "quorum", "classic"))
        if not self.busy[name].acquire(blocking=False):
            return False
        try:
            nodes = self.of[name].nodes
            node = rng.choice(nodes)
            if kind == "rabbit-kill":
                node.kill()
                time.sleep(seconds)
                node.start()
            elif kind == "rabbit-kill-all":
                for n in nodes:
                    n.kill()
                time.sleep(seconds)
                for n in nodes:
                    n.start(wait=False)
                for n in nodes:
                    n.wait()
            elif kind == "rabbit-stop":
                node.stop()
                time.sleep(seconds)
                node.cont()
            else:
                node.ctl("set_vm_memory_high_watermark", "0.00000001")
                time.sleep(seconds)
                node.ctl("set_vm_memory_high_watermark", "0.8")
        finally:
            self.busy[name].release()
        return True

    def left(self, queues):
        """{name: messages} of those that have some which nobody holds."""
        found = {}
        for kind, server in self.of.items():
            channel = server.channel()
            for queue in queues:
                n = channel.queue_declare(f"{kind}-{queue}", passive=True).method.message_count
                if n:
                    found[f"{kind}-{queue}"] = n
            channel.connection.close()
        return found

    def close(self):
        for server in self.of.values():
            server.close()
        self.threads.shutdown()


def message_of(body):
    """(publisher, stream, number) of a body as the apps publish them."""
    try:
        words = base64.b64decode(body, validate=True).split(b" ")[:3]
        return tuple(int(w) for w in words)
    except ValueError:
        return tuple(int(w) for w in body.split(" ")[:3])


class Sqs:
    """ElasticMQ behind the proxy that verifies signatures. What it holds is gone when it is killed: the
    proxy knows what that was, of each queue."""

    def __init__(self, folder):
        self.server = ElasticMQ(str(folder))
        self.proxy = signed_proxy.Proxy(self.server.url, {KEY[0]: KEY[1]}, fault=self.fault)
        self.queues = {}                              # name: attributes
        self.lock = threading.Lock()
        self.busy = threading.Lock()
        self.held = collections.defaultdict(collections.Counter)  # queue: copies of each message
        self.receipts = {}                            # receipt: message
        self.gone = collections.defaultdict(set)      # queue: messages that were killed with it
        self.met = collections.Counter()              # faults that a request has met
        self.mode = None
        self.rng = random.Random(0)

    def start(self, queues):
        for name in queues:
            self.queues[f"standard-{name}"] = {"VisibilityTimeout": str(HIDDEN_S)}
            self.queues[f"fifo-{name}.fifo"] = {"VisibilityTimeout": str(HIDDEN_S), "FifoQueue": "true"}
        self.server.start()
        self.create()
        self.proxy.start()

    def create(self):
        client = sqs_tools.client(self.server.url, *KEY)
        for name, attributes in self.queues.items():
            client.create_queue(QueueName=name, Attributes=attributes)

    # -- what passes

    def fault(self, action, request):
        mode = self.mode if self.rng.random() < 0.5 else None
        if mode:
            self.met[mode] += 1
        if mode == "throttle":
            return 400, signed_proxy.error("RequestThrottled")
        if mode == "unavailable":
            return 503, b"busy"
        if mode == "cut":
            return "cut"
        if mode == "some-fail" and action == "SendMessageBatch":
            return self.some_fail(request)
        if action == "SendMessageBatch":
            self.sent(request)

        def passed(answer):
            self.note(action, request, answer)
            if mode == "cut-after":
                raise ConnectionResetError
            if mode == "twice" and action == "ReceiveMessage":
                return {"Messages": [m for m in answer.get("Messages", [])[:5] for _ in range(2)]}
            return answer
        return passed

    def some_fail(self, request):
        """The server's fault, of the first entry; what is behind it goes as it should."""
        first, rest = request["Entries"][0], request["Entries"][1:]
        failed = [{"Id": first["Id"], "SenderFault": False, "Code": "InternalError"}]
        if not rest or request["QueueUrl"].endswith(".fifo"):
            return 200, {"Successful": [], "Failed": [
                {"Id": e["Id"], "SenderFault": False, "Code": "InternalError"} for e in request["Entries"]]}
        passed = request | {"Entries": rest}
        self.sent(passed)
        try:
            answer = sqs_tools.client(self.server.url, *KEY).send_message_batch(**passed)
        except Exception:
            return "cut"
        return 200, {"Successful": [{k: e[k] for k in ("Id", "MessageId", "MD5OfMessageBody")}
                                    for e in answer.get("Successful", [])],
                     "Failed": failed + answer.get("Failed", [])}

    def sent(self, request):
        """About to be: whether the server has it nobody knows until it answers, and it may be killed before."""
        queue = request["QueueUrl"].rpartition("/")[2]
        with self.lock:
            for entry in request["Entries"]:
                self.held[queue][message_of(entry["MessageBody"])] += 1

    def note(self, action, request, answer):
        with self.lock:
            if action == "ReceiveMessage":
                for m in answer.get("Messages", []):
                    self.receipts[m["ReceiptHandle"]] = message_of(m["Body"])
            elif action == "DeleteMessageBatch":
                queue = request["QueueUrl"].rpartition("/")[2]
                of = {e["Id"]: e["ReceiptHandle"] for e in request["Entries"]}
                for done in answer.get("Successful", []):
                    message = self.receipts.get(of[done["Id"]])
                    self.held[queue].pop(message, None)

    # -- what goes wrong

    def do(self, kind, seconds, seed):
        if not self.busy.acquire(blocking=False):
            return False
        try:
            self.rng = random.Random(seed)
            if kind == "sqs-kill":
                self.kill(seconds)
            elif kind == "sqs-stop":
                process = self.server.process
                process.send_signal(19)
                time.sleep(seconds)
                process.send_signal(18)
            elif kind == "sqs-away":
                self.proxy.away(True)
                time.sleep(seconds)
                self.proxy.away(False)
            else:
                self.mode = kind.removeprefix("sqs-")
                time.sleep(seconds)
                self.mode = None
        finally:
            self.busy.release()
        return True

    def kill(self, seconds):
        """Nothing is under way through the proxy when it starts again, so what it held is known."""
        self.proxy.away(True)
        self.server.kill()
        time.sleep(max(seconds, 0.2))
        with self.lock:
            for queue, held in self.held.items():
                self.gone[queue].update(held)
            self.held.clear()
            self.receipts.clear()
        self.server.start()
        self.create()
        self.proxy.away(False)

    def left(self):
        client, found = sqs_tools.client(self.server.url, *KEY), {}
        for name in self.queues:
            url = client.get_queue_url(QueueName=name)["QueueUrl"]
            said = client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
            n = sum(int(v) for k, v in said.items() if k.startswith("ApproximateNumberOfMessages"))
            if n:
                found[name] = n
        return found

    def close(self):
        self.proxy.stop()
        self.server.stop()
