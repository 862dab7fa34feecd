"""How stayd finds the nodes of a Redis Cluster, and what it says when it finds none."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.cluster_client import SLOTS
from lib.clusters import ClusterSet
from lib.failovers import users_at
from lib.processes import free_port, wait_until
from lib.users import SILENT_LIMIT_S, SLACK, BusyUsers



@pytest.mark.timeout(120)
def test_every_node_gets_another_address(clustered):
    """One after the other: at the end nothing is where the URL says."""
    cluster, stayd = clustered(node_timeout_ms=5_000)
    users = users_at(stayd, 30)
    busy = BusyUsers(users, SILENT_LIMIT_S)
    for node in cluster.nodes:
        cluster.move_address(node)
        cluster.wait_whole()
        stayd.wait_trusted(timeout=20)
    busy.end()
    ports = {shard.primary.port for shard in cluster.shards}
    assert ports_of(stayd) == ports
    assert stayd.metric("stayd_primary_switches_total") <= 3
    users.wait_in_redis(cluster)
    users.go_on(SILENT_LIMIT_S)


@pytest.mark.timeout(60)
def test_seeds_with_a_password(make_cluster, make_stayd):
    """Of nodes that speak TLS; one of those in the URL is not there, one is a replica."""
    cluster = make_cluster(tls=True, password="hidden")
    gone = f"127.0.0.1:{free_port()}"
    url = cluster.url_of([cluster.shards[0].replicas[0]]).replace("@", f"@{gone},")
    stayd = make_stayd(url, options=cluster.options)
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = users_at(stayd, 30)
    users.wait_in_redis(cluster)
    code, output = stayd.check()
    problems = [line for line in output.splitlines() if line.startswith("PROBLEM")]
    assert code == 1 and len(problems) == 1 and gone in problems[0], output
    for shard in cluster.shards:
        assert f"127.0.0.1:{shard.primary.named_port} answers" in output, output
    assert "hidden" not in output and "secret" not in output


@pytest.mark.timeout(60)
def test_wrong_password(make_cluster, make_stayd):
    cluster = make_cluster(replicas=0)
    stayd = make_stayd(cluster.url.replace("secret", "wrong"))
    users_at(stayd, 10).go_on(SILENT_LIMIT_S)
    says(stayd, "WRONGPASS")
    code, output = stayd.check()
    assert code == 1 and "WRONGPASS" in output, output


# -- seeds that are none --------------------------------------------------------------------------------------


class NotRedis(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def http_server(network):
    server = ThreadingHTTPServer(("127.0.0.1", free_port()), NotRedis)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


@pytest.fixture
def silent_server(network):
    with socket.create_server(("127.0.0.1", free_port())) as server:
        yield server.getsockname()[1]


# name -> what is said of it, beside its address
SEEDS = {
    "standalone": "cluster support disabled",
    "http": "closed",
    "nothing": "refused",
    "silent": "no answer",
    "empty": "no slots",  # a node of a Cluster that has not been made yet
}


@pytest.fixture
def wrong_seed(request, network, make_redis):
    if request.param in ("http", "silent"):
        return request.param, request.getfixturevalue(f"{request.param}_server")
    if request.param == "nothing":
        return request.param, free_port()
    enabled = "yes" if request.param == "empty" else "no"
    return request.param, make_redis(cluster_enabled=enabled).port


def says(stayd, *words):
    """In the log, for people."""

    def said():
        lines = stayd.log_lines("cluster_lost")
        return [line for line in lines if all(word in line for word in words)]

    return wait_until(said, 15 * SLACK, f"the log says {words}")[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("wrong_seed", SEEDS, indirect=True)
def test_wrong_seed(wrong_seed, make_stayd):
    """Said in words; what users write meanwhile is in the ledger."""
    name, port = wrong_seed
    stayd = make_stayd(f"redis+cluster://127.0.0.1:{port}")
    users = users_at(stayd, 10)
    print(says(stayd, f"127.0.0.1:{port}", SEEDS[name]))
    users.go_on(SILENT_LIMIT_S)
    code, output = stayd.check()
    print(output)
    assert code == 1 and f"127.0.0.1:{port}" in output and SEEDS[name] in output, output
    assert f"127.0.0.1:{port}" in stayd.http("/readyz")[1]


@pytest.mark.timeout(60)
def test_url_becomes_wrong(clustered):
    """The nodes are where they were: stayd knows them from before."""
    cluster, stayd = clustered(replicas=0)
    users = users_at(stayd, 30)
    good_url = stayd.options["redis.url"]
    stayd.options["redis.url"] = f"redis+cluster://127.0.0.1:{free_port()}"
    stayd.restart()
    users.client = stayd.client()
    users.go_on()
    stayd.options["redis.url"] = good_url
    stayd.restart()
    users.client = stayd.client()
    users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(cluster)


@pytest.mark.timeout(90)
def test_url_names_another_cluster(clustered, folder, make_redis, network):
    """On the same ledger, while the one of before is up: it is left alone, and its sessions move."""
    before, stayd = clustered(replicas=0)
    users = users_at(stayd, 30)
    (folder / "other").mkdir()
    other = ClusterSet(folder / "other", make_redis, primaries=2, replicas=0, network=network)
    stayd.options["redis.url"] = other.url
    stayd.restart()
    users.client = stayd.client()
    users.go_on()
    wait_until(lambda: ports_of(stayd) == {n.port for n in other.nodes}, 20, "stayd is at the other")
    left = before.keys()
    for _ in range(3):
        users.go_on()
    stayd.wait_trusted()
    users.wait_in_redis(other)
    assert before.keys() == left


def ports_of(stayd):
    return {int(one["address"].rsplit(":", 1)[1]) for one in stayd.shards()}


@pytest.mark.timeout(60)
def test_cluster_is_made_after_stayd_has_started(make_redis, make_stayd):
    """One node without slots, which gets them all."""
    node = make_redis(cluster_enabled="yes")
    stayd = make_stayd(f"redis+cluster://127.0.0.1:{node.port}")
    assert stayd.trust() != "trusted"
    assert node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1) == "OK"
    stayd.wait_trusted(timeout=20)
    stayd.wait_adopted()
    users_at(stayd, 10).wait_in_redis(node)


@pytest.mark.timeout(60)
def test_some_slots_are_nobodys(make_redis, make_stayd):
    node = make_redis(cluster_enabled="yes", cluster_require_full_coverage="no")
    assert node.call("CLUSTER", "ADDSLOTSRANGE", 0, SLOTS - 1) == "OK"
    stayd = make_stayd(f"redis+cluster://127.0.0.1:{node.port}")
    stayd.wait_trusted()
    stayd.wait_adopted()
    users = users_at(stayd, 10)
    slot = node.call("CLUSTER", "KEYSLOT", "sess:1")
    assert node.call("CLUSTER", "DELSLOTS", slot) == "OK"
    wait_until(
        lambda: users.go_on(SILENT_LIMIT_S) or stayd.log_lines("cluster_slots_uncovered"), 10 * SLACK,
        "stayd tells of it",
    )  # fmt: skip
    assert node.call("CLUSTER", "ADDSLOTS", slot) == "OK"
    stayd.wait_trusted(timeout=20)
    users.go_on()
    users.wait_in_redis(node)
