"""Each fault of lib/faults.py hurts a client that nobody protects, and ends when it is taken out: a
fault that does not bite would make its system test worthless."""

import pytest

from lib.faults import FAULTS, World, fill
from lib.processes import wait_until
from lib.resp import Client, Closed, ErrorReply


def trouble(client):
    """What an unprotected client suffers from within 300 ms, or None."""
    try:
        for command in (["GET", "k"], ["SET", "k", "1"]):
            reply = client.call(*command, timeout=0.3)
            if isinstance(reply, ErrorReply):
                return str(reply)
    except (Closed, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def fresh_trouble(port):
    try:
        with Client(port, timeout=0.3) as client:
            return trouble(client)
    except OSError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_fault_bites_and_ends(fault, redis, make_proxy, folder):
    proxy = make_proxy(redis.port)
    with Client(proxy.port) as client:
        assert trouble(client) is None
        world = World(redis, proxy, folder)
        fault.put_in(world)
        wait_until(lambda: trouble(client), 5, f"{fault.name} hurts")
        fault.take_out(world)
        wait_until(lambda: fresh_trouble(proxy.port) is None, 10, f"{fault.name} ends")


def test_full_disk(small_disk):
    filler = fill(small_disk)
    with pytest.raises(OSError):
        (small_disk / "more").write_bytes(b"x" * 10000)
    filler.unlink()
    (small_disk / "more").write_bytes(b"x" * 10000)
