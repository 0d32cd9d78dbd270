"""One candidate network: PANA, EAP, keys at both ends, arrival, return, renewal, and each end."""

from __future__ import annotations

import dataclasses

import pytest
from pana_pair import MS, S
from preparation_world import STATION, World, lossy, network, point

from mpa_hil.authentication.service import SERVICE_PORT, KeyState
from mpa_hil.keys import pmkid
from mpa_hil.mobility.interface import Endpoint
from mpa_hil.pana.interface import AddressChanged
from mpa_hil.pana.interface import Ended as PanaEnded
from mpa_hil.pana.numbers import TerminationCause
from mpa_hil.preauthentication.interface import (
    Arrived,
    Authenticated,
    EndCause,
    Ended,
    Failed,
    Ignored,
    Install,
    Left,
    Missed,
    Output,
    PointReady,
    Prepared,
    Remove,
    Serving,
    Stage,
    Started,
    Transmit,
)
from mpa_hil.preauthentication.link import At, Away, FullEap
from mpa_hil.preauthentication.states import State

B = network(1)
AP, OTHER = (each.bssid for each in B.points)


def prepared(world: World, hold_s: float = 300, deadline_s: float = 10) -> None:
    world.does(world.mn.prepare([B], world.now, deadline_s=deadline_s, hold_s=hold_s))
    world.run(1)


def only(world: World, kind: type[Output]) -> Output:
    (found,) = world.of(kind)
    return found


def test_one_eap_run_serves_every_point_of_the_network() -> None:
    """R85, R86, R88: keys differ by point, and both ends have the same."""
    world = World(B)
    prepared(world)
    assert world.agreed(AP)
    assert world.agreed(OTHER)
    assert world.supplicant[AP] != world.supplicant[OTHER]
    assert world.agent(B.realm).runs == 1
    done = only(world, Prepared)
    assert isinstance(done, Prepared)
    assert (done.ready, done.wanted, done.renewal) == (2, 2, False)
    assert [type(output) for output in world.said if not isinstance(output, Transmit)] == [
        Started,
        Authenticated,
        Install,
        PointReady,
        PointReady,
        Prepared,
    ]


def test_the_times_are_those_of_figure_10() -> None:
    """T_auth to the proof of keys, T_conf from there until the access points hold theirs."""
    world = World(B)
    prepared(world)
    authenticated, done = only(world, Authenticated), only(world, Prepared)
    assert isinstance(authenticated, Authenticated)
    assert isinstance(done, Prepared)
    traffic = authenticated.traffic
    assert authenticated.duration_ns == traffic.round_trips * 10 * MS
    assert (traffic.round_trips, traffic.messages_sent, traffic.messages_received) == (5, 6, 5)
    assert traffic.octets_sent > 100
    assert done.duration_ns == 14 * MS  # a round trip, and what the access points take
    assert done.total_ns == authenticated.duration_ns + done.duration_ns


def test_the_pmkid_is_the_one_that_the_access_point_works_out() -> None:
    """IEEE 802.11 s12.7.1.3, of the address that the node will associate with."""
    world = World(B)
    prepared(world)
    install = only(world, Install)
    assert isinstance(install, Install)
    assert {key.pmkid for key in install.keys} == {
        pmkid(world.agent(B.realm).held[bssid], bssid, STATION) for bssid in (AP, OTHER)
    }


def test_no_key_shows_in_any_output() -> None:
    """A19."""
    world = World(B)
    prepared(world)
    text = repr(world.said)
    for pmk in world.supplicant.values():
        assert pmk.hex() not in text
        assert repr(pmk)[2:-1] not in text


def test_arrival_tells_the_agent_at_once() -> None:
    """RFC 5873 s3: the PNR with the P bit."""
    world = World(B)
    prepared(world)
    world.does(world.mn.link(At(AP), world.now))
    assert isinstance(world.said[-2], Arrived)
    assert isinstance(world.said[-1], Transmit)
    world.run(0.1)
    serving = only(world, Serving)
    assert isinstance(serving, Serving)
    assert (serving.bssid, serving.duration_ns) == (AP, 10 * MS)
    assert world.agent(B.realm).serving == 1


def test_another_point_of_the_same_network_is_a_move_within() -> None:
    world = World(B)
    prepared(world)
    for bssid in (AP, OTHER):
        world.does(world.mn.link(At(bssid), world.now))
        world.run(0.1)
    assert not world.of(Left)
    assert [each.bssid for each in world.of(Serving) if isinstance(each, Serving)] == [AP, OTHER]


