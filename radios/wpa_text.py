"""The text of the wpa control interface: commands out, replies in. Pure, no I/O.

Both daemons take a command as one datagram of space-separated words and answer with one datagram
of text (hostap, src/common/wpa_ctrl.h). Words often come from the air or from a lab file, so this
is the one place where they are checked and quoted: nothing can break out of its word.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from radios.errors import LocalError, RemoteError

MAX_COMMAND_OCTETS = 4095
"""hostapd reads a command into 4096 octets with its terminator; longer ones are cut silently."""

MAX_SSID_OCTETS = 32
"""IEEE 802.11 s9.4.2.2: an SSID is 0 to 32 octets."""

REDACTED = "<secret>"

_MAC = re.compile(r"[0-9a-f]{2}(?::[0-9a-f]{2}){5}")
_FAILURE = re.compile(r"FAIL(?:-[A-Z-]+)?|UNKNOWN COMMAND|INVALID RESPONSE")
_LONG_HEX = re.compile(r"\b[0-9A-Fa-f]{32,}\b")
_SECRET_NAME = re.compile(r"psk|pass|password|passwd|pin|pmk|sae_password|wep_key|secret|key_data")
_NOT_SECRET = frozenset({"passphrase_hash", "mem_only_psk", "passive_scan"})
_ESCAPE = re.compile(r"\\(?:x([0-9A-Fa-f]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_SIMPLE_ESCAPES = {"n": b"\n", "r": b"\r", "t": b"\t", "e": b"\x1b"}


def command(*words: str | int) -> bytes:
    """One command datagram from its words; only the last word may hold spaces.

    Raises:
        LocalError: a word is empty, holds a control character or a misplaced space, or the whole is
            longer than the daemons read.
    """
    texts = [str(word) for word in words]
    verb = texts[0].partition(":")[0] if texts else ""
    for position, text in enumerate(texts):
        where = f"control command {verb!r}, word {position}"
        if not text:
            raise LocalError("an empty word", where=where)
        if any(ord(character) < 0x20 or ord(character) == 0x7F for character in text):
            raise LocalError(
                "a control character (newline, NUL, ...) would end or split the command",
                where=where,
                remedy="pass SSIDs and identities as bytes; they are then sent in hex",
            )
        if " " in text and position != len(texts) - 1:
            raise LocalError("a space inside a word that is not the last", where=where)
    try:
        datagram = " ".join(texts).encode()
    except UnicodeEncodeError as error:
        raise LocalError(
            "text that is not Unicode", where=f"control command {texts[0]!r}"
        ) from error
    if not datagram or len(datagram) > MAX_COMMAND_OCTETS:
        raise LocalError(
            f"a command of {len(datagram)} octets; the daemons take 1 to {MAX_COMMAND_OCTETS}",
            where=f"control command {verb!r}",
        )
    return datagram


def string_value(value: str | bytes) -> str:
    """A configuration string as the daemons read it back exactly: quoted, or hex when unusual.

    `wpa_config_parse_string` (hostap) takes `"..."` literally without escapes and anything
    unquoted as hex, so hex carries what quotes cannot.
    """
    raw = value.encode() if isinstance(value, str) else value
    if raw and all(0x20 <= octet <= 0x7E and octet not in b'"\\' for octet in raw):
        return f'"{raw.decode("ascii")}"'
    if not raw:
        return '""'
    return raw.hex()


def ssid_value(ssid: bytes) -> str:
    """An SSID in hex, which every octet string survives.

    Raises:
        LocalError: not 1 to 32 octets.
    """
    if not 1 <= len(ssid) <= MAX_SSID_OCTETS:
        raise LocalError(f"an SSID of {len(ssid)} octets; 1 to {MAX_SSID_OCTETS} are possible")
    return ssid.hex()


def passphrase_value(passphrase: str) -> str:
    """A WPA passphrase in quotes (IEEE 802.11 annex J.4: 8 to 63 printable ASCII characters)."""
    if not 8 <= len(passphrase) <= 63 or any(not " " <= c <= "~" for c in passphrase):
        raise LocalError("a WPA passphrase is 8 to 63 printable ASCII characters")
    return f'"{passphrase}"'


def mac_address(text: str) -> str:
    """A MAC address or BSSID in lower case with colons.

    Raises:
        LocalError: it is not one.
    """
    lowered = text.lower()
    if not _MAC.fullmatch(lowered):
        raise LocalError(
            f"{text!r} is not a MAC address", remedy="write six colon-separated hex octets"
        )
    return lowered


def find_mac(text: str) -> str | None:
    """The first MAC address in a text, in lower case."""
    match = _MAC.search(text.lower())
    return match.group() if match else None


def hex_value(octets: bytes, name: str, *lengths: int) -> str:
    """Key material in hex, its length checked (in octets)."""
    if len(octets) not in lengths:
        allowed = " or ".join(str(length) for length in lengths)
        raise LocalError(f"{name} has {len(octets)} octets, not {allowed}")
    return octets.hex()


def unescape(text: str) -> bytes:
    r"""Octets of a text in which a daemon escaped what is not printable (`\xe2`, `\"`, `\n`)."""

    def pieces() -> Iterator[bytes]:
        position = 0
        for match in _ESCAPE.finditer(text):
            yield text[position : match.start()].encode(errors="surrogateescape")
            position = match.end()
            hexadecimal, octal, simple = match.groups()
            if hexadecimal is not None:
                yield bytes([int(hexadecimal, 16)])
            elif octal is not None:
                yield bytes([int(octal, 8) & 0xFF])
            else:
                yield _SIMPLE_ESCAPES.get(simple, simple.encode(errors="surrogateescape"))
        yield text[position:].encode(errors="surrogateescape")

    return b"".join(pieces())


def redacted(datagram: bytes) -> str:
    """A command fit for logs and errors: keys, passwords and anything like them replaced."""
    words = datagram.decode(errors="replace").split(" ")
    verb = words[0].partition(":")[0]  # CTRL-RSP-PASSWORD-0:secret
    if verb.startswith("CTRL-RSP-") or verb in {"PMKSA_ADD", "MESH_PMKSA_ADD", "WPA_PSK"}:
        return f"{verb} {REDACTED}"
    name_at = {"SET_NETWORK": 2, "SET": 1, "SET_CRED": 2, "BSS_SET": 2}.get(verb)
    if name_at is not None and len(words) > name_at + 1 and is_secret(words[name_at]):
        return " ".join([*words[: name_at + 1], REDACTED])
    return _LONG_HEX.sub(REDACTED, " ".join(words))


def is_secret(name: str) -> bool:
    """Whether a configuration field of this name holds something that must not be shown."""
    return name not in _NOT_SECRET and _SECRET_NAME.search(name.lower()) is not None


def is_failure(reply: str) -> bool:
    """Whether a reply says that the daemon refused the command."""
    return _FAILURE.fullmatch(reply.strip()) is not None


def pairs(reply: str) -> dict[str, str]:
    """The `key=value` lines of a reply; lines without `=` are passed over."""
    found: dict[str, str] = {}
    for line in reply.split("\n"):
        key, separator, value = line.partition("=")
        if separator and key:
            found[key] = value
    return found


def integer(text: str | None, base: int = 10) -> int | None:
    """The integer that a reply's field holds, or None when it holds none."""
    if text is None:
        return None
    try:
        return int(text.strip(), base)
    except ValueError:
        return None


def required_integer(reply: str, meaning: str) -> int:
    """A reply that must be one integer.

    Raises:
        RemoteError: it is not.
    """
    number = integer(reply)
    if number is None:
        raise RemoteError(f"the daemon answered {reply[:80]!r} where {meaning} was expected")
    return number


def table(reply: str) -> list[list[str]]:
    """The rows of a tab-separated reply without its header line."""
    return [line.split("\t") for line in reply.split("\n")[1:] if line]
