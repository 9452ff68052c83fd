"""Packets as bytes: what guests would send, and what they must not be able to. Building only."""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

BROADCAST = "ff:ff:ff:ff:ff:ff"
SYN, ACK, SYN_ACK, PUSH_ACK = 0x02, 0x10, 0x12, 0x18


@dataclass(frozen=True, slots=True)
class Nic:
    """One end of a conversation: a port with its MAC and address."""

    port: str
    mac: str
    address: str


def ethernet(source: str, target: str, kind: int, payload: bytes) -> bytes:
    return _mac(target) + _mac(source) + struct.pack("!H", kind) + payload.ljust(46, b"\0")


def arp(source: Nic, target_address: str, *, operation: int = 1, to: str = BROADCAST, spoofed: str = "") -> bytes:
    sender = _mac(source.mac) + _ip(spoofed or source.address)
    body = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation) + sender + bytes(6) + _ip(target_address)
    return ethernet(source.mac, to, 0x0806, body)


def icmp(source: Nic, target: Nic, *, kind: int = 8, number: int = 1, payload: bytes = b"ringfence") -> bytes:
    body = struct.pack("!BBHHH", kind, 0, 0, 77, number) + payload
    return _ipv4(source, target, 1, body[:2] + struct.pack("!H", _sum(body)) + body[4:])


def udp(source: Nic, target: Nic, source_port: int, target_port: int, payload: bytes = b"ringfence") -> bytes:
    body = struct.pack("!HHHH", source_port, target_port, 8 + len(payload), 0) + payload
    return _ipv4(source, target, 17, body)


def udp_fragments(source: Nic, target: Nic, source_port: int, target_port: int) -> tuple[bytes, bytes]:
    body = struct.pack("!HHHH", source_port, target_port, 8 + 1600, 0) + b"f" * 1600
    return (
        _ipv4(source, target, 17, body[:1400], fragment=0x2000),
        _ipv4(source, target, 17, body[1400:], fragment=1400 // 8),
    )


def tcp(
    source: Nic, target: Nic, source_port: int, target_port: int, flags: int, *, seq: int = 1000, ack: int = 0
) -> bytes:
    head = struct.pack("!HHIIBBHHH", source_port, target_port, seq, ack, 5 << 4, flags, 65535, 0, 0)
    pseudo = _ip(source.address) + _ip(target.address) + struct.pack("!BBH", 0, 6, len(head))
    return _ipv4(source, target, 6, head[:16] + struct.pack("!H", _sum(pseudo + head)) + head[18:])


def discover(source: Nic, *, number: int = 0x1234) -> bytes:
    """A DHCP DISCOVER, as a guest without an address sends it."""
    fixed = struct.pack("!BBBBIHH", 1, 1, 6, 0, number, 0, 0x8000) + bytes(16) + _mac(source.mac).ljust(16, b"\0")
    options = b"\x63\x82\x53\x63" + b"\x35\x01\x01" + b"\x37\x04\x01\x1a\x33\x36" + b"\xff"
    body = fixed + bytes(192) + options
    head = struct.pack("!HHHH", 68, 67, 8 + len(body), 0)
    anyone = Nic("", BROADCAST, "255.255.255.255")
    return _ipv4(Nic("", source.mac, "0.0.0.0"), anyone, 17, head + body)


def ipv6(source: Nic, to: str, kind: int, *, from_address: str = "", body: bytes = b"") -> bytes:
    """ICMPv6 of one kind: 128 echo, 133 router solicitation, 135 and 136 neighbour, 134 router advertisement."""
    sender = ipaddress.IPv6Address(from_address or _link_local(source.mac)).packed
    receiver = ipaddress.IPv6Address(to).packed
    icmp6 = struct.pack("!BBH", kind, 0, 0) + body
    pseudo = sender + receiver + struct.pack("!IHBB", len(icmp6), 0, 0, 58)
    icmp6 = icmp6[:2] + struct.pack("!H", _sum(pseudo + icmp6)) + icmp6[4:]
    mac = "33:33:" + ":".join(f"{octet:02x}" for octet in receiver[-4:]) if receiver[0] == 0xFF else BROADCAST
    return ethernet(
        source.mac, mac, 0x86DD, struct.pack("!IHBB", 6 << 28, len(icmp6), 58, 255) + sender + receiver + icmp6
    )


def neighbour_solicitation(source: Nic, target_address: str) -> bytes:
    target = ipaddress.IPv6Address(target_address).packed
    body = bytes(4) + target + b"\x01\x01" + _mac(source.mac)
    return ipv6(source, "ff02::1:ff00:" + target[-2:].hex(), 135, body=body)


def neighbour_advertisement(source: Nic) -> bytes:
    body = (
        struct.pack("!I", 0x20000000)
        + ipaddress.IPv6Address(_link_local(source.mac)).packed
        + b"\x02\x01"
        + _mac(source.mac)
    )
    return ipv6(source, "ff02::1", 136, body=body)


def _ipv4(source: Nic, target: Nic, protocol: int, body: bytes, *, fragment: int = 0) -> bytes:
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(body), 7, fragment, 64, protocol, 0)
    head += _ip(source.address) + _ip(target.address)
    head = head[:10] + struct.pack("!H", _sum(head)) + head[12:]
    return ethernet(source.mac, target.mac, 0x0800, head + body)


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def _ip(text: str) -> bytes:
    return ipaddress.IPv4Address(text).packed


def _sum(content: bytes) -> int:
    padded = content + b"\0" * (len(content) % 2)
    total = sum(struct.unpack(f"!{len(padded) // 2}H", padded))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def _link_local(mac: str) -> str:
    octets = _mac(mac)
    host = bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:]
    return str(ipaddress.IPv6Address(bytes.fromhex("fe80" + "00" * 6) + host))