def test_the_network_left_is_held_for_a_return() -> None:
    """R108, R112, R113, R115: the return proves possession of the key, and costs no EAP."""
    world = World(B)
    prepared(world, hold_s=60)
    world.does(world.mn.link(At(AP), world.now))
    world.run(100)
    world.does(world.mn.link(Away(), world.now))
    left = only(world, Left)
    assert isinstance(left, Left)
    assert left.until_ns == world.now_ns + 60 * S
    world.run(59)
    assert world.agreed(AP)
    world.does(world.mn.link(At(AP), world.now))
    world.run(0.1)
    assert len(world.of(Serving)) == 2
    assert world.agent(B.realm).runs == 1
    world.does(world.mn.link(Away(), world.now))
    world.run(61)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.HOLD_OVER


def test_what_nobody_comes_for_is_released_and_the_agent_told() -> None:
    world = World(B)
    prepared(world, hold_s=5)
    world.run(6)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.HOLD_OVER
    assert not world.supplicant
    assert world.over == [B.realm]
    ends = [said for said in world.agent(B.realm).said if isinstance(said, PanaEnded)]
    assert [each.termination for each in ends] == [TerminationCause.LOGOUT]
    assert world.mn.next_deadline() is None


@pytest.mark.parametrize("moment_s", [0, 0.012, 0.03, 0.055, 0.5])
def test_forgetting_leaves_nothing_whenever_it_comes(moment_s: float) -> None:
    world = World(B)
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=60))
    world.run(moment_s)
    world.does(world.mn.forget(B.realm, world.now))
    world.run(5)
    assert not world.supplicant
    assert world.over == [B.realm]
    assert len(world.of(Ended)) == 1
    assert not world.mn.machines


def test_an_address_change_is_told_as_long_as_the_association_is_held() -> None:
    """R116, also while another network serves."""
    world = World(B)
    prepared(world)
    world.address = "203.0.113.9"
    world.does(world.mn.address_changed(B.realm, world.now))
    world.run(0.1)
    changes = [s for s in world.agent(B.realm).said if isinstance(s, AddressChanged)]
    assert [str(change.session.pac.address) for change in changes if change.session.pac] == [
        "203.0.113.9"
    ]
    assert str(changes[0].before.address) == "192.0.2.7"


def test_arrival_reaches_the_agent_though_the_address_comes_later() -> None:
    """DHCP ends after the link is up: the notification is repeated from the new address."""
    world = World(B)
    prepared(world)
    fault, world.fault = world.fault, lambda datagram, dice: []
    world.does(world.mn.link(At(AP), world.now))
    world.run(0.02)
    world.fault, world.address = fault, "203.0.113.9"
    world.does(world.mn.address_changed(B.realm, world.now))
    world.run(0.2)
    assert world.agent(B.realm).serving == 1
    assert world.of(Serving)


def test_keys_are_renewed_before_they_end_if_still_wanted() -> None:
    world = World(B)
    world.agent(B.realm).lifetime_s = 20
    prepared(world, hold_s=50)
    first = dict(world.supplicant)
    world.run(16)
    assert world.agent(B.realm).runs == 2
    assert world.agreed(AP)
    assert world.supplicant[AP] != first[AP]
    assert [each.renewal for each in world.of(Prepared) if isinstance(each, Prepared)] == [
        False,
        True,
    ]
    world.run(40)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.HOLD_OVER


def test_keys_not_wanted_for_so_long_end_with_their_hold() -> None:
    world = World(B)
    world.agent(B.realm).lifetime_s = 20
    prepared(world, hold_s=18)
    world.run(30)
    assert world.agent(B.realm).runs == 1
    assert not world.supplicant


def test_the_serving_network_is_renewed_without_leaving_it() -> None:
    world = World(B)
    world.agent(B.realm).lifetime_s = 20
    prepared(world, hold_s=1)
    world.does(world.mn.link(At(AP), world.now))
    world.run(60)
    assert world.agent(B.realm).runs >= 4
    assert world.mn.machines[0].state is State.SERVING
    assert world.agreed(AP)
    assert not world.of(Left)


