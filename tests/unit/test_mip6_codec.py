"""Mobility Headers as octets (RFC 6275 s6), against hand-made ones and against tshark."""

from __future__ import annotations

import shutil
import struct
import subprocess
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.mobility.mip6.authentication import (
    SecurityAssociation,
    authorize,
    binding_key,
    is_authorized,
    sign,
    verify,
)
from mpa_hil.mobility.mip6.messages import (
    BindingAcknowledgement,
    BindingError,
    BindingRefreshRequest,
    BindingUpdate,
    CareOfTest,
    CareOfTestInit,
    HomeTest,
    HomeTestInit,
    Message,
    UnknownType,
    checksum_holds,
    decode,
    with_checksum,
)
from mpa_hil.mobility.mip6.numbers import Tuning, UpdateFlag, is_after
from mpa_hil.mobility.mip6.options import (
    AlternateCareOf,
    BindingId,
    DecodeError,
    MessageAuthentication,
    NonceIndices,
    Option,
    RefreshAdvice,
    ReplayProtection,
    Unknown,
)
from radios.errors import LocalError
from tests.support.mip6_world import AGENT, CARE_OF, CN, HOME, SA

ADDRESSES = st.integers(0, 2**128 - 1).map(IPv6Address)
OPTIONS: st.SearchStrategy[Option] = st.one_of(
    st.builds(RefreshAdvice, st.integers(0, 0xFFFF)),
    st.builds(AlternateCareOf, ADDRESSES),
    st.builds(NonceIndices, st.integers(0, 0xFFFF), st.integers(0, 0xFFFF)),
    st.builds(ReplayProtection, st.integers(0, 2**64 - 1)),
    st.builds(
        BindingId,
        st.integers(0, 0xFFFF),
        st.integers(0, 255),
        st.booleans(),
        st.one_of(st.none(), ADDRESSES, st.integers(0, 2**32 - 1).map(IPv4Address)),
    ),
    st.builds(Unknown, st.integers(200, 255), st.binary(max_size=30)),
)
LISTS = st.lists(OPTIONS, max_size=5).map(tuple)
OCTETS = st.binary(min_size=8, max_size=8)
WORDS = st.integers(0, 0xFFFF)
MESSAGES: st.SearchStrategy[Message] = st.one_of(
    st.builds(BindingRefreshRequest, LISTS),
    st.builds(HomeTestInit, OCTETS, LISTS),
    st.builds(CareOfTestInit, OCTETS, LISTS),
    st.builds(HomeTest, WORDS, OCTETS, OCTETS, LISTS),
    st.builds(CareOfTest, WORDS, OCTETS, OCTETS, LISTS),
    st.builds(BindingUpdate, WORDS, WORDS.map(UpdateFlag), WORDS, LISTS),
    st.builds(BindingAcknowledgement, st.integers(0, 255), WORDS, WORDS, st.booleans(), LISTS),
    st.builds(BindingError, st.integers(0, 255), ADDRESSES, LISTS),
)
UPDATE = BindingUpdate(7, UpdateFlag.ACKNOWLEDGE | UpdateFlag.HOME, 100)


@given(MESSAGES)
def test_round_trip(message: Message) -> None:
    header = message.encode()
    assert len(header) % 8 == 0
    assert len(header) == 8 * (header[1] + 1)
    assert decode(header) == message


@given(MESSAGES, ADDRESSES, ADDRESSES)
def test_checksum(message: Message, source: IPv6Address, destination: IPv6Address) -> None:
    header = with_checksum(message.encode(), source, destination)
    assert checksum_holds(header, source, destination)
    broken = header[:-1] + bytes((header[-1] ^ 1,))
    assert not checksum_holds(broken, source, destination)


@given(LISTS)
def test_options_stand_where_they_must(options: tuple[Option, ...]) -> None:
    """s6.2: multi-octet fields on natural boundaries."""
    header = replace(UPDATE, options=options).encode()
    at = 12
    for option in options:
        while header[at] != option.type:
            at += 1 if header[at] == 0 else 2 + header[at + 1]
        modulus, rest = option.alignment
        assert at % modulus == rest
        at += 2 + header[at + 1]


def test_an_update_octet_for_octet() -> None:
    header = replace(UPDATE, options=(AlternateCareOf(CARE_OF[0]),)).encode()
    fixed = bytes.fromhex("3b 03 05 00 0000 0007 c000 0064")
    assert header == fixed + bytes.fromhex("0100 0310") + CARE_OF[0].packed[:16] + b""


