"""The MN-AR keys that an access router holds, and whose they are. Sans-IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from mpa_hil.signalling.client import NamedSecret
from mpa_hil.tunnel.material import leave_key


@dataclass(frozen=True, slots=True)
class _Entry:
    owner: str
    secret: bytes = field(repr=False)
    leave: bytes = field(repr=False)


class Keyring:
    """Keys by name and by owner, the newest last."""

    def __init__(self) -> None:
        self._entries: dict[bytes, _Entry] = {}
        self._by_owner: dict[str, list[bytes]] = {}

    def add(self, key: NamedSecret, owner: str) -> None:
        """Hold a key; one that is held already stays as it was."""
        if key.name not in self._entries:
            self._entries[key.name] = _Entry(owner, key.secret, leave_key(key.secret))
            self._by_owner.setdefault(owner, []).append(key.name)

    def remove(self, name: bytes) -> None:
        """Hold it no more."""
        entry = self._entries.pop(name, None)
        if entry is not None:
            mine = self._by_owner[entry.owner]
            mine.remove(name)
            if not mine:
                del self._by_owner[entry.owner]

    def owner(self, name: bytes) -> str:
        """The identity that the home network vouched for; the key must be held."""
        return self._entries[name].owner

    def secret(self, name: bytes) -> bytes:
        """The key itself; it must be held."""
        return self._entries[name].secret

    def leave(self, name: bytes) -> bytes:
        """What end marks are made with; the key must be held."""
        return self._entries[name].leave

    def of(self, owner: str) -> tuple[bytes, ...]:
        """The names of all keys of one MN, the newest last."""
        return tuple(self._by_owner.get(owner, ()))
