"""The configuration agent with a real DHCP server (dnsmasq) and the MN's own client (dhcpcd)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from configuration_lab import ROUTER, Lab, Node, eventually, in_lab
from services_lab import needs

from mpa_hil.clock import instant
from mpa_hil.configuration.interface import (
    Code,
    Configured,
    Ended,
    Ending,
    GaveUp,
    Method,
    Refused,
    Wish,
    ethernet_client_id,
)
from mpa_hil.mobility.interface import NS_PER_S
from mpa_hil.signalling.requester import Timing
from rigs.services import dhcp_client, dhcp_server
from rigs.services.dhcp_client import DhcpClientConfig
from rigs.services.dhcp_server import DhcpServerConfig
from rigs.services.service import Service

pytestmark = needs("dnsmasq", "dhcpcd", "unshare")

SERVER = DhcpServerConfig(
    interface="lan",
    subnet="10.95.2.0/24",
    first="10.95.2.100",
    last="10.95.2.101",
    router=ROUTER,
    dns=("10.95.2.53",),
    lease_s=120,
    conflict_check=False,
)


async def messages(server: Service) -> list[str]:
    """Kinds of the messages that the server has logged."""
    parsed = [dhcp_server.parse_message(line) for line in (await server.log()).splitlines()]
    return [message.kind for message in parsed if message]


async def leases(lab: Lab) -> list[list[str]]:
    """What the server has written down: expiry, MAC address, address, name, client identifier."""
    text = await lab.router.get(f"{lab.router.workdir}/{SERVER.name}.leases")
    return [line.split() for line in text.decode().splitlines() if len(line.split()) == 5]


async def written(lab: Lab, *addresses: str) -> None:
    """Wait until the server holds these and no others: it writes its file a little later."""

    async def so() -> bool:
        return [each[2] for each in await leases(lab)] == list(addresses)

    await eventually(so)


def test_a_lease_ahead_of_the_move_and_the_same_after_it(tmp_path: Path) -> None:
    """R41, R51, R100: for the MN's own identifiers, so that its own client gets it again."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish(hostname="mn")
        got = await node.get(Configured, node.client.configure(wish, instant()))
        configuration = got.configuration
        assert str(configuration.address.network) == SERVER.subnet
        assert str(configuration.router) == str(configuration.server) == ROUTER
        assert [str(each) for each in configuration.dns] == ["10.95.2.53"]
        assert 115 <= configuration.lease_s <= 120
        done = await lab.router.run("ip", "-j", "link", "show", "dev", "lan")
        assert configuration.router_mac.hex(":") == json.loads(done.stdout)[0]["address"]
        await written(lab, str(configuration.address.ip))
        ((_, mac, address, _, identifier),) = await leases(lab)
        assert mac == wish.mac.hex(":")
        assert identifier == ethernet_client_id(wish.mac).hex(":")
        assert address == str(configuration.address.ip)
        # Nothing on the link believes that the MN is where the agent is.
        done = await lab.router.run("bridge", "-j", "fdb", "show", "br", "lan")
        assert mac not in done.stdout.decode()

        await lab.move()
        client = await dhcp_client.start(
            lab.mn, DhcpClientConfig(interface="new", conflict_check=False)
        )
        bound = await dhcp_client.wait_bound(client)
        assert bound.address == address
        ended = await node.get(Ended, node.client.take_over(instant()))
        assert (ended.ending, ended.confirmed) == (Ending.TAKEN_OVER, True)
        await lab.agent.event("ca.gone", cause="taken over", address=address)
        assert await lab.agent.end() == 0
        await written(lab, address)  # it is the MN's now

    in_lab(tmp_path, scenario)


