"""For how long packets go to two networks: the node's wish, and what its home agent makes of it."""

from __future__ import annotations

from ipaddress import IPv4Address

from hypothesis import given
from hypothesis import strategies as st

from mpa_hil.agents.doubt import Doubt
from mpa_hil.kernel.once import program
from mpa_hil.mobility.interface import Endpoint, Instant, Send
from mpa_hil.mobility.mip4.authentication import SecurityAssociation
from mpa_hil.mobility.mip4.bindings import (
    BindingChanged,
    BindingRemoved,
    CopiesChanged,
    HomeOutput,
    Subscriber,
)
from mpa_hil.mobility.mip4.home_agent import HomeAgent
from mpa_hil.mobility.mip4.mobile_node import MobileNode
from mpa_hil.policy.interface import Bind, LetGo, Prepare

S = 1_000_000_000
HOME, AGENT = IPv4Address("10.0.0.100"), IPv4Address("10.0.0.1")
A, B, C = (IPv4Address(f"192.0.2.{last}") for last in (1, 2, 3))
KEY = SecurityAssociation(256, b"0123456789abcdef")
LIMIT_S = 6


class Pair:
    """A node and its home agent; datagrams may get lost."""

    def __init__(self, limit_s: int = LIMIT_S) -> None:
        self.now_ns = S
        self.agent = HomeAgent(
            AGENT, [Subscriber(HOME, (KEY,))], started=self.instant(), simultaneous_s=limit_s
        )
        self.node = MobileNode(home_address=HOME, home_agent=AGENT, association=KEY)
        self.now_ns += S
        self.copies: tuple[IPv4Address, ...] = ()
        """As the kernel has it."""

    def instant(self) -> Instant:
        return Instant(self.now_ns, self.now_ns + 1_800_000_000 * S)

    def register(self, care_of: IPv4Address, *, lost: str = "") -> list[HomeOutput]:
        self.now_ns += S
        return self.carry(self.node.register(care_of, self.instant()), lost)

    def carry(self, outputs: object, lost: str = "") -> list[HomeOutput]:
        done: list[HomeOutput] = []
        for sent in (each for each in outputs if isinstance(each, Send)):  # type: ignore[attr-defined]
            assert sent.source is not None
            if lost == "request":
                continue
            for each in self.agent.receive(sent.datagram, Endpoint(sent.source, 1), self.instant()):
                done.append(each)
                if isinstance(each, Send) and lost != "reply":
                    self.node.receive(each.datagram, Endpoint(AGENT, 434), self.instant())
                self.see(each)
        return done

    def see(self, output: HomeOutput) -> None:
        if isinstance(output, CopiesChanged):
            self.copies = output.others
        elif isinstance(output, BindingRemoved):
            self.copies = ()

    def sleep(self, seconds: float) -> None:
        self.now_ns += int(seconds * S)
        for each in self.agent.expire(self.instant()):
            self.see(each)


def test_what_was_bound_is_kept_beside_what_is() -> None:
    pair = Pair()
    pair.register(A)
    pair.node.doubtful = True
    changed = next(each for each in pair.register(B) if isinstance(each, BindingChanged))
    assert (changed.old.care_of, changed.binding.care_of, changed.others) == (A, B, (A,))
    assert pair.copies == pair.agent.others(HOME) == (A,)
    assert pair.node.simultaneous
    pair.register(C)
    assert pair.copies == (A, B)
    pair.node.doubtful = False
    pair.register(C)  # a refresh from where it is
    assert pair.copies == pair.agent.others(HOME) == ()
    assert not pair.node.simultaneous


def test_it_is_kept_for_a_bounded_time() -> None:
    pair = Pair()
    pair.register(A)
    pair.node.doubtful = True
    pair.register(B)
    deadline_ns = pair.agent.next_deadline()
    assert deadline_ns is not None
    assert deadline_ns - pair.now_ns <= LIMIT_S * S
    pair.sleep(LIMIT_S - 1)
    assert pair.copies == (A,)
    pair.sleep(1)
    assert pair.copies == ()
    assert pair.agent.bindings[0].care_of == B


def test_one_of_them_can_be_given_up_and_all() -> None:
    pair = Pair()
    pair.register(A)
    pair.node.doubtful = True
    pair.register(B)
    pair.now_ns += S
    pair.carry(pair.node.deregister(pair.instant()))
    assert (pair.agent.bindings, pair.agent.others(HOME)) == ((), ())
    assert pair.agent.next_deadline() is None


