"""A Redis Cluster whose nodes or seeds are given by names, or have IPv6 addresses."""

import subprocess

import pytest

from lib.cluster_client import slot_of
from lib.failovers import users_at
from lib.names import NameServer
from lib.processes import free_port, wait_until
from lib.users import SILENT_LIMIT_S, BusyUsers

SESSIONS = '[[sessions]]\nmatch = "sess:*"\n'


@pytest.fixture
def names(network):
    names = NameServer()
    yield names
    names.close()


def host_of(n):
    return f"127.0.0.{11 + n}"


def name_of(n):
    return f"node{n}.redis.test"


@pytest.fixture
def host_names(names):
    """What makes the nth node of a Cluster announce its host name."""

    def node_config(n, kind):
        names.addresses[name_of(n)] = host_of(n)
        return {
            "cluster-announce-hostname": name_of(n), "cluster-preferred-endpoint-type": kind,
        }  # fmt: skip

    return node_config


@pytest.mark.timeout(90)
def test_configuration_endpoint(make_cluster, make_stayd, folder, network, names, row):
    """One name for all nodes, in another order each time: dead ones and one that nobody reaches are among
    them. Then a shard fails over while names do not resolve."""
    cluster = make_cluster(host=host_of, port=free_port())
    gone, shard = "127.0.0.250", cluster.shards[0]
    names.addresses["cluster.test"] = [gone] + [node.host for node in cluster.nodes]
    network.drop(f"ip daddr {gone}")
    for other in cluster.shards[1:]:
        other.replicas[0].kill()
    url = cluster.url_at(f"cluster.test:{cluster.port}")
    stayd = make_stayd(url, wait="live", prefix=names.prefix(folder))
    stayd.wait_trusted(timeout=20)
    stayd.wait_adopted()
    users = users_at(stayd, 30)
    names.fault = "silent"
    busy = BusyUsers(users, 1.0)
    shard.primary.kill()
    promoted = shard.wait_promoted()
    wait_until(lambda: promoted.host in str(stayd.shards()), 10, "stayd is at the new primary")
    stayd.wait_trusted(timeout=20)
    busy.end()
    users.wait_in_redis(cluster)
    names.fault = None
    stayd.restart()
    users.client = stayd.client()
    stayd.wait_trusted(timeout=20)
    users.go_on()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "tls, kind", [(False, "hostname"), (True, "hostname"), (True, "ip")], ids=["plain", "tls", "tls_ip"]
)  # fmt: skip
def test_nodes_by_host_name(make_cluster, make_stayd, folder, names, host_names, row, tls, kind):
    """They announce names; what MOVED and ASK say is one, or not. A slot moves and a shard fails over."""
    cluster = make_cluster(host=host_of, tls=tls, node_config=lambda n: host_names(n, kind))
    seeds = ",".join(f"{name_of(n)}:{cluster.nodes[n].named_port}" for n in range(2))
    stayd = make_stayd(
        cluster.url_at(seeds), options=cluster.options, config_text=SESSIONS,
        prefix=names.prefix(folder),
    )  # fmt: skip
    stayd.wait_trusted(timeout=20)
    stayd.wait_adopted()
    by_name = [".redis.test:" in shard["address"] for shard in stayd.shards()]
    assert by_name == [tls] * 3
    users = users_at(stayd, 30)
    move_a_slot(cluster, stayd, users)
    kill_a_primary(cluster.shards[2], stayd, users)


def move_a_slot(cluster, stayd, users):
    """With keys in it that are no sessions: at each step they are where Redis says."""
    source, target = cluster.shards[:2]
    tag = next(source.keys())
    with stayd.client() as client:
        assert client.call("SET", f"{{{tag}}}other", "1") == "OK"
        for step in cluster.steps_of_move(slot_of(tag), source, target):
            assert client.call("GET", f"{{{tag}}}other") == b"1", step
            assert client.call("SET", f"{{{tag}}}{step}", step) == "OK", step
            users.go_on(SILENT_LIMIT_S)
        stayd.wait_trusted()
        assert client.call("GET", f"{{{tag}}}all") == b"all"


def kill_a_primary(shard, stayd, users):
    shard.primary.kill()
    promoted = shard.wait_promoted()
    wait_until(
        lambda: users.go_on() or f":{promoted.named_port}'" in str(stayd.shards()), 10,
        "stayd is at the new primary",
    )  # fmt: skip
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(shard.cluster)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("fault", ["killed", "frozen"])
def test_name_of_a_node_moves(make_cluster, make_stayd, folder, names, host_names, row, fault):
    """A node is put in place of another: the same name, id and data, and another address."""
    cluster = make_cluster(
        host=host_of, tls=True, replicas=0, node_config=lambda n: host_names(n, "hostname")
    )
    seed = f"{name_of(1)}:{cluster.nodes[1].named_port}"
    stayd = make_stayd(cluster.url_at(seed), options=cluster.options, prefix=names.prefix(folder))
    stayd.wait_trusted(timeout=20)
    stayd.wait_adopted()
    users = users_at(stayd, 30)
    node = cluster.nodes[0]
    assert node.call("SAVE") == "OK"
    if fault == "frozen":
        node.freeze()
        users.go_on()
    node.kill()
    users.go_on()
    node.host = node.config["bind-source-addr"] = node.config["cluster-announce-ip"] = "127.0.0.99"
    names.addresses[name_of(0)] = node.host
    node.start()
    wait_until(
        lambda: users.go_on() or stayd.metric("stayd_name_moves_total") > 0, 10, "it has moved"
    )
    cluster.wait_whole()
    stayd.wait_trusted(timeout=20)
    users.wait_in_redis(cluster)
    assert not stayd.metric("stayd_primary_switches_total")


@pytest.mark.timeout(120)
def test_nodes_with_ipv6_addresses(network, make_cluster, make_stayd, row):
    def host(n):
        address = f"fd00::{11 + n}"
        add = ["ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad"]
        subprocess.run(add, check=True, timeout=10)
        return address

    cluster = make_cluster(host=host)
    stayd = make_stayd(cluster.url, config_text=SESSIONS)
    stayd.wait_trusted(timeout=20)
    stayd.wait_adopted()
    users = users_at(stayd, 30)
    code, output = stayd.check()
    assert code == 0, output
    move_a_slot(cluster, stayd, users)
    kill_a_primary(cluster.shards[2], stayd, users)
