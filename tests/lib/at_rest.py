"""Encryption keys of a ledger, and what is in it of what they protect."""

import json
import secrets
import subprocess

from .servers import stayd_binary


class KeyFile:
    """Master keys, the first in use; replaced by a rename, as secret stores do."""

    def __init__(self, path):
        self.path, self.keys = path, []
        self.rotate()

    def rotate(self, keep=1):
        self.write(secrets.token_hex(32), *self.keys[:keep])

    def write(self, *keys):
        self.keys = list(keys)
        fresh = self.path.with_suffix(".fresh")
        fresh.touch(0o600)
        fresh.write_text("".join(f"{key}\n" for key in keys))
        fresh.rename(self.path)

    def __str__(self):
        return str(self.path)


def logged(stayd, event):
    lines = [line for line in stayd.log_lines() if line.startswith("{")]
    return [e for e in map(json.loads, lines) if e["event"] == event]


def ledger_stats(stayd):
    path = stayd.options["ledger.path"]
    argv = [stayd_binary(), "ledger", "stats", "--json", "--ledger.path", path]
    return json.loads(subprocess.check_output([str(a) for a in argv], text=True))


# -- damage that RocksDB's checksums do not see -----------------------------------------------------

_BLOCK = 32 << 10
_HEADER = 7  # masked CRC32C of type and bytes, u16 size, type


def damage(log, after, offset):
    """Turns a bit in a log of RocksDB, `offset` bytes behind the last place where `after` stands in
    one record, and makes the record's checksum right again. The record must not be a split one."""
    bytes_ = bytearray(log.read_bytes())
    at, found = 0, None
    while at + _HEADER <= len(bytes_):
        if _BLOCK - at % _BLOCK < _HEADER:
            at += _BLOCK - at % _BLOCK
            continue
        size, kind = int.from_bytes(bytes_[at + 4 : at + 6], "little"), bytes_[at + 6]
        if kind == 0:
            break
        place = bytes_.find(after, at + _HEADER, at + _HEADER + size)
        if kind == 1 and place >= 0:
            found = (at, size, place + len(after) + offset)
        at += _HEADER + size
    assert found, f"{after!r} stands in no whole record of {log}"
    at, size, place = found
    assert place < at + _HEADER + size
    bytes_[place] ^= 1
    checksum = _crc32c(bytes_[at + 6 : at + _HEADER + size])
    masked = ((checksum >> 15 | checksum << 17) + 0xA282EAD8) & 0xFFFFFFFF
    bytes_[at : at + 4] = masked.to_bytes(4, "little")
    log.write_bytes(bytes_)


def _crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
