"""The E-model: transmission rating R and MOS from delay, loss and burstiness.

ITU-T G.107 (narrow band) with every default of its Table 2 except what a handover changes: the
one-way delay, the packet loss, its burst ratio, and the codec's Ie and Bpl. Section numbers below
are those of G.107.
"""

from __future__ import annotations

import math

# Table 2 of G.107: default values, dB and dBm0p unless noted.
SLR = 8.0  # send loudness rating
RLR = 2.0  # receive loudness rating
STMR = 15.0  # sidetone masking rating
DS = 3.0  # D-value of the telephone, send side
DR = 3.0  # D-value of the telephone, receive side
TELR = 65.0  # talker echo loudness rating
WEPL = 110.0  # weighted echo path loss
QDU = 1.0  # quantization distortion units
NC = -70.0  # circuit noise
NFOR = -64.0  # noise floor at the receive side
PS = 35.0  # room noise at the send side, dB(A)
PR = 35.0  # room noise at the receive side, dB(A)


def _basic() -> tuple[float, float]:
    """Ro, the signal-to-noise rating (s7.2), and No, the summed noise power, dBm0p."""
    olr = SLR + RLR
    nos: float = PS - SLR - DS - 100 + 0.004 * (PS - olr - DS - 14) ** 2
    pre = PR + 10 * math.log10(1 + 10 ** ((10 - (STMR + DR)) / 10))
    nor = RLR - 121 + pre + 0.008 * (pre - 35) ** 2
    no = 10 * math.log10(sum(10 ** (n / 10) for n in (NC, nos, nor, NFOR + RLR)))
    ro: float = 15 - 1.5 * (SLR + no)
    return ro, no


def _simultaneous(ro: float, no: float, delay_ms: float) -> float:
    """Is: what happens together with the voice (s7.3): loudness, sidetone, quantization."""
    olr = SLR + RLR
    xolr = olr + 0.2 * (64 + no - RLR)
    iolr: float = 20 * ((1 + (xolr / 8) ** 8) ** (1 / 8) - xolr / 8)
    echo = math.exp(-delay_ms / 4) * 10 ** (-TELR / 10)
    stmro = -10 * math.log10(10 ** (-STMR / 10) + echo)
    ist: float = (
        12 * (1 + abs((stmro - 13) / 6) ** 8) ** (1 / 8)
        - 28 * (1 + abs((stmro + 1) / 19.4) ** 35) ** (1 / 35)
        - 13 * (1 + abs((stmro - 3) / 33) ** 13) ** (1 / 13)
        + 29
    )
    q = 37 - 15 * math.log10(QDU)
    g = 1.07 + 0.258 * q + 0.0602 * q * q
    y = (ro - 100) / 15 + 46 / 8.4 - g / 9
    z = 46 / 30 - g / 40
    iq: float = 15 * math.log10(1 + 10**y + 10**z)
    return iolr + ist + iq


def delay_impairment(delay_ms: float) -> float:
    """Id for a one-way delay, ms (s7.4): talker echo, listener echo, and sheer delay.

    Mean one-way delay T, absolute delay Ta and half of the round trip Tr are taken as the same.
    """
    ro, no = _basic()
    terv: float = (
        TELR
        - 40 * math.log10((1 + delay_ms / 10) / (1 + delay_ms / 150))
        + 6 * math.exp(-0.3 * delay_ms**2)
    )
    re = 80 + 2.5 * (terv - 14)
    roe = -1.5 * (no - RLR)
    half = (roe - re) / 2
    idte = (half + math.sqrt(half * half + 100) - 1) * (1 - math.exp(-delay_ms))
    rle: float = 10.5 * (WEPL + 7) * (2 * delay_ms + 1) ** -0.25
    half = (ro - rle) / 2
    idle = half + math.sqrt(half * half + 169)
    idd = 0.0
    if delay_ms > 100:
        x = math.log2(delay_ms / 100)
        idd = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return idte + idle + idd


def equipment_impairment(ie: float, bpl: float, loss: float, burst_ratio: float = 1.0) -> float:
    """Ie,eff for a loss ratio 0..1 (s7.5): (95 - Ie) Ppl / (Ppl / BurstR + Bpl) above Ie."""
    percent = 100 * loss
    return ie + (95 - ie) * percent / (percent / max(burst_ratio, 1.0) + bpl)


def rating(
    delay_ms: float, loss: float, burst_ratio: float = 1.0, *, ie: float = 0.0, bpl: float = 4.3
) -> float:
    """R, the transmission rating factor: Ro - Is - Id - Ie,eff, advantage factor 0.

    Args:
        delay_ms: mean one-way mouth-to-ear delay, ms; play-out buffer included where there is one.
        loss: ratio of lost packets, 0..1.
        burst_ratio: mean observed burst of losses over the one that random loss would give, >= 1.
        ie: equipment impairment factor of the codec (G.113).
        bpl: packet-loss robustness factor of the codec (G.113).
    """
    delay_ms = max(delay_ms, 0.0)
    ro, no = _basic()
    impairment = delay_impairment(delay_ms) + equipment_impairment(ie, bpl, loss, burst_ratio)
    return ro - _simultaneous(ro, no, delay_ms) - impairment


def mos(r: float) -> float:
    """Mean opinion score (MOS-CQE, 1 to 4.5) of a rating (G.107 Annex B)."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


def burst_ratio(lost: list[bool]) -> float:
    """BurstR of a loss pattern in sequence order (G.107 s7.5): 1 for random loss or for none.

    The mean length of the observed runs of losses, divided by 1 / (1 - p), the mean length that
    independent losses of the same ratio p would have. Never below 1 (the model's range).
    """
    losses = sum(lost)
    if not losses or losses == len(lost):
        return 1.0
    runs = sum(1 for before, now in zip([False, *lost], lost, strict=False) if now and not before)
    return max(1.0, losses / runs * (1 - losses / len(lost)))
