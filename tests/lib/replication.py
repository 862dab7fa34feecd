"""A primary with replicas and nobody who promotes them, for tests."""

from .processes import wait_until


def in_step(replica):
    info = replica.info("replication")
    return info["master_link_status"] == "up" and info["master_sync_in_progress"] == "0"


def acknowledged(primary):
    """Its replica has acknowledged something: before that the primary sends it nothing."""
    line = primary.info("replication").get("slave0", "offset=0,")
    return "offset=0," not in line


def make_replica(make_redis, primary_port, **options):
    """In step with the primary that is there."""
    replica = make_redis(**options)
    assert replica.call("REPLICAOF", "127.0.0.1", primary_port) == "OK"
    wait_until(lambda: in_step(replica), 10, "the replica is in step")
    return replica


def make_pair(make_redis, way=None, **options):
    """(primary, replica) in step; `way`: makes the proxy between them, which is returned third."""
    primary = make_redis(repl_diskless_sync_delay=0, **options)
    proxy = way(primary.port) if way else None
    replica = make_replica(make_redis, proxy.port if way else primary.port, **options)
    assert primary.call("SET", "first", "v", "PX", 1) == "OK"
    wait_until(lambda: acknowledged(primary), 10, "the primary knows that it is")
    return (primary, replica, proxy) if way else (primary, replica)
