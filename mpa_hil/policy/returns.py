"""Ping-pong: how often the node went back lately, and what that costs (C.1). Sans-IO."""

from __future__ import annotations

from typing import NamedTuple

from .situation import Situation

_NS_PER_S = 1_000_000_000


class Guard(NamedTuple):
    """How moves are slowed down.

    Attributes:
        dwell_s: between two moves at least, and so much more for each recent return.
        hysteresis_db: by which another access point must be better.
        growth_db: and so much more for each recent return.
        most_db: but no more than this.
        window_s: a move back to where the node came from within this time is a return, and is
            recent for as long.
    """

    dwell_s: float
    hysteresis_db: float
    growth_db: float
    most_db: float
    window_s: float

    def recent_returns(self, situation: Situation) -> int:
        """Moves back to an access point left less than `window_s` before, in the last such time."""
        window_ns = int(self.window_s * _NS_PER_S)
        moves = situation.moves
        count = 0
        for index in range(len(moves) - 1, 0, -1):
            move = moves[index]
            if move.t_ns < situation.now_ns - window_ns:
                break
            for earlier in range(index - 1, -1, -1):
                if moves[earlier].t_ns < move.t_ns - window_ns:
                    break
                if moves[earlier].old == move.new:
                    count += 1
                    break
        return count

    def margin_db(self, returns: int) -> float:
        """The hysteresis after so many recent returns."""
        return min(
            self.hysteresis_db + self.growth_db * returns, max(self.most_db, self.hysteresis_db)
        )

    def until_ns(self, situation: Situation, returns: int) -> int:
        """When the node may move again by its own wish; before its first move, at any time."""
        if not situation.moves:
            return 0
        return situation.moves[-1].t_ns + int(self.dwell_s * (1 + returns) * _NS_PER_S)
