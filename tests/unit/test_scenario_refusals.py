"""Every bad lab file is refused with the file, the key and what to do about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpa_hil import scenario
from radios.errors import LocalError

LABS = Path(__file__).parents[2] / "lab_configs"
TWO = (LABS / "two_domains.toml").read_text(encoding="utf-8")
FLOOR = (LABS / "l2_floor.toml").read_text(encoding="utf-8")


def refused(tmp_path: Path, text: str, settings: list[str] | None = None) -> LocalError:
    """The error that a lab file with this text is refused with."""
    path = tmp_path / "bad.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(LocalError) as caught:
        scenario.load(path, settings or [])
    error = caught.value
    assert error.exit_code == 2
    assert str(path) in error.where
    assert error.remedy
    return error


# Each row: words of the file replaced (once), the key named, words of the error, of the remedy.
REPLACED = [
    ("realm =", "relam =", "home.relam", "unknown key", "did you mean `realm`?"),
    ("channel = 1\n", "chanel = 1\n", "domain.A.ap.a1.chanel", "unknown key", "`channel`?"),
    ("[capture]", "[kapture]", "kapture", "unknown key", "did you mean `capture`?"),
    ("channel = 1\n", "", "domain.A.ap.a1.channel", "missing", "add `channel = ...`"),
    ("[correspondent]\n", "[core]\n", "correspondent", "missing", "add a table `[correspondent]`"),
    ("channel = 1\n", 'channel = "1"\n', "domain.A.ap.a1.channel", "expected `int`", "1 to 13"),
    ("channel = 1\n", "channel = 14\n", "domain.A.ap.a1.channel", "14 is no", "1 to 13"),
    ("channel = 1\n", "channel = 0\n", "domain.A.ap.a1.channel", "0 is no", "1 to 13"),
    ("channel = 1\n", "channel = 37\n", "domain.A.ap.a1.channel", "37 is no", "36, 40"),
    ("channel = 1\n", "channel = 52\n", "domain.A.ap.a1.channel", "radar", "36, 40"),
    ('"10.2.0.0/24"', '"10.1.0.0/16"', "domain.B.subnet", "overlaps domain.A.subnet", "own subnet"),
    ('"10.9.0.0/24"', '"10.0.0.0/25"', "correspondent.subnet", "overlaps home.subnet", "own"),
    ('"10.9.0.0/24"', '"198.18.0.0/25"', "core.subnet", "overlaps correspondent", "own subnet"),
    ('"10.9.0.0/24"', '"10.9.0.1/24"', "correspondent.subnet", "host bits", "the CN's subnet"),
    ('"10.9.0.0/24"', '"10.9.0.0"', "correspondent.subnet", "lacks its prefix", "/8 to /28"),
    ('"10.9.0.0/24"', '"10.9.0.0/29"', "correspondent.subnet", "not between", "/24"),
    ('"10.9.0.0/24"', '"224.0.0.0/24"', "correspondent.subnet", "not for hosts", "RFC 1918"),
    ('"10.9.0.0/24"', "10", "correspondent.subnet", "expected text", "the CN's subnet"),
    ('"10.1.0.100"', '"10.2.0.99"', "domain.A.dhcp.first", "outside the subnet", "10.1.0.4"),
    ('"10.1.0.199"', '"10.1.0.255"', "domain.A.dhcp.last", "fixed addresses", "10.1.0.254"),
    ('"10.1.0.100"', '"10.1.0.1"', "domain.A.dhcp.first", "fixed addresses", "10.1.0.4"),
    ('"10.1.0.199"', '"10.1.0.50"', "domain.A.dhcp.last", "before it begins", "exchange"),
    ('"10.1.0.100"', '"ten"', "domain.A.dhcp.first", "'ten'", "lowest address"),
    ("lease_s = 600", "lease_s = 10", "domain.A.dhcp.lease_s", ">= 120", "lease time"),
    ("0a:01", "0a", "domain.A.ap.a1.bssid", "not a MAC address", "six octets"),
    ('"02:00:00:00:0a', '"03:00:00:00:0a', "domain.A.ap.a1.bssid", "group address", "02:00"),
    ("02:00:00:00:0a:01", "00:00:00:00:00:00", "domain.A.ap.a1.bssid", "zero address", "six"),
    ("0b:01", "0A:01", "domain.B.ap.b1.bssid", "is taken by domain.A.ap.a1.bssid", "its own"),
    ("02:00:00:00:00:10", "02:00:00:00:0b:01", "mn.mac", "taken by domain.B.ap.b1.bssid", "own"),
    ("02:00:00:00:00:10", "ff:ff:ff:ff:ff:ff", "mn.mac", "group address", "even"),
    ('"operator-b"', '"operator-a"', "domain.B.ap.b1.ssid", "already that of domain A", "its own"),
    ('"operator-a"', '""', "domain.A.ap.a1.ssid", "SSID of 0 octets", "1 to 32"),
    ('"operator-a"', f'"{"x" * 33}"', "domain.A.ap.a1.ssid", "SSID of 33 octets", "1 to 32"),
    ('"operator-a"', f'"{"ü" * 17}"', "domain.A.ap.a1.ssid", "SSID of 34 octets", "outside ASCII"),
    ('"operator-a"', '"a\\nb"', "domain.A.ap.a1.ssid", "control character", "printable"),
    (
        'security = "wpa2-enterprise"',
        'security = "wep"',
        "domain.A.ap.a1.security",
        "wep",
        "802.1X",
    ),
    ('pmf = "optional"', f'psk = "{"ab" * 32}"', "domain.A.ap.a1.psk", "802.1X", "wpa2-psk"),
    ('name = "B"', 'name = "A"', "domain.A.name", "taken by", "its own"),
    ('name = "b1"', 'name = "a1"', "domain.B.ap.a1.name", "taken by", "its own"),
    ('name = "b1"', 'name = "mn"', "domain.B.ap.mn.name", "the lab's own", "another name"),
    ('name = "b1"', 'name = "A-aaa"', "domain.B.ap.A-aaa.name", "the lab's own", "another name"),
    ('name = "B"', 'name = "home"', "domain.home.name", "the lab's own", "another name"),
    ('name = "b1"', 'name = "b 1"', "domain.B.ap.b 1.name", "cannot be a name", "a letter"),
    ('name = "b1"', 'name = "averylongname"', "domain.B.ap.averylongname.name", "cannot", "10"),
    ('"b.example"', '"A.Example"', "domain.B.realm", "taken by domain.A.realm", "its own"),
    ('"b.example"', '"nodots"', "domain.B.realm", "not a realm", "home.example"),
    ('"mn@home.example"', '"mn"', "mn.identity", "not a network access", "user@home.example"),
    ('"mn@home.example"', '"mn@b.example"', "mn.identity", "not the home realm", "mn@home.example"),
    ('"10.0.0.10"', '"10.5.0.10"', "mn.home_address", "outside the home subnet", "10.0.0.3"),
    ('"10.0.0.10"', '"10.0.0.1"', "mn.home_address", "the home agent", "10.0.0.3"),
    ("delay_ms = 10\n", "delay_ms = -1\n", "link.home.delay_ms", ">= 0", "one-way delay"),
    ("delay_ms = 10\n", "delay_ms = nan\n", "link.home.delay_ms", "not a finite", "one-way delay"),
    ("delay_ms = 10\n", "loss_percent = 101\n", "link.home.loss_percent", "<= 100", "random loss"),
    (
        "delay_ms = 10\n",
        "jitter_ms = 3\n",
        "link.home.jitter_ms",
        "needs a delay",
        "raise delay_ms",
    ),
    ("delay_ms = 10\n", "rate_mbit = 0\n", "link.home.rate_mbit", "> 0", "rate of each"),
    ('name = "home"', 'name = "hone"', "link.hone.name", "no site 'hone'", "did you mean `home`?"),
    ('[[link]]\nname = "B"', '[[link]]\nname = "A"', "link.A.name", "taken by", "its own"),
    ('codec = "G.711"', 'codec = "G.771"', "flow.voice.codec", "unknown codec", "`g711`?"),
    ('codec = "G.711"', "", "flow.voice.codec", "does not say its packets", "give codec"),
    ('codec = "G.711"', "spacing_ms = 5", "flow.voice.payload_bytes", "does not say", "spacing_ms"),
    (
        'codec = "G.711"',
        'codec = "G.711"\nspacing_ms = 5',
        "flow.voice.spacing_ms",
        "already",
        "or",
    ),
    ('codec = "G.711"', "spacing_ms = 0", "flow.voice.spacing_ms", ">= 0.1", "between packets"),
    ('name = "probe"', 'name = "voice"', "flow.voice.name", "taken by", "its own"),
    ('name = "probe"', 'name = "a/b"', "flow.a/b.name", "cannot be a name", "letters"),
    ('"reactive-tuned"', '"reactive-tund"', "lab.schemes", "unknown scheme", "`reactive-tuned`?"),
    ('"reactive-tuned"', '"reactive"', "lab.schemes", "taken by", "its own"),
    ('name = "two_domains"', 'name = "../x"', "lab.name", "cannot name a folder", "letters"),
    ('start = "a1"', 'start = "a2"', "movement.start", "no access point 'a2'", "`a1`?"),
    ('start = "a1"', 'start = "b1"', "movement.start", "not above -75", "heard well"),
    ("leave_dbm = -75", "leave_dbm = -91", "movement.lost_dbm", "before the MN wants", "lower"),
    ('t_s = 1\nap = "a1"', 't_s = 1\nap = "x"', "movement.point.1.ap", "no access point", "a1"),
    ("t_s = 3", "t_s = 1", "movement.point.2.t_s", "not after the point before", "order of time"),
    ("t_s = 3", "t_s = -3", "movement.point.2.t_s", ">= 0", "warm-up"),
    ("signal_dbm = -95", "signal_dbm = -70", "movement.point", "nothing makes the MN move", "fall"),
    ("signal_dbm = -95", "signal_dbm = -85", "movement.point", "never falls to lost_dbm", "loss"),
    ("t_s = 2", "t_s = 20", "movement.point", "no AP is above -75", "rise earlier"),
    ("waiting_s = 3", "waiting_s = 0", "measure.waiting_s", "> 0", "counts as lost"),
    ("lifetime_s = 300", "lifetime_s = 65535", "home.agent.lifetime_s", "<= 65534", "longest"),
    ("lifetime_s = 300", "spi = 255", "home.agent.spi", ">= 256", "reserved"),
    ("lifetime_s = 300", 'key = "abcd"', "home.agent.key", "no MN-HA key", "rand -hex 16"),
    ("lifetime_s = 300", f'key = "{"xy" * 16}"', "home.agent.key", "no MN-HA key", "hexadecimal"),
    (
        "[home.agent]\n",
        '[home.aaa]\nradius_secret = "testing123"\n[home.agent]\n',
        "home.aaa.radius_secret",
        "too short a secret",
        "16 or more",
    ),
]


@pytest.mark.parametrize(("old", "new", "key", "what", "remedy"), REPLACED)
def test_refused(tmp_path: Path, old: str, new: str, key: str, what: str, remedy: str) -> None:
    assert old in TWO
    error = refused(tmp_path, TWO.replace(old, new, 1))
    assert error.where.endswith(f": {key}")
    assert what in error.what
    assert remedy in error.remedy


FLOOR_REPLACED = [
    (
        '"floor-2"',
        '"floor-2"\npsk = "abc"',
        "domain.A.ap.a2.psk",
        "of 3 characters",
        "rand -hex 32",
    ),
    ('"floor-2"', f'"floor-2"\npsk = "{"zz" * 32}"', "domain.A.ap.a2.psk", "pre-shared", "hexa"),
    (
        '"floor-2"\nbssid = "02:00:00:00:0a:02"\nchannel = 6\nsecurity = "wpa2-psk"',
        '"floor-1"\nbssid = "02:00:00:00:0a:02"\nchannel = 6\nsecurity = "wpa2-enterprise"',
        "domain.A.ap.a2.ssid",
        "also on a1, with another security",
        "same SSID, same security",
    ),
    (
        "hold = true",
        "hold_limit_octets = 0",
        "schemes.l2-floor.hold_limit_octets",
        ">= 2000",
        "most",
    ),
    ("hold = true", "holdd = true", "schemes.l2-floor.holdd", "unknown key", "`hold`?"),
    ("[schemes.l2-floor]", "[schemes.floor]", "schemes.floor", "unknown key", "`l2-floor`?"),
]


@pytest.mark.parametrize(("old", "new", "key", "what", "remedy"), FLOOR_REPLACED)
def test_refused_floor(
    tmp_path: Path, old: str, new: str, key: str, what: str, remedy: str
) -> None:
    assert old in FLOOR
    error = refused(tmp_path, FLOOR.replace(old, new, 1))
    assert error.where.endswith(f": {key}")
    assert what in error.what
    assert remedy in error.remedy


def test_an_ap_that_the_trace_leaves_out(tmp_path: Path) -> None:
    text = (
        TWO[: TWO.index('[[movement.point]]\nt_s = 0\nap = "b1"')] + TWO[TWO.index("[capture]") :]
    )
    error = refused(tmp_path, text)
    assert error.where.endswith(": movement.point")
    assert "says nothing about b1" in error.what
    assert '[[movement.point]]` with ap = "b1"' in error.remedy


@pytest.mark.parametrize(
    ("table", "key", "what"),
    [("flow", "flow", "no traffic"), ("domain", "domain", "no visited domain")],
)
def test_empty_lists(tmp_path: Path, table: str, key: str, what: str) -> None:
    error = refused(tmp_path, TWO, [f"{table}=[]"])
    assert error.where.endswith(f": {key} (from --set)")
    assert what in error.what
    assert f"[[{table}]]" in error.remedy


class TestFile:
    """The lab file itself."""

    def test_absent(self, tmp_path: Path) -> None:
        (tmp_path / "other.toml").touch()
        with pytest.raises(LocalError, match="no such lab file") as caught:
            scenario.load(tmp_path / "lab.toml")
        assert caught.value.where == str(tmp_path / "lab.toml")
        assert "other.toml" in caught.value.remedy

    def test_a_folder(self, tmp_path: Path) -> None:
        with pytest.raises(LocalError, match="cannot read the lab file") as caught:
            scenario.load(tmp_path)
        assert caught.value.where == str(tmp_path)
        assert "TOML file" in caught.value.remedy

    def test_syntax_names_the_line(self, tmp_path: Path) -> None:
        error = refused(tmp_path, '[lab]\nname = "x"\nseed = = 1\n')
        assert "line 3" in error.what
        assert "that line" in error.remedy

    @pytest.mark.parametrize("value", ["9" * 5000, "[" * 5000])
    def test_values_that_no_parser_likes(self, tmp_path: Path, value: str) -> None:
        error = refused(tmp_path, f"[lab]\nseed = {value}\n")
        assert "not TOML" in error.what
        with pytest.raises(LocalError):
            scenario.load(LABS / "two_domains.toml", [f"lab.seed={value}"])

    def test_not_text(self, tmp_path: Path) -> None:
        path = tmp_path / "bad.toml"
        path.write_bytes(b"[lab]\n\xff")
        with pytest.raises(LocalError, match="not UTF-8 text at octet 6") as caught:
            scenario.load(path)
        assert "UTF-8" in caught.value.remedy

    def test_empty(self, tmp_path: Path) -> None:
        error = refused(tmp_path, "")
        assert error.where.endswith(": lab")
        assert "add a table `[lab]`" in error.remedy


HOST = '\n[[host]]\nname = "{name}"\naddress = "{address}"\nuser = "root"\nkey = "{key}"\n'


class TestPlacement:
    """Boxes that are machines."""

    def text(self, tmp_path: Path, name: str = "mn", address: str = "192.0.2.1") -> str:
        key = tmp_path / "id"
        key.touch()
        return TWO + HOST.format(name=name, address=address, key=key)

    def test_complete(self, tmp_path: Path) -> None:
        path = tmp_path / "lab.toml"
        path.write_text(self.text(tmp_path) + 'interface = "wlan0"\n')
        assert scenario.load(path).placements[0].interface == "wlan0"

    def test_a_radio_without_interface(self, tmp_path: Path) -> None:
        error = refused(tmp_path, self.text(tmp_path))
        assert error.where.endswith(": host.mn.interface")
        assert "iw dev" in error.remedy

    def test_unknown_box(self, tmp_path: Path) -> None:
        error = refused(tmp_path, self.text(tmp_path, name="home-aa"))
        assert error.where.endswith(": host.home-aa.name")
        assert "did you mean `home-aaa`?" in error.remedy

    def test_without_address(self, tmp_path: Path) -> None:
        error = refused(tmp_path, self.text(tmp_path).replace('address = "192.0.2.1"\n', ""))
        assert error.where.endswith(": host.mn.address")
        assert error.what == "missing"
        assert "add `address = ...`" in error.remedy

    def test_an_address_that_ssh_would_take_for_an_option(self, tmp_path: Path) -> None:
        error = refused(tmp_path, self.text(tmp_path, address="-oProxyCommand=x"))
        assert error.where.endswith(": host.mn.address")

    def test_unreadable_key(self, tmp_path: Path) -> None:
        text = TWO + HOST.format(name="home-aaa", address="h", key="nowhere/id")
        error = refused(tmp_path, text)
        assert error.where.endswith(": host.home-aaa.key")
        assert str(tmp_path / "nowhere/id") in error.what
        assert "relative paths" in error.remedy

    @pytest.mark.parametrize("key", ["a\\u0000b", "~nobody-of-that-name/id"])
    def test_key_names_that_no_file_has(self, tmp_path: Path, key: str) -> None:
        error = refused(tmp_path, TWO + HOST.format(name="home-aaa", address="h", key=key))
        assert error.where.endswith(": host.home-aaa.key")
        assert "cannot read" in error.what

    def test_a_bench_needs_every_radio(self, tmp_path: Path) -> None:
        path = tmp_path / "lab.toml"
        path.write_text(self.text(tmp_path) + 'interface = "wlan0"\n')
        with pytest.raises(LocalError, match="a1 must be a machine") as caught:
            scenario.check_bench(scenario.load(path), str(path))
        assert caught.value.where == f"{path}: host.a1"
        assert '[[host]]` with name = "a1"' in caught.value.remedy
