"""Subscribers of the Redis port, when the connection behind them is lost."""

from lib.processes import wait_until

FLOOD = "for i = 1, 200 do redis.call('PUBLISH', 'news', string.rep('x', 1000)) end return 200"


def heard(client, channel):
    """The next message's text on that channel; others are passed over."""
    while True:
        kind, topic, text = client.read()
        if kind == b"message" and topic == channel and not text.startswith(b"xxx"):
            return text


def wait_heard(redis, client, channel, text):
    """Publishes until the subscription is there again, and the message has come."""
    wait_until(lambda: redis.call("PUBLISH", channel, text) == 1, 10, "Redis has the subscriber")
    assert heard(client, channel.encode()) == text.encode()


def test_redis_drops_the_subscriber(stayd, redis, row):
    """client-output-buffer-limit: a flood in one script ends the connection in the midst of it."""
    redis.config_set(client_output_buffer_limit="pubsub 32kb 0 0")
    with stayd.client() as client, stayd.client() as user:
        assert client.call("SUBSCRIBE", "news") == [b"subscribe", b"news", 1]
        wait_heard(redis, client, "news", "before")
        assert user.call("SET", "sess:1", "v") == "OK"
        outages = stayd.metric("stayd_shard_out_total")
        with row.shows(stayd):
            assert redis.call("EVAL", FLOOD, 0) == 200
            wait_heard(redis, client, "news", "after")
        assert user.call("GET", "sess:1") == b"v"
        assert stayd.metric("stayd_shard_out_total") == outages  # sessions have a connection of their own


def test_notifications_of_redis(stayd, redis, row):
    """Keyspace events reach subscribers as Redis sends them; stayd itself needs none of them."""
    redis.config_set(notify_keyspace_events="KEg")
    deleted = "__keyevent@0__:del"
    with stayd.client() as client, stayd.client() as user:
        assert client.call("SUBSCRIBE", deleted)[:2] == [b"subscribe", deleted.encode()]
        assert user.call("SET", "sess:1", "v") == "OK"
        assert user.call("SET", "sess:2", "v") == "OK"
        wait_until(lambda: redis.call("PUBSUB", "NUMSUB", deleted)[1] == 1, 5, "subscribed")
        assert user.call("DEL", "sess:1") == 1
        assert heard(client, deleted.encode()) == b"sess:1"
        with row.shows(stayd):
            redis.restart_empty(notify_keyspace_events="KEg")
            assert user.call("GET", "sess:2") == b"v"
        stayd.wait_trusted(timeout=15)
        wait_until(lambda: redis.call("PUBSUB", "NUMSUB", deleted)[1] == 1, 10, "subscribed again")
        assert redis.call("DEL", "sess:2") == 1
        assert heard(client, deleted.encode()) in (b"sess:2", b"sess:1")
        assert user.call("GET", "sess:2") is None


def test_tracking_is_refused(stayd, row):
    """A library with a cache of its own must not rely on invalidations that stayd does not pass on."""
    with stayd.client(proto=3) as client, row.shows(stayd):
        reply = client.call("CLIENT", "TRACKING", "ON")
        assert reply.startswith("ERR stayd: 'client|tracking' is not offered")