@pytest.mark.parametrize(
    ("header", "text"),
    [
        (b"", "cannot be"),
        (bytes(2048), "cannot be"),
        (b"\x06\0\0\0\0\0\0\0", "header 6 follows"),
        (b"\x3b\1\0\0\0\0\0\0", "length field"),
        (b"\x3b\0\1\0\0\0\0\0", "too few"),
        (b"\x3b\0\xc8\0\0\0\0\0", "type 200"),
        (UPDATE.encode()[:12] + b"\x03\x10\0\0", "past the end"),
        (UPDATE.encode()[:12] + b"\x04\x02\0\0", "option of 2 octets"),
        (UPDATE.encode()[:12] + b"\x09\x02\1\0", "without an SPI"),
    ],
)
def test_garbage(header: bytes, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        decode(header)


def test_an_unknown_type_is_told_apart() -> None:
    with pytest.raises(UnknownType):
        decode(b"\x3b\0\x08\0\0\0\0\0")


def test_a_binding_identifier_of_a_wrong_length_is_no_option_of_ours() -> None:
    header = replace(UPDATE, options=(Unknown(35, bytes(6)),)).encode()
    (option,) = decode(header).options
    assert option == Unknown(35, bytes(6))


def test_who_signed_an_update() -> None:
    header = sign(UPDATE, SA, CARE_OF[0], HOME)
    message = decode(header)
    assert isinstance(message, BindingUpdate)
    assert isinstance(message.options[-1], MessageAuthentication)

    def check(octets: bytes = header, care_of: IPv6Address = CARE_OF[0]) -> object:
        found = decode(octets)
        assert isinstance(found, BindingUpdate)
        return verify(octets, found, {SA.spi: SA}.get, care_of, HOME)

    assert check() is SA
    assert check(with_checksum(header, HOME, AGENT)) is SA, "the checksum is not covered"
    assert check(care_of=CARE_OF[1]) is None
    for at in [*range(6, len(header))]:
        if at in (12, 13):  # padding between: covered too, but may be no option any more
            continue
        broken = header[:at] + bytes((header[at] ^ 1,)) + header[at + 1 :]
        try:
            assert check(broken) is None, at
        except DecodeError:
            continue
    longer = header + bytes(8)
    longer = longer[:1] + bytes((len(longer) // 8 - 1,)) + longer[2:]
    assert check(longer) is None, "nothing may follow the authenticator"


def test_who_passed_both_tests() -> None:
    key = binding_key(b"h" * 8, b"c" * 8)
    update = BindingUpdate(1, UpdateFlag.ACKNOWLEDGE, 100, (NonceIndices(1, 2),))
    header = authorize(update, key, CARE_OF[0], CN)
    message = decode(header)
    assert isinstance(message, BindingUpdate)
    assert len(header) % 8 == 0
    assert is_authorized(header, message, key, CARE_OF[0], CN)
    assert not is_authorized(header, message, binding_key(b"h" * 8), CARE_OF[0], CN)
    assert not is_authorized(header, message, key, CARE_OF[1], CN)
    assert not is_authorized(update.encode(), update, key, CARE_OF[0], CN)


def test_bad_associations_and_tuning() -> None:
    for spi, key in ((255, bytes(16)), (256, bytes(15))):
        with pytest.raises(LocalError):
            SecurityAssociation(spi, key)
    for wrong in ({"lifetime_s": 3}, {"renew_fraction": 1.0}, {"attempts": 0}):
        with pytest.raises(LocalError):
            Tuning(**wrong)  # type: ignore[arg-type]


def test_sequence_numbers() -> None:
    """The RFC's example (s9.5.1): after 15, 0 to 15 and 32783 to 65535 are not greater."""
    greater = [number for number in range(65536) if is_after(number, 15)]
    assert greater == list(range(16, 32783))


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_all_of_them(tmp_path: Path) -> None:
    """Every message as Wireshark's dissector sees it, checksum included."""
    update = replace(
        UPDATE,
        options=(BindingId(3, care_of=CARE_OF[0]), ReplayProtection(0xE8_00_00_00_00_00_00_00)),
    )
    key = binding_key(b"h" * 8, b"c" * 8)
    direct = replace(UPDATE, flags=UpdateFlag.ACKNOWLEDGE, options=(NonceIndices(11, 12),))
    headers = [
        BindingRefreshRequest().encode(),
        HomeTestInit(b"homecook").encode(),
        CareOfTestInit(b"carecook").encode(),
        HomeTest(5, b"homecook", b"hometokn").encode(),
        CareOfTest(6, b"carecook", b"caretokn").encode(),
        sign(update, SA, CARE_OF[0], HOME),
        authorize(direct, key, CARE_OF[0], CN),
        BindingAcknowledgement(135, 9, 105, options=(RefreshAdvice(50),)).encode(),
        BindingError(1, HOME).encode(),
        replace(UPDATE, options=(AlternateCareOf(CARE_OF[1]),)).encode(),
    ]
    frames = [frame(header) for header in headers]
    capture = tmp_path / "mip6.pcap"
    records = b"".join(struct.pack("<IIII", 1, 0, len(f), len(f)) + f for f in frames)
    capture.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + records)
    fields = (
        "mip6.mhtype",
        "mip6.bu.seqnr",
        "mip6.ba.status",
        "mip6.acoa.acoa",
        "mip6.ni.hni",
        "mip6.bi.bid",
        "mip6.auth.mobility_spi",
        "_ws.malformed",
    )
    argv = ["tshark", "-n", "-r", str(capture), "-T", "fields", "-E", "separator=;"]
    for name in fields:
        argv += ["-e", name]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [line.split(";") for line in done.stdout.splitlines()]
    assert [int(row[0]) for row in rows] == [0, 1, 2, 3, 4, 5, 5, 6, 7, 5]
    assert not any(row[-1] for row in rows), rows
    shown = [dict(zip(fields, row, strict=True)) for row in rows]
    signed, both = shown[5], shown[6]
    assert (signed["mip6.bu.seqnr"], signed["mip6.bi.bid"]) == ("7", "3")
    assert signed["mip6.auth.mobility_spi"] in ("256", "0x00000100")
    assert both["mip6.ni.hni"] == "11"
    assert shown[7]["mip6.ba.status"] == "135"
    assert shown[9]["mip6.acoa.acoa"] == str(CARE_OF[1])


def frame(header: bytes) -> bytes:
    """An IPv6 packet."""
    head = struct.pack("!IHBB", 6 << 28, len(header), 135, 64) + CARE_OF[0].packed + CN.packed
    return head + with_checksum(header, CARE_OF[0], CN)
