"""The kernel that is booted: unpacked ahead, where it is packed as Debian packs it."""

from __future__ import annotations

import lzma
import struct
from pathlib import Path

import pytest

from rigs.guest.image import Image, elf_kernel

ELF = b"\x7fELF" + bytes(range(256)) * 8


def bzimage(payload: bytes, *, sectors: int = 3) -> bytes:
    """A boot protocol header, real-mode sectors, 100 octets of code, the payload."""
    real_mode = bytearray((sectors + 1) * 512)
    real_mode[0x1F1] = sectors
    struct.pack_into("<II", real_mode, 0x248, 100, len(payload))
    return bytes(real_mode) + b"\xcc" * 100 + payload + b"\xcc" * 50


@pytest.mark.parametrize("sectors", [1, 3, 31])
def test_a_kernel_packed_by_xz(sectors: int) -> None:
    packed = lzma.compress(ELF) + struct.pack("<I", len(ELF))
    assert elf_kernel(bzimage(packed, sectors=sectors)) == ELF


@pytest.mark.parametrize("payload", [b"\x1f\x8b" + ELF, lzma.compress(b"no ELF file")[:-4], b""])
def test_one_that_is_packed_otherwise(payload: bytes) -> None:
    assert elf_kernel(bzimage(payload)) == b""


def test_the_unpacked_one_is_booted_where_it_is_there(tmp_path: Path) -> None:
    image = Image(tmp_path)
    assert image.kernel.name == "vmlinuz"
    (tmp_path / "vmlinux").write_bytes(b"")
    assert image.kernel.name == "vmlinuz", "it could not be unpacked"
    (tmp_path / "vmlinux").write_bytes(ELF)
    assert image.kernel.name == "vmlinux"
