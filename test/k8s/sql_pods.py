"""A PostgreSQL of two pods for the cases: a primary, and a standby that confirms its commits.

Each pod finds its own role at its start: it copies what the other one's primary has, or begins
anew where the other does not answer.  A pod that is gone has lost its data.  Nobody promotes by
himself: promote() does.  Between pods and to the brokers it is TLS by an authority of the case's own."""

import asyncio
import base64
import secrets

from client_ca import ClientCa  # test/support
from cluster import eventually

NAMES = ("db-0", "db-1")
SECRET = "sqmqos-log"  # beside the brokers

# The other one's standby is waited for: somebody promotes it.
SCRIPT = r"""
set -euo pipefail
export HOME=/data PGDATA=/data/pg PGUSER=postgres PGSSLMODE=require PGCONNECT_TIMEOUT=2
me=$(hostname) other=db-$((1 - ${me##*-}))
PATH=$(echo /usr/lib/postgresql/*/bin):$PATH
as() { setpriv --reuid=postgres --regid=postgres --init-groups -- "$@"; }
install -d -o postgres -m 700 /data/run /data/tls
install -o postgres -m 600 /tls/* /data/tls
peer="host=$other.db port=5432 user=replica dbname=postgres"

anew()
{
	as initdb -N -A trust -U postgres -E UTF8 --locale=C.UTF-8 >/dev/null
	as pg_ctl -w start -o "-c listen_addresses= -c unix_socket_directories=/data/run" >/dev/null
	as psql -qX -h /data/run -d postgres <<-END
		CREATE ROLE replica REPLICATION LOGIN PASSWORD '$PASSWORD';
		CREATE ROLE sqmqos LOGIN PASSWORD '$PASSWORD';
		CREATE DATABASE sqmqos OWNER sqmqos;
	END
	as pg_ctl -w stop >/dev/null
}

[ "$me" = db-0 ] || sleep 2 # a name that is not there yet stays so for half a minute
while true; do
	role=$(PGPASSWORD=$PASSWORD as psql -qXAt -d "$peer" -c 'SELECT pg_is_in_recovery()' || true)
	case $role:$me in
	f:*) PGPASSWORD=$PASSWORD as pg_basebackup -D $PGDATA -d "$peer" -N -X stream -c fast && touch /data/pg/standby.signal && break
		rm -rf /data/pg ;;
	:db-0) anew && break ;;
	esac
	sleep 0.3
done
cat >/data/pg/postgresql.conf <<-END
	listen_addresses = '*'
	unix_socket_directories = '/data/run'
	ssl = on
	ssl_cert_file = '/data/tls/tls.crt'
	ssl_key_file = '/data/tls/tls.key'
	cluster_name = '${me/-/_}'
	primary_conninfo = '$peer password=$PASSWORD'
	synchronous_standby_names = 'ANY 1 (db_0, db_1)'
	shared_buffers = 16MB
	dynamic_shared_memory_type = mmap
	wal_retrieve_retry_interval = 200ms
	jit = off
END
cat >/data/pg/pg_hba.conf <<-END
	local all postgres trust
	hostssl replication replica all scram-sha-256
	hostssl postgres replica all scram-sha-256
	hostssl sqmqos sqmqos all scram-sha-256
END
chown postgres /data/pg/*.conf
[ ! -e /data/pg/standby.signal ] || chown postgres /data/pg/standby.signal
exec setpriv --reuid=postgres --regid=postgres --init-groups -- postgres
"""


def encoded(files):
    return {name: base64.b64encode(data).decode() for name, data in files.items()}


class Database:
    """Its pods, in a namespace of their own, and what the brokers must know."""

    def __init__(self, k8s, namespace):
        self.k8s, self.namespace = k8s, namespace
        self.password = secrets.token_hex(12)
        self.files = {}
        self.primary, self.standby = NAMES

    @property
    def hosts(self):
        return [f"{name}.db.{self.namespace}:5432" for name in NAMES]

    async def start(self):
        image = await self.k8s.load_image("postgres")
        authority = ClientCa(self.k8s.folder / "database-ca")
        names = [f"DNS:{host.partition(':')[0]}" for host in self.hosts]
        cert, key = authority.issue("db", *names, usage="serverAuth")
        self.files = {"ca.crt": authority.pem.read_bytes()}
        pair = {"tls.crt": cert.read_bytes(), "tls.key": key.read_bytes()}
        await self.k8s.apply([
            {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "data": encoded(pair)},
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "db"}, "data": {"start.sh": SCRIPT}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "db"},
             "spec": {"clusterIP": "None", "publishNotReadyAddresses": True, "selector": {"app": "db"},
                      "ports": [{"name": "postgres", "port": 5432}]}},
            self.stateful_set(image)], self.namespace)
        return self

    def stateful_set(self, image):
        container = {
            "name": "db", "image": image, "imagePullPolicy": "Never", "command": ["bash", "/script/start.sh"],
            "env": [{"name": "PASSWORD", "value": self.password}],
            "resources": {"requests": {"cpu": "500m"}},  # it is beside all that the machine does
            "volumeMounts": [{"name": "script", "mountPath": "/script"}, {"name": "tls", "mountPath": "/tls"},
                             {"name": "data", "mountPath": "/data"}]}
        volumes = [{"name": "script", "configMap": {"name": "db"}}, {"name": "data", "emptyDir": {}},
                   {"name": "tls", "secret": {"secretName": "db"}}]
        return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {
            "replicas": 2, "serviceName": "db", "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}},
                         "spec": {"terminationGracePeriodSeconds": 0, "containers": [container],
                                  "volumes": volumes}}}}

    async def secret(self, namespace):
        """What the values log.postgres.existingSecret and .caSecret name."""
        data = self.files | {"password": self.password.encode()}
        await self.k8s.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET},
                              "data": encoded(data)}, namespace)

    def values(self):
        return {"kind": "postgres", "postgres": {
            "hosts": self.hosts, "existingSecret": SECRET, "caSecret": SECRET}}

    async def sql(self, name, text):
        said = await self.k8s.exec(name, "psql", "-qXAt", "-h", "/data/run", "-U", "postgres", "-c", text,
                                   namespace=self.namespace)
        return said.strip()

    async def copied(self):
        """Awaits that the standby confirms the primary's commits."""
        async def confirms():
            done = await self.k8s.try_kubectl(
                "exec", self.primary, "--", "psql", "-qXAt", "-h", "/data/run", "-U", "postgres", "-c",
                "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'quorum' AND state = 'streaming'",
                namespace=self.namespace)
            return done.stdout.strip() == "1"
        await eventually(confirms, f"{self.standby} confirms what {self.primary} commits", 60, 0.3)

    async def primary_lost(self):
        """The primary's pod goes at once with its data, and the standby is promoted; the lost one
        comes back as a copy of it."""
        await self.k8s.kubectl("delete", "pod", self.primary, "--force", "--grace-period=0",
                               namespace=self.namespace)
        await asyncio.sleep(1)  # until somebody has noticed
        self.primary, self.standby = self.standby, self.primary
        assert await self.sql(self.primary, "SELECT pg_promote()") == "t"


async def database(k8s):
    """Starts one; copied() says when it takes commits."""
    return await Database(k8s, await k8s.make_namespace("data")).start()