def test_renewed_and_given_back(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        first = await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        # As it would at half time: the lease is young, so the server is left alone.
        later = instant()._replace(monotonic_ns=instant().monotonic_ns + 61 * NS_PER_S)
        renewed = await node.get(Configured, node.client.expire(later))
        assert renewed.renewal
        assert renewed.configuration.address == first.configuration.address
        assert await messages(server) == ["DHCPDISCOVER", "DHCPOFFER", "DHCPREQUEST", "DHCPACK"]
        # A restarted MN gets what it had.
        node.restart()
        again = await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        assert again.configuration.address == first.configuration.address
        ended = await node.get(Ended, node.client.release(instant()))
        assert ended.confirmed
        await server.expect(lambda line: "DHCPRELEASE" in line, what="a release", timeout_s=60)
        await written(lab)

    in_lab(tmp_path, scenario)


def test_an_exhausted_pool_is_an_answer(tmp_path: Path) -> None:
    """F7: two addresses, three mobile nodes."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        nodes = [Node(lab.mn.namespace, f"mn{number}@home.example") for number in range(3)]
        await lab.deliver(*nodes)
        wishes = []
        for number in range(3):
            mac = bytes((2, 0, 0, 0, 0xC0, number))
            wishes.append(Wish(Method.DHCPV4, mac, ethernet_client_id(mac)))
        for node, wish in zip(nodes[:2], wishes[:2], strict=True):
            await node.get(Configured, node.client.configure(wish, instant()))
        refused = await nodes[2].get(Refused, nodes[2].client.configure(wishes[2], instant()))
        assert refused.code is Code.POOL_EXHAUSTED
        await nodes[0].get(Ended, nodes[0].client.release(instant()))
        await nodes[2].get(Configured, nodes[2].client.configure(wishes[2], instant()))

    in_lab(tmp_path, scenario)


def test_a_declined_address_is_not_given_again(tmp_path: Path) -> None:
    """F7: the access router found it in use on the link."""

    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish()
        first = await node.get(Configured, node.client.configure(wish, instant()))
        taken = first.configuration.address.ip
        wish = replace(wish, decline=taken)
        other = await node.get(Configured, node.client.configure(wish, instant()))
        assert other.configuration.address.ip != taken
        assert "DHCPDECLINE" in await messages(server)

    in_lab(tmp_path, scenario)


def test_no_server_and_one_that_is_killed(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        server = await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        wish = await lab.wish()
        got = await node.get(Configured, node.client.configure(wish, instant()))
        await server.stop()
        # What is held goes on; what is new is refused, and not by silence.
        again = await node.get(Configured, node.client.configure(wish, instant()))
        assert again.configuration.address == got.configuration.address
        other = replace(wish, client_id=b"\0another")
        refused = await node.get(Refused, node.client.configure(other, instant()))
        assert refused.code is Code.NO_SERVER

    in_lab(tmp_path, scenario)


def test_a_default_router_that_is_not_there(tmp_path: Path) -> None:
    """F7: the server names one that nobody answers for."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, replace(SERVER, router="10.95.2.9"))
        await lab.start()
        node = Node(lab.mn.namespace)
        await lab.deliver(node)
        refused = await node.get(Refused, node.client.configure(await lab.wish(), instant()))
        assert refused.code is Code.NO_ROUTER
        await written(lab)

    in_lab(tmp_path, scenario)


def test_withdrawal_gives_back_what_the_mobile_node_does_not_use(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        line = await lab.deliver(node)
        await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        await lab.withdraw(line, node)
        await lab.agent.event("ca.gone", cause="withdrawn")
        await written(lab)
        # Without a key there is not even an answer.
        node.settings = replace(node.settings, timing=Timing(give_up_ms=500))
        node.restart()
        await node.get(GaveUp, node.client.configure(await lab.wish(), instant()))
        assert lab.agent.all("ca.granted", renewal=False) == lab.agent.all("ca.granted")

    in_lab(tmp_path, scenario)


def test_withdrawal_leaves_alone_what_the_mobile_node_uses(tmp_path: Path) -> None:
    """It moved, and its message that it did was lost: the address must not go to another."""

    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        await lab.start()
        node = Node(lab.mn.namespace)
        line = await lab.deliver(node)
        got = await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        await lab.mn.run("ip", "address", "add", str(got.configuration.address), "dev", "new")
        await lab.move()
        await lab.withdraw(line, node)
        await lab.agent.event("ca.gone", cause="in use")
        await written(lab, str(got.configuration.address.ip))

    in_lab(tmp_path, scenario)


def test_a_killed_agent_goes_on_where_it_was(tmp_path: Path) -> None:
    async def scenario(lab: Lab) -> None:
        await dhcp_server.start(lab.router, SERVER)
        agent = await lab.start(store=str(tmp_path / "leases"), grace_s=2)
        node, silent = Node(lab.mn.namespace), Node(lab.mn.namespace, "gone@home.example")
        await lab.deliver(node, silent)
        got = await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        mac = bytes((2, 0, 0, 0, 0xC0, 9))
        wish = Wish(Method.DHCPV4, mac, ethernet_client_id(mac))
        await silent.get(Configured, silent.client.configure(wish, instant()))
        await agent.kill()
        assert (tmp_path / "leases").stat().st_mode & 0o777 == 0o600
        assert node.key.secret.hex() not in (tmp_path / "leases").read_text()
        again = await lab.start()
        (ready,) = again.all("ca.ready")
        assert ready["restored"] == 2
        await lab.deliver(node)
        renewed = await node.get(Configured, node.client.configure(await lab.wish(), instant()))
        assert renewed.configuration.address == got.configuration.address
        # The other's key does not come back: its address does.
        await again.event("ca.gone", cause="unheard", mobile_node=silent.name)
        await written(lab, str(got.configuration.address.ip))
        assert await again.end() == 0
        await written(lab)

    in_lab(tmp_path, scenario)