def test_a_refused_renewal_ends_it_and_takes_the_keys_away() -> None:
    world = World(B)
    agent = world.agent(B.realm)
    agent.lifetime_s = 20
    prepared(world)
    agent.verdict, agent.rounds = "failure", 2
    world.run(30)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.REFUSED
    assert not world.supplicant


def test_the_lifetime_ends_it_when_the_agent_is_gone() -> None:
    world = World(B)
    world.agent(B.realm).lifetime_s = 20
    prepared(world)
    world.agent(B.realm).silent = True
    world.run(60)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause in (EndCause.EXPIRED, EndCause.UNANSWERED)
    assert not world.supplicant


def test_the_agent_may_end_it() -> None:
    world = World(B)
    prepared(world)
    agent = world.agent(B.realm)
    (session_id,) = agent.servers
    world.agent_does(
        agent, agent.paa.terminate(session_id, TerminationCause.ADMINISTRATIVE, world.now)
    )
    world.run(1)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert (ended.cause, ended.detail) == (
        EndCause.BY_AGENT,
        "ended by the agent: administrative",
    )
    assert not world.supplicant


def test_a_refusal_is_final_and_nothing_is_installed() -> None:
    """Wrong certificate, revoked, unknown user: the home server's word is not doubted."""
    world = World(B)
    agent = world.agent(B.realm)
    agent.verdict, agent.rounds = "failure", 2
    prepared(world)
    failed = only(world, Failed)
    assert isinstance(failed, Failed)
    assert failed.stage is Stage.AUTHENTICATING
    assert failed.reason == "rejected: the server sent EAP-Failure"
    assert failed.attempts == 1
    assert not world.of(Install)
    assert not world.supplicant


def test_a_silent_agent_costs_the_time_that_was_given_and_no_more() -> None:
    world = World(B)
    world.agent(B.realm).silent = True
    world.does(world.mn.prepare([B], world.now, deadline_s=3, hold_s=60))
    world.run(2.99)
    assert not world.of(Failed)
    world.run(0.02)
    failed = only(world, Failed)
    assert isinstance(failed, Failed)
    assert "the agent says nothing" in failed.reason
    assert not world.mn.machines


def test_the_next_agent_is_asked_when_the_first_is_silent() -> None:
    """RFC 5192 s4: in the listed order."""
    two = network(1, agents=2)
    world = World(two)
    world.agents[two.aa[0]].silent = True
    world.does(world.mn.prepare([two], world.now, deadline_s=10, hold_s=60))
    world.run(4)
    assert [each.agent for each in world.of(Started) if isinstance(each, Started)] == list(two.aa)
    assert world.agreed(AP)


def test_an_agent_that_has_answered_is_waited_for() -> None:
    """A home server far away makes EAP slow, not the agent silent."""
    two = network(1, agents=2)
    world = World(two)
    world.fault = lambda datagram, dice: [(400 * MS, datagram)]
    world.does(world.mn.prepare([two], world.now, deadline_s=30, hold_s=60))
    world.run(20)
    assert len(world.of(Started)) == 1
    assert world.agreed(AP)


def test_an_agent_that_ends_it_half_way_is_tried_again() -> None:
    """A4: whoever can end a session before there are keys gains a delay, and no more."""
    world = World(B)
    agent = world.agent(B.realm)
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=60))
    world.run(0.025)
    (session_id,) = agent.servers
    agent.paa.drop(session_id)
    world.run(120)
    started = world.of(Started)
    assert started
    failed, done = world.of(Failed), world.of(Prepared)
    assert failed or done


@pytest.mark.parametrize("state", [KeyState.DECLINED, KeyState.UNKNOWN])
def test_a_point_that_will_not_have_the_key_is_done_without(state: KeyState) -> None:
    world = World(B)
    world.agent(B.realm).states[OTHER] = state
    prepared(world)
    done = only(world, Prepared)
    assert isinstance(done, Prepared)
    assert (done.ready, done.wanted) == (1, 2)
    assert set(world.supplicant) == {AP}
    ready = {each.point.bssid: each.ready for each in world.of(PointReady) if _is_ready(each)}
    assert ready == {AP: True, OTHER: False}


def _is_ready(output: object) -> bool:
    return isinstance(output, PointReady)


