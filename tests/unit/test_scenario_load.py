"""Lab files that are as they should be, and the settings laid over them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import msgspec
import pytest

from mpa_hil import scenario
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
TWO = LABS / "two_domains.toml"


@pytest.mark.parametrize("path", sorted(LABS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_lab_loads_and_is_named_after_its_file(path: Path) -> None:
    lab = scenario.load(path)
    assert lab.lab.name == path.stem
    assert lab.lab.description


def test_there_are_the_three_labs() -> None:
    assert {path.stem for path in LABS.glob("*.toml")} >= {"two_domains", "far_home", "l2_floor"}


def test_values_have_types() -> None:
    lab = scenario.load(TWO)
    assert lab.home.subnet == IPv4Network("10.0.0.0/24")
    assert lab.mn.home_address == IPv4Address("10.0.0.10")
    assert [ap.frequency_mhz for ap in lab.aps] == [2412, 2437]
    assert lab.sites == ("home", "A", "B", "correspondent")
    assert lab.domain_of("b1").name == "B"
    assert lab.link("home").delay_ms == 10


def test_far_home_differs_from_two_domains_in_the_home_link_alone() -> None:
    near, far = scenario.load(TWO), scenario.load(LABS / "far_home.toml")
    assert far.link("home").delay_ms == 100
    again = scenario.load(LABS / "far_home.toml", ["link.home.delay_ms=10"])
    assert [getattr(again, f) for f in near.__struct_fields__ if f != "lab"] == [
        getattr(near, f) for f in near.__struct_fields__ if f != "lab"
    ]


def test_link_subnets_do_not_meet() -> None:
    lab = scenario.load(TWO)
    subnets = [lab.link_subnet(site) for site in lab.sites]
    assert len(set(subnets)) == 4
    assert all(subnet.subnet_of(lab.core.subnet) for subnet in subnets)
    assert not any(a.overlaps(b) for a in subnets for b in subnets if a is not b)


def test_a_site_without_a_link_table_has_a_perfect_link() -> None:
    link = scenario.load(LABS / "l2_floor.toml").link("home")
    assert (link.delay_ms, link.jitter_ms, link.loss_percent, link.rate_mbit) == (0, 0, 0, None)


def test_documented_scheme_defaults() -> None:
    schemes = scenario.load(TWO).schemes
    assert (schemes.reactive.scan, schemes.reactive.pmksa_caching) == ("all", False)
    tuned = schemes.reactive_tuned
    assert (tuned.scan, tuned.pmksa_caching) == ("known", True)
    assert (tuned.dhcp_rapid_commit, tuned.dhcp_conflict_check) == (True, False)
    assert schemes.l2_floor.hold


@pytest.mark.parametrize(
    ("setting", "read", "expected"),
    [
        ("domain.B.ap.b1.channel=11", lambda s: s.ap("b1").channel, 11),
        ("domain.1.ap.0.channel=11", lambda s: s.ap("b1").channel, 11),
        ("link.home.delay_ms=100", lambda s: s.link("home").delay_ms, 100.0),
        ("link.home.delay_ms = 2.5", lambda s: s.link("home").delay_ms, 2.5),
        ("lab.name=other", lambda s: s.lab.name, "other"),
        ('lab.name="other"', lambda s: s.lab.name, "other"),
        ("lab.name=2026", lambda s: s.lab.name, "2026"),
        ("lab.description=a = b", lambda s: s.lab.description, "a = b"),
        ("lab.schemes=['reactive']", lambda s: s.lab.schemes, ("reactive",)),
        ("movement.point.2.signal_dbm=-99", lambda s: s.movement.points[2].signal_dbm, -99.0),
        ("flow.probe.codec=probe-1ms", lambda s: s.flows[1].codec, "probe-1ms"),
        ("schemes.reactive-tuned.scan=all", lambda s: s.schemes.reactive_tuned.scan, "all"),
        ("core.subnet=198.19.0.0/24", lambda s: str(s.core.subnet), "198.19.0.0/24"),
        ("mn.mac=02:00:00:00:00:99", lambda s: s.mn.mac, "02:00:00:00:00:99"),
        ("capture.air=false", lambda s: s.capture.air, False),
        ("home.agent.key=" + "1" * 32, lambda s: s.home.agent.key, "1" * 32),
    ],
)
def test_settings(setting: str, read: object, expected: object) -> None:
    assert callable(read)
    assert read(scenario.load(TWO, [setting])) == expected


def test_a_later_setting_wins_and_the_file_stays_as_it_is() -> None:
    before = TWO.read_bytes()
    lab = scenario.load(TWO, ["lab.seed=5", "lab.seed=6"])
    assert lab.lab.seed == 6
    assert TWO.read_bytes() == before


@pytest.mark.parametrize(
    ("setting", "what", "remedy"),
    [
        ("channel", "not a setting", "key.path=value"),
        ("=1", "not a setting", "key.path=value"),
        ("a..b=1", "not a setting", "key.path=value"),
        ("domain.C.realm=x", "there is no `C`", "known here: A, B"),
        ("domain.2.realm=x", "there is no `2`", "known here: A, B"),
        ("domain.B.ap.b9.channel=1", "there is no `b9`", "did you mean `b1`?"),
        ("link.home.delay=1", "unknown key `delay`", "did you mean `delay_ms`?"),
        ("links.home.delay_ms=1", "unknown key `links`", "did you mean `link`?"),
        ("domain=1", "expected `array`", "docs/lab_file.md"),
        ("lab.name.x=1", "`x` is not inside a table", "key"),
        ("domain.A=1", "`A` is not inside a table", "one key of a table"),
        ("link.home.delay_ms=inf", "not a finite number", "one-way delay"),
        ("capture.air=yes", "expected `bool`", "802.11"),
        ("lab.seed=1\nseed=2", "expected `int`", "random"),
    ],
)
def test_bad_settings(setting: str, what: str, remedy: str) -> None:
    with pytest.raises(LocalError) as caught:
        scenario.load(TWO, [setting])
    assert caught.value.exit_code == 2
    assert "--set" in caught.value.where
    assert what in caught.value.what
    assert remedy in caught.value.remedy


def test_an_error_says_that_the_value_came_from_a_setting() -> None:
    with pytest.raises(LocalError, match="11") as caught:
        scenario.load(TWO, ["domain.B.dhcp.first=10.11.0.1"])
    assert caught.value.where == f"{TWO}: domain.B.dhcp.first (from --set)"


@pytest.mark.parametrize("path", sorted(LABS.glob("*.toml")), ids=lambda path: path.stem)
def test_what_was_run_can_be_run_again(path: Path, tmp_path: Path) -> None:
    lab = scenario.load(path, ['lab.description=quotes " and \\ and ünïcode \x7f'])
    again = tmp_path / "lab.toml"
    again.write_text(scenario.to_toml(lab), encoding="utf-8")
    assert scenario.load(again) == lab
    assert scenario.decode(scenario.encode(lab)) == lab


def test_static_secrets_stay_out_of_the_copy_unless_keys_are_wanted(tmp_path: Path) -> None:
    psk, key, secret = "ab" * 32, "cd" * 16, "a-long-enough-secret"
    settings = [
        f"domain.A.ap.a1.psk={psk}",
        f"home.agent.key={key}",
        f"home.aaa.radius_secret={secret}",
    ]
    lab = scenario.load(LABS / "l2_floor.toml", settings)
    plain = scenario.to_toml(lab)
    assert not any(word in plain for word in (psk, key, secret))
    kept = scenario.to_toml(scenario.load(LABS / "l2_floor.toml", [*settings, "capture.keys=true"]))
    assert all(word in kept for word in (psk, key, secret))


def test_decode_refuses_what_encode_did_not_write() -> None:
    with pytest.raises(LocalError, match="not a scenario"):
        scenario.decode(b"{}")


class TestFloor:
    """The l2-floor's topology from a lab with two domains."""

    def test_one_domain_two_psk_aps_on_the_old_channels(self) -> None:
        lab = scenario.load(TWO)
        floor = scenario.floor_scenario(lab)
        assert [domain.name for domain in floor.domains] == ["A"]
        assert [(ap.name, ap.channel, ap.security) for ap in floor.aps] == [
            ("a1", 1, "wpa2-psk"),
            ("b1", 6, "wpa2-psk"),
        ]
        assert {link.name for link in floor.links} == {"home", "A", "correspondent"}
        assert floor.movement == lab.movement
        assert not scenario.is_floor(lab)
        assert scenario.is_floor(floor)

    def test_the_result_is_a_lab_of_its_own(self, tmp_path: Path) -> None:
        floor = scenario.floor_scenario(scenario.load(TWO))
        path = tmp_path / "floor.toml"
        path.write_text(scenario.to_toml(floor))
        assert scenario.load(path) == floor

    def test_a_floor_stays_as_it_is(self) -> None:
        floor = scenario.load(LABS / "l2_floor.toml")
        assert scenario.is_floor(floor)
        assert scenario.floor_scenario(floor) is floor


class TestMovement:
    """The signal trace as the lab's movement."""

    def test_switch(self) -> None:
        lab = scenario.load(TWO)
        switch = scenario.switch(lab)
        assert switch is not None
        assert (switch.old, switch.new) == ("a1", "b1")
        assert switch.leave_s == pytest.approx(1 + 2 * 15 / 35)
        assert switch.lost_s == pytest.approx(1 + 2 * 30 / 35)
        assert scenario.end_s(lab) == 3

    def test_no_switch_without_a_fall(self) -> None:
        lab = scenario.load(TWO)
        still = msgspec.structs.replace(
            lab, movement=msgspec.structs.replace(lab.movement, start="b1")
        )
        assert scenario.switch(still) is None
        with pytest.raises(LocalError, match="asks for no switch"):
            scenario.floor_scenario(still)
