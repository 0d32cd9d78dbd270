"""What is kept of networks that were left, for a quick return (RFC 6252 C.1, C.2). Sans-IO."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .interface import Decision, KeepContext, LetGo, Value

_NS_PER_S = 1_000_000_000


class Contexts:
    """Which, and until when.

    Args:
        most: of so many networks; 0: none.
        for_ns: how long each.
    """

    def __init__(self, most: int, for_ns: int) -> None:
        self.serving = ""
        """Where the node is."""
        self._most = most
        self._for_ns = for_ns
        self._until: dict[str, int] = {}

    def has(self, ap: str) -> bool:
        """Whether it is kept."""
        return ap in self._until

    def arrived(self, ap: str, old: str, now_ns: int) -> Iterator[Decision]:
        """The node is there now, and has left `old`, if that is not empty."""
        self.serving = ap
        self._until.pop(ap, None)
        if not old or not self._most or not self._for_ns:
            return
        self._until.pop(old, None)  # so that it comes last
        if len(self._until) >= self._most:
            oldest = next(iter(self._until))
            del self._until[oldest]
            inputs: dict[str, Value] = {"contexts": self._most, "left": old}
            yield LetGo(oldest, rule="too-many-contexts", inputs=inputs)
        self._until[old] = now_ns + self._for_ns
        inputs = {"left": old, "for_s": self._for_ns / _NS_PER_S}
        yield KeepContext(old, self._for_ns, rule="keep-context", inputs=inputs)

    def due(self, now_ns: int, busy: Callable[[str], bool]) -> Iterator[Decision]:
        """Let go of what has been kept for long enough.

        Args:
            busy: whether the node is about to go there: then it is kept a little longer.
        """
        if not self._until:
            return
        for ap in [each for each, until_ns in self._until.items() if until_ns <= now_ns]:
            if busy(ap):
                self._until[ap] = now_ns + _NS_PER_S
            else:
                del self._until[ap]
                yield LetGo(ap, rule="context-over", inputs={"for_s": self._for_ns / _NS_PER_S})

    def lost(self, ap: str) -> None:
        """Nothing is held there any more."""
        self._until.pop(ap, None)

    def next_ns(self) -> int | None:
        """When the next one is over."""
        return min(self._until.values(), default=None)
