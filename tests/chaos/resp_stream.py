"""RESP for the raw client of chaos runs: replies out of a stream of bytes, as the checker writes them."""


class Incomplete(Exception):
    pass


class Error(str):
    """An error reply, without its '-'."""


def parse(data, at):
    """(value, position behind it). Raises Incomplete."""
    end = data.find(b"\r\n", at)
    if end < 0:
        raise Incomplete
    kind, rest = data[at : at + 1], bytes(data[at + 1 : end])
    at = end + 2
    if kind == b"+":
        return "+" + rest.decode(), at
    if kind == b"-":
        return Error(rest.decode(errors="replace")), at
    if kind == b":":
        return int(rest), at
    if kind == b"_" or rest == b"-1":
        return None, at
    if kind == b"$":
        if len(data) < at + int(rest) + 2:
            raise Incomplete
        return bytes(data[at : at + int(rest)]), at + int(rest) + 2
    if kind in b"*%":
        items = []
        for _ in range(int(rest) * (2 if kind == b"%" else 1)):
            item, at = parse(data, at)
            items.append(item)
        return items, at
    raise ValueError(f"not a reply: {kind + rest!r}")


def text_of(value, command):
    """As `normalise` of sim/spec.h writes the reply to `command`, a list of commands for a block."""
    if isinstance(command[0], list):
        return " ".join(text_of(item, one) for item, one in zip(value, command))
    if isinstance(value, Error):
        return "-" + value
    if value is None:
        return "nil"
    if isinstance(value, int):
        return f":{value}"
    if isinstance(value, bytes):
        return f'"{value.decode()}"'
    if command[0] == "HGETALL":
        fields = sorted((value[i].decode(), value[i + 1].decode()) for i in range(0, len(value), 2))
        return "{" + "".join(f"{name}={text} " for name, text in fields) + "}"
    return value
