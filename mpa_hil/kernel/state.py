"""What one agent has changed in its kernel, so that it can be changed back."""

from __future__ import annotations

import errno
from collections.abc import Hashable
from pathlib import Path
from types import TracebackType
from typing import Self

from mpa_hil.kernel.netlink import ABSENT, NetlinkError, NetlinkSocket, NoInterface, RouteSocket
from mpa_hil.kernel.objects import KernelObject
from mpa_hil.kernel.retirement import Retirement
from mpa_hil.kernel.scheduling import as_others
from radios.errors import MachineError

_SYSCTL = Path("/proc/sys")


class Ledger:
    """Kernel objects that one netlink protocol makes: apply, remove, undo all in reverse order.

    Applying what is applied already does nothing. Objects that an earlier process left behind are
    taken over, and go at `close`; an address that was there before is left in place.
    """

    def __init__(self, netlink: NetlinkSocket) -> None:
        self.netlink = netlink
        self._objects: dict[Hashable, KernelObject] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def objects(self) -> tuple[KernelObject, ...]:
        """What stands, in the order in which it was applied."""
        return tuple(self._objects.values())

    def apply(self, wanted: KernelObject) -> None:
        """Make it so, with one message when something stood in its place already.

        Raises:
            MachineError: the kernel refused, or an interface is missing.
        """
        standing = self._objects.get(wanted.key)
        if standing == wanted:
            return
        if standing is not None:
            self._replace(wanted)
            return
        try:
            self.netlink.request(wanted.create(), f"create {wanted}")
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
            if not wanted.replaces:
                return
            self._replace(wanted)
            return
        self._objects[wanted.key] = wanted

    def apply_all(self, *wanted: KernelObject) -> None:
        """Make all of them so with one send to the kernel.

        Raises:
            MachineError: the kernel refused one, or an interface is missing.
        """
        changed = [entry for entry in wanted if self._objects.get(entry.key) != entry]
        messages = [
            entry.replace() if entry.key in self._objects else entry.create() for entry in changed
        ]
        messages = [entry for entry in messages if entry]
        if not messages:
            return
        try:
            self.netlink.request(b"".join(messages), f"apply {changed}", len(messages))
        except NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
            for entry in changed:  # an earlier process left some of them
                self.apply(entry)
            return
        for entry in changed:
            self._objects[entry.key] = entry

    def remove(self, key: Hashable) -> None:
        """Take out what stands under `key`; nothing there is fine."""
        standing = self._objects.pop(key, None)
        if standing is None:
            return
        try:
            self.netlink.request(standing.remove(), f"remove {standing}")
        except NoInterface:
            return  # it went, and the object with it
        except NetlinkError as error:
            if error.errno not in ABSENT:
                raise

    def withdraw(self, wanted: KernelObject) -> None:
        """Take `wanted` out; what has taken its place since stays, and so does nothing at all."""
        if self._objects.get(wanted.key) == wanted:
            self.remove(wanted.key)

    def close(self) -> None:
        """Undo everything, the latest first.

        An interface that has gone took its routes and addresses with it, so that is no error.

        Raises:
            MachineError: the first refusal, after everything else has been undone.
        """
        first: MachineError | None = None
        for key in reversed(tuple(self._objects)):
            try:
                self._take_out(key)
            except MachineError as error:
                first = first or error
        if first is not None:
            raise first

    def _take_out(self, key: Hashable) -> None:
        self.remove(key)

    def _replace(self, wanted: KernelObject) -> None:
        change = wanted.replace()
        if change:
            self.netlink.request(change, f"change to {wanted}")
        self._objects[wanted.key] = wanted


class KernelState(Ledger):
    """A ledger of links, addresses, routes and the like, and of settings of this namespace."""

    def __init__(self, route: RouteSocket) -> None:
        super().__init__(route)
        self.route = route
        self._settings: dict[str, str] = {}
        self._retirement = Retirement()

    def apply(self, wanted: KernelObject) -> None:
        """See `Ledger.apply`; for the name of a device that is going, it waits."""
        if name := _device(wanted.key):
            self._retirement.wait(name)
        super().apply(wanted)

    def retire(self, key: Hashable) -> None:
        """Take out the device under `key` without waiting until it is gone; nothing there is fine.

        Whatever would need its name waits, and so does `close`.
        """
        if self._objects.pop(key, None) is not None:
            self._retirement.retire(_device(key))

    def _take_out(self, key: Hashable) -> None:
        """At the end: all devices at once."""
        if _device(key):
            self.retire(key)
        else:
            self.remove(key)

    def settled(self) -> None:
        """Wait until what was retired is gone.

        Raises:
            MachineError: the kernel refused.
        """
        self._retirement.wait()

    def set(self, name: str, value: str) -> None:
        """Write a sysctl of this namespace, such as `net/ipv4/ip_forward`; `close` restores it.

        Raises:
            MachineError: it cannot be written.
        """
        path = _SYSCTL / name
        try:
            before = path.read_text().strip()
            if before != value:
                with as_others():
                    path.write_text(value)
        except OSError as error:
            raise MachineError(
                f"it cannot be set to {value}: {error.strerror}",
                where=f"sysctl {name}",
                remedy="run it as root",
            ) from error
        self._settings.setdefault(name, before)

    def close(self) -> None:
        """Undo everything, the settings last.

        Raises:
            MachineError: the first refusal, after everything else has been undone.
        """
        try:
            super().close()
        finally:
            self._retirement.close()
            for name, value in self._settings.items():
                path = _SYSCTL / name
                if path.exists():
                    with as_others():
                        path.write_text(value)
            self._settings.clear()


def _device(key: Hashable) -> str:
    """The device that a key is of, or nothing."""
    if isinstance(key, tuple) and key[0] == "link":
        return str(key[1])
    return ""