def test_no_point_that_takes_a_key_is_a_failure_with_nothing_left() -> None:
    world = World(B)
    agent = world.agent(B.realm)
    agent.states = {AP: KeyState.DECLINED, OTHER: KeyState.UNKNOWN}
    prepared(world)
    failed = only(world, Failed)
    assert isinstance(failed, Failed)
    assert failed.stage is Stage.INSTALLING
    assert "ap1-0 (agent: declined)" in failed.reason
    assert not world.supplicant
    assert [type(said) for said in agent.said][-1].__name__ in ("Ended", "Changed")
    assert not world.mn.machines


def test_a_pending_point_is_asked_about_again() -> None:
    world = World(B)
    agent = world.agent(B.realm)
    agent.states[OTHER] = KeyState.PENDING
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=60))
    world.run(2)
    assert not world.of(Prepared)
    del agent.states[OTHER]
    world.run(1)
    done = only(world, Prepared)
    assert isinstance(done, Prepared)
    assert done.ready == 2


def test_a_point_pending_to_the_end_does_not_spoil_the_others() -> None:
    world = World(B)
    world.agent(B.realm).states[OTHER] = KeyState.PENDING
    world.does(world.mn.prepare([B], world.now, deadline_s=3, hold_s=60))
    world.run(4)
    done = only(world, Prepared)
    assert isinstance(done, Prepared)
    assert done.ready == 1
    assert set(world.supplicant) == {AP, OTHER}  # it may still get its key
    sent = world.sent
    world.run(20)
    assert world.sent == sent


def test_an_agent_that_knows_nothing_of_keys_is_a_failure_in_time() -> None:
    world = World(B)
    world.agent(B.realm).deaf_to_questions = True
    world.does(world.mn.prepare([B], world.now, deadline_s=3, hold_s=60))
    world.run(10)
    failed = only(world, Failed)
    assert isinstance(failed, Failed)
    assert "the agent did not answer the question for keys" in failed.reason
    assert not world.supplicant


def test_such_an_agent_costs_a_node_that_came_early_one_run_and_no_more() -> None:
    world = World(B)
    world.agent(B.realm).deaf_to_questions = True
    world.does(world.mn.prepare([B], world.now, deadline_s=8, hold_s=60))
    world.does(world.mn.link(At(AP), world.now))
    world.run(60)
    assert world.agent(B.realm).runs == 1
    assert world.mn.machines[0].state is State.SERVING


def test_an_agent_of_another_network_cannot_answer_for_this_one() -> None:
    """A9: its realm is bound into what the question is sealed with."""
    world = World(B)
    world.agent(B.realm).realm = "evil.example"
    agent = next(iter(world.agents.values()))
    world.does(world.mn.prepare([B], world.now, deadline_s=3, hold_s=60))
    world.run(10)
    assert len(world.of(Failed)) == 1
    assert not agent.held
    assert not world.supplicant


def test_a_supplicant_without_the_network_says_so() -> None:
    world = World(B)
    world.refusing = dict.fromkeys((AP, OTHER), "no such network")
    prepared(world)
    failed = only(world, Failed)
    assert isinstance(failed, Failed)
    assert "ap1-0 (no such network" in failed.reason


def test_a_stale_key_is_a_miss_and_the_connection_is_kept() -> None:
    """F8: the access point forgot its key, so full EAP runs."""
    world = World(B)
    prepared(world)
    world.does(world.mn.link(FullEap(AP), world.now))
    world.does(world.mn.link(At(AP), world.now))
    world.run(1)
    missed = only(world, Missed)
    assert isinstance(missed, Missed)
    assert missed.bssid == AP
    assert world.of(Serving)
    world.does(world.mn.link(Away(), world.now))
    world.does(world.mn.forget(B.realm, world.now))
    removed = {p.bssid for r in world.of(Remove) if isinstance(r, Remove) for p in r.points}
    assert removed == {OTHER}  # the other key is the supplicant's own by now


def test_full_eap_where_nothing_was_prepared_is_no_miss() -> None:
    world = World(B)
    prepared(world)
    world.does(world.mn.link(FullEap("02:00:00:00:77:77"), world.now))
    world.does(world.mn.link(At("02:00:00:00:77:77"), world.now))
    assert not world.of(Missed)
    assert not world.of(Arrived)


def test_a_node_that_is_faster_than_its_keys_is_served_all_the_same() -> None:
    world = World(B)
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=60))
    world.run(0.02)
    world.does(world.mn.link(At(AP), world.now))
    world.run(1)
    assert world.of(Serving)
    assert world.mn.machines[0].state is State.SERVING
    assert world.of(Prepared)


