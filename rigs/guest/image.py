"""The guest's root image: built once from a package list, cached by what it is made from.

An image is a folder in the cache, named by a digest of everything that goes into it::

    guest-<digest>/root.ext2       the root file system, attached to the guest as an nvdimm
                   vmlinuz         Debian's stock kernel
                   vmlinux         the same, unpacked
                   loader.cpio     the unchanging part of the initramfs

The build needs no root (mmdebstrap then works in a user namespace). It goes on in a scratch folder
that takes its final name only when whole, so an interrupted build leaves nothing that looks done.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from radios.errors import MachineError

from . import cpio

HERE = Path(__file__).parent
PACKAGES = HERE / "packages.list"
LOADER_SCRIPT = HERE / "init.sh"
PYTHON_LOCK = HERE.parent / "setup" / "test.txt"

SUITE = "bookworm"
GUEST_PYTHON = "3.11"
RECIPE = 2
"""Raise when the way of building changes in a manner that the digest cannot see."""

BLOCK = 4096
IMAGE_STEP = 128 << 20
"""An nvdimm's size must be a multiple of the memory section size, 128 MiB on x86-64."""
SPACE_NEEDED = 4 << 30
"""Octets free in the cache's file system before a build: tree, tar, image and wheels, with room."""

_KERNEL, _PLAIN = "vmlinuz", "vmlinux"
LOADER_MODULES = ("crc32c_generic", "nfit", "nd_pmem", "ext4", "overlay")

_SETUP_SECTORS, _PAYLOAD = 0x1F1, 0x248
"""Where a bzImage's header has them."""

UNWANTED = (
    "/usr/share/man/*",
    "/usr/share/doc/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    *(
        f"{root}/modules/*/kernel/{part}/*"
        for root in ("/lib", "/usr/lib")
        for part in (
            "sound",
            *(f"drivers/{name}" for name in ("gpu", "media", "infiniband", "scsi", "usb", "iio")),
            *(f"drivers/{name}" for name in ("staging", "md", "mmc", "mtd", "isdn", "hwmon")),
            "drivers/net/ethernet",
        )
    ),
)
REQUIRED_TOOLS = {
    "mmdebstrap": "mmdebstrap",
    "genext2fs": "genext2fs",
    "qemu-system-x86_64": "qemu-system-x86",
}
"""Program -> the Debian package that has it."""


@dataclass(frozen=True, slots=True)
class Image:
    """A finished image; all paths exist."""

    folder: Path

    @property
    def root(self) -> Path:
        return self.folder / "root.ext2"

    @property
    def kernel(self) -> Path:
        """Unpacked where that could be done: decompressing it is a quarter of an emulated boot."""
        plain = self.folder / _PLAIN
        unpacked = plain.is_file() and plain.stat().st_size
        return plain if unpacked else self.folder / _KERNEL

    @property
    def loader(self) -> Path:
        return self.folder / "loader.cpio"