def test_a_home_agent_without_it_says_so() -> None:
    pair = Pair(limit_s=0)
    pair.register(A)
    pair.node.doubtful = True
    assert not [each for each in pair.register(B) if isinstance(each, CopiesChanged)]
    assert pair.agent.others(HOME) == ()


LOST = st.sampled_from(("", "request", "reply"))
MOVE = st.tuples(st.just("register"), st.sampled_from((A, B, C)), LOST)
STEPS = st.one_of(
    MOVE,
    MOVE,
    MOVE,
    st.tuples(st.just("doubt"), st.booleans()),
    st.tuples(st.just("sleep"), st.floats(0, 4)),
    st.tuples(st.just("deregister")),
)


@given(st.lists(STEPS, min_size=2, max_size=25))
def test_nothing_leaves_copies_on(steps: list[tuple[object, ...]]) -> None:
    """Whatever is lost, and whether the node ever says that it is sure."""
    pair = Pair()
    pair.node.doubtful = True
    pair.register(A)
    for step in steps:
        match step:
            case ("doubt", bool(doubtful)):
                pair.node.doubtful = doubtful
            case ("register", IPv4Address() as care_of, str(lost)):
                pair.register(care_of, lost=lost)
            case ("sleep", float(seconds)):
                pair.sleep(seconds)
            case _:
                pair.now_ns += S
                pair.carry(pair.node.deregister(pair.instant()))
        bound = bool(pair.agent.bindings)
        assert not bound or pair.copies == pair.agent.others(HOME), "the kernel has what it knows"
        assert not (bound and pair.agent.bindings[0].care_of in pair.agent.others(HOME))
        assert len(pair.agent.others(HOME)) <= 2
    pair.sleep(LIMIT_S)
    assert pair.agent.others(HOME) == ()
    assert not pair.agent.bindings or pair.copies == ()


TO = st.sampled_from("bc")
DECISIONS = st.one_of(
    st.builds(
        lambda to, doubtful: Bind(to, doubtful, rule="r"), st.sampled_from("bc"), st.booleans()
    ),
    st.builds(lambda to: LetGo(to, rule="r"), TO),
    st.just("moved"),
    st.just("end"),
    st.floats(0, 2),
)


@given(st.lists(DECISIONS, max_size=25))
def test_no_doubt_lasts(steps: list[object]) -> None:
    doubt, now_ns, began_ns = Doubt(3 * S), 0, 0
    for step in steps:
        match step:
            case float():
                now_ns += int(step * S)
                doubt.expire(now_ns)
            case "moved":
                doubt.moved("a", now_ns)
            case "end":
                doubt.end()
                assert not doubt.on
            case Bind() | LetGo():
                doubt.decided(step, now_ns)
                if isinstance(step, Bind):
                    assert doubt.on is step.doubtful
        if step == "moved" or (isinstance(step, Bind) and step.doubtful):
            began_ns = now_ns
        if doubt.on:
            assert now_ns < began_ns + 3 * S
            assert doubt.next_deadline() == began_ns + 3 * S
    doubt.expire(began_ns + 3 * S)
    assert not doubt.on


def test_a_doubt_that_is_not_allowed_is_none() -> None:
    doubt = Doubt(0)
    doubt.decided(Bind("b", True, rule="r"), S)
    assert not doubt.on
    doubt = Doubt(3 * S)
    doubt.decided(Prepare("b", 3, rule="r"), S)  # type: ignore[arg-type]
    assert not doubt.on
    doubt.moved("a", S)
    assert not doubt.on, "a move alone is no doubt"


def test_the_filter_jumps_forward_and_ends() -> None:
    """What the kernel's verifier would refuse, without a kernel."""
    octets = program(7)
    assert len(octets) % 8 == 0
    codes = [octets[at : at + 8] for at in range(0, len(octets), 8)]
    assert codes[-1][0] == codes[-3][0] == 0x95
    for number, code in enumerate(codes):
        if code[0] & 7 == 5 and code[0] not in (0x85, 0x95):
            to = number + 1 + int.from_bytes(code[2:4], "little", signed=True)
            assert number < to < len(codes)