def test_a_supplicant_that_restarted_gets_its_keys_again() -> None:
    world = World(B)
    prepared(world)
    world.supplicant.clear()
    world.does(world.mn.supplicant_restarted(world.now))
    assert world.agreed(AP)
    assert world.agreed(OTHER)


def test_points_learnt_later_need_no_further_eap_run() -> None:
    one = dataclasses.replace(B, points=B.points[:1])
    world = World(B)
    world.does(world.mn.prepare([one], world.now, deadline_s=10, hold_s=60))
    world.run(1)
    assert not world.agreed(OTHER)
    prepared(world)
    assert world.agreed(OTHER)
    assert world.agreed(AP)
    assert world.agent(B.realm).runs == 1


def test_wanting_it_again_asks_whether_it_still_is_so() -> None:
    world = World(B)
    prepared(world)
    prepared(world)
    assert world.agent(B.realm).runs == 1
    first, second = (each for each in world.of(Prepared) if isinstance(each, Prepared))
    assert (first.ready, second.ready) == (2, 2)
    assert second.total_ns == second.duration_ns == 14 * MS


def test_an_agent_that_forgot_everything_is_found_out_and_all_begins_anew() -> None:
    """Killed between keys and switch, and started without its store: never half."""
    world = World(B)
    prepared(world)
    agent = world.agent(B.realm)
    for session_id in agent.servers:
        agent.paa.drop(session_id)
    agent.held.clear()
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=300))
    world.run(9)
    ended = only(world, Ended)
    assert isinstance(ended, Ended)
    assert ended.cause is EndCause.UNANSWERED
    assert agent.runs == 2
    assert world.agreed(AP)
    assert world.agreed(OTHER)
    assert not world.over


def test_a_node_there_finds_out_too_and_stays() -> None:
    world = World(B)
    prepared(world)
    world.does(world.mn.link(At(AP), world.now))
    world.run(1)
    agent = world.agent(B.realm)
    for session_id in agent.servers:
        agent.paa.drop(session_id)
    world.does(world.mn.prepare([B], world.now, deadline_s=10, hold_s=300))
    world.run(9)
    assert agent.runs == 2
    assert agent.serving == 2
    assert world.mn.machines[0].state is State.SERVING


def test_datagrams_from_elsewhere_change_nothing() -> None:
    world = World(B)
    prepared(world)
    agent = B.aa[0]
    for source, octets in (
        (Endpoint(agent.address, 5), b"x"),
        (Endpoint(agent.address, SERVICE_PORT), b"MPA\1" + bytes(80)),
        (Endpoint(agent.address, agent.port), bytes(40)),
        (Endpoint(type(agent.address)("203.0.113.66"), agent.port), b"x"),
    ):
        before = len(world.of(Ignored))
        world.does(world.mn.receive(B.realm, octets, source, world.now))
        assert len(world.of(Ignored)) == before + 1
    assert world.mn.machines[0].state is State.PREPARED


@pytest.mark.parametrize("seed", range(12))
def test_a_third_lost_both_ways_costs_time_only(seed: int) -> None:
    """F3."""
    world = World(B, seed=f"loss {seed}", fault=lossy(0.3))
    world.does(world.mn.prepare([B], world.now, deadline_s=60, hold_s=300))
    world.run(60)
    assert world.agreed(AP)
    assert world.agreed(OTHER)
    world.does(world.mn.link(At(AP), world.now))
    world.run(30)
    assert world.of(Serving)
    assert world.agent(B.realm).serving == 1


def test_a_point_has_the_name_of_the_description() -> None:
    assert point(1, 0).bssid == AP


def test_an_address_that_changes_before_the_agent_answered_loses_nothing() -> None:
    """R116: the arrival is told from the old address, its answer goes astray, the rest from the
    new one."""
    world = World(B)
    prepared(world)
    deliver, world._at_node = world._at_node, lambda *_: None  # type: ignore[method-assign]
    world.does(world.mn.link(At(AP), world.now))
    world.run(0.03)
    world._at_node = deliver  # type: ignore[method-assign]
    world.address = "203.0.113.9"
    world.does(world.mn.address_changed(B.realm, world.now))
    world.run(60)
    assert world.mn.machines[0].state is State.SERVING
    assert len(world.of(Serving)) == 1
    assert not world.of(Ended)