def cache_folder() -> Path:
    """Where images are kept: ``$MPA_HIL_CACHE``, else the user's cache folder."""
    chosen = os.environ.get("MPA_HIL_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mpa-hil"


def packages() -> list[str]:
    """The Debian packages of the image, in the list's order."""
    lines = (line.split("#", 1)[0].strip() for line in PACKAGES.read_text().splitlines())
    return [line for line in lines if line]


def digest() -> str:
    """What the image is made from, as sixteen hexadecimal digits."""
    made_from = hashlib.sha256()
    settings = (SUITE, GUEST_PYTHON, RECIPE, packages(), UNWANTED, LOADER_MODULES, IMAGE_STEP)
    made_from.update(repr(settings).encode())
    for file in (LOADER_SCRIPT, PYTHON_LOCK):
        made_from.update(file.read_bytes())
    return made_from.hexdigest()[:16]


def find() -> Image | None:
    """The image if it is built already."""
    folder = cache_folder() / f"guest-{digest()}"
    return Image(folder) if folder.is_dir() else None


def missing_tools() -> list[str]:
    """Debian packages that building or booting needs and that are not installed."""
    return [package for tool, package in REQUIRED_TOOLS.items() if shutil.which(tool) is None]


def ensure(progress: Callable[[str], None] = lambda _text: None) -> Image:
    """The image, built now if it is not in the cache.

    Args:
        progress: told, in a few words, what is being done; building takes minutes.

    Raises:
        MachineError: a tool is missing, the disk is full, or the build failed (its log's path is
            given).
    """
    found = find()
    if found:
        if not (found.folder / _PLAIN).exists():
            with contextlib.suppress(OSError):  # somebody else's cache: it runs as it is
                _unpack_kernel(found.folder)
        return found
    if missing := missing_tools():
        raise MachineError(
            f"cannot build the guest image: {', '.join(missing)} not installed",
            remedy=f"sudo apt-get install --no-install-recommends {' '.join(missing)}",
        )
    cache = cache_folder()
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineError(
            f"cannot make the cache folder: {error.strerror}",
            where=str(cache),
            remedy="set MPA_HIL_CACHE to a folder that you may write to",
        ) from error
    with _locked(cache / "build.lock"):
        found = find()
        if found:
            return found
        free = shutil.disk_usage(cache).free
        if free < SPACE_NEEDED:
            raise MachineError(
                f"{free >> 20} MiB free, building the guest image needs {SPACE_NEEDED >> 20} MiB",
                where=str(cache),
                remedy="free some space, or set MPA_HIL_CACHE to a folder on a larger disk",
            )
        scratch = Path(tempfile.mkdtemp(prefix="building-", dir=cache))
        try:
            _build(scratch, progress)
            folder = cache / f"guest-{digest()}"
            (scratch / "image").rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        return Image(folder)


def _build(scratch: Path, progress: Callable[[str], None]) -> None:
    image = scratch / "image"
    image.mkdir()
    log = cache_folder() / "build.log"
    log.write_bytes(b"")

    progress("fetching the guest's Python packages")
    site = scratch / "site"
    _run(log, *_pip_command(site))

    progress(f"building the guest's root from {len(packages())} Debian packages")
    tar = scratch / "root.tar"
    # mmdebstrap's own user namespace must be able to enter the scratch folder.
    scratch.chmod(0o755)
    environment = {**os.environ, "TMPDIR": str(scratch), "TMP": str(scratch)}
    _run(log, *_mmdebstrap_command(site, tar), env=environment)

    progress("turning it into an image")
    octets = tar.stat().st_size * 5 // 4 + (64 << 20)
    octets += -octets % IMAGE_STEP
    root = image / "root.ext2"
    size = ("-B", str(BLOCK), "-b", str(octets // BLOCK), "-N", "60000")
    _run(log, "genext2fs", *size, "-U", "-a", str(tar), str(root))
    with root.open("r+b") as stream:
        stream.truncate(octets)
    with tarfile.open(tar) as archive:
        _take_kernel(archive, image)


def _pip_command(site: Path) -> list[str]:
    """Wheels for the guest's Python, whatever Python the host has."""
    target = ["--target", str(site), "--python-version", GUEST_PYTHON, "--implementation", "cp"]
    for tag in ("manylinux_2_34_x86_64", "manylinux_2_28_x86_64", "manylinux2014_x86_64"):
        target += ["--platform", tag]
    options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--no-compile"]
    return [sys.executable, "-m", "pip", "install", *options, *target, "-r", str(PYTHON_LOCK)]


def _mmdebstrap_command(site: Path, tar: Path) -> list[str]:
    command = ["mmdebstrap", "--variant=apt", f"--include={','.join(packages())}"]
    command += ['--aptopt=APT::Install-Recommends "false"', "--dpkgopt=force-confold"]
    command += [f"--dpkgopt=path-exclude={pattern}" for pattern in UNWANTED]
    # The guest boots with the loader made here: no initramfs of Debian's is wanted.
    conf = '"$1"/etc/initramfs-tools'
    command.append(
        f"--setup-hook=mkdir -p {conf} && echo update_initramfs=no > {conf}/update-initramfs.conf"
    )
    command += ['--customize-hook=mkdir -p "$1"/opt', f"--customize-hook=copy-in {site} /opt"]
    # Unchecked, because the image's files lose their times, and Python would compile all again.
    compiling = "python3 -m compileall -q -f --invalidation-mode unchecked-hash"
    modules = f"/opt/site /usr/lib/python{GUEST_PYTHON} /usr/lib/python3"
    command.append(f'--customize-hook=chroot "$1" {compiling} {modules} || true')
    command.append('--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*')
    return [*command, SUITE, str(tar)]


def _take_kernel(archive: tarfile.TarFile, image: Path) -> None:
    """Copy out the kernel and pack the loader with the modules that find the root image."""
    names = archive.getnames()
    kernel = next(name for name in names if name.startswith("./boot/vmlinuz-"))
    version = kernel.removeprefix("./boot/vmlinuz-")
    (image / _KERNEL).write_bytes(_read(archive, kernel))
    _unpack_kernel(image)

    modules = next(n for n in names if n.endswith(f"/modules/{version}/modules.dep"))
    base = modules.removesuffix("/modules.dep")
    order = load_order(_read(archive, modules).decode(), LOADER_MODULES)
    loader = cpio.Archive()
    loader.file("init", LOADER_SCRIPT.read_bytes(), 0o755)
    busybox = next(n for n in names if n in ("./usr/bin/busybox", "./bin/busybox"))
    loader.file("bin/busybox", _read(archive, busybox), 0o755)
    for path in order:
        loader.file(f"modules/{Path(path).name}", _read(archive, f"{base}/{path}"))
    listing = "".join(f"{Path(path).name}\n" for path in order)
    loader.file("modules/order", listing.encode())
    (image / "loader.cpio").write_bytes(loader.close())


def _unpack_kernel(image: Path) -> None:
    """Lay the kernel beside itself as what it is, an ELF file; an empty one where that fails."""
    plain = elf_kernel((image / _KERNEL).read_bytes())
    fresh = image / f"{_PLAIN}.{os.getpid()}"
    fresh.write_bytes(plain)
    fresh.replace(image / _PLAIN)


def elf_kernel(packed: bytes) -> bytes:
    """The kernel inside a bzImage (Documentation/arch/x86/boot.rst: `payload_offset`).

    Returns:
        An ELF file; empty where it is packed by other means than xz, as Debian's is.
    """
    sectors = packed[_SETUP_SECTORS] or 4
    offset, octets = struct.unpack_from("<II", packed, _PAYLOAD)
    start = (sectors + 1) * 512 + offset
    try:
        # Behind the stream lies its unpacked length.
        plain = lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(packed[start : start + octets])
    except lzma.LZMAError:
        return b""
    return plain if plain.startswith(b"\x7fELF") else b""


def load_order(modules_dep: str, wanted: tuple[str, ...]) -> list[str]:
    """Paths of the wanted modules and what they depend on, each after what it needs.

    Args:
        modules_dep: the text of the kernel's ``modules.dep``.
        wanted: module names; one that is not listed is built into the kernel.
    """
    needs: dict[str, list[str]] = {}
    by_name: dict[str, str] = {}
    for line in modules_dep.splitlines():
        path, _, rest = line.partition(":")
        # depmod lists what a module needs from the nearest to the farthest.
        needs[path] = rest.split()[::-1]
        by_name[Path(path).name.split(".")[0].replace("-", "_")] = path
    paths = [by_name[name] for name in wanted if name in by_name]
    return list(dict.fromkeys(p for path in paths for p in (*needs[path], path)))


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.extractfile(name)
    if member is None:
        raise MachineError(f"the root tree has no {name}", where="guest image")
    return member.read()


def _run(log: Path, *command: str, env: dict[str, str] | None = None) -> None:
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(command)}\n".encode())
        stream.flush()
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, env=env
        )
    if ended.returncode:
        last = log.read_text(errors="replace").splitlines()[-6:]
        raise MachineError(
            f"{command[0]} failed with status {ended.returncode}:\n    " + "\n    ".join(last),
            where="guest image",
            remedy=f"the whole log is in {log}; then try again",
        )


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """One build at a time on a machine; a second caller waits for the first."""
    with path.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield
