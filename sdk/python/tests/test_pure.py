"""What is decided without I/O: lanes, acks, answers, backoff, routes, addresses, stores."""

from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

import hookwire
from hookwire import ACCEPTED, OK, MemoryStore, Reject, Retry, SqliteStore, Store, address
from hookwire.acks import EXCEPTIONS, Acks
from hookwire.answer import Answer, read_answer, to_exception
from hookwire.backoff import Backoff
from hookwire.lanes import Lanes, Turn
from hookwire.routes import Author, Routes
from hookwire.v1 import hook_service_pb2 as wire


def out(lanes: Lanes[Turn]) -> list[Turn]:
    return list(iter(lanes.pop, None))


def pushed(lanes: Lanes[Turn], lane: str, *, after_all: bool = False) -> Turn:
    turn = Turn(lane, after_all=after_all)
    lanes.push(turn)
    return turn


def test_one_at_a_time_in_a_lane_and_lanes_side_by_side() -> None:
    lanes = Lanes[Turn]()
    first, second, other = pushed(lanes, "a"), pushed(lanes, "a"), pushed(lanes, "b")
    assert out(lanes) == [first, other]
    lanes.done(other)
    assert out(lanes) == []
    lanes.done(first)
    assert out(lanes) == [second]


def test_after_all_waits_for_what_came_before_it_and_for_nothing_else() -> None:
    lanes = Lanes[Turn]()
    a, stop, behind, b = pushed(lanes, "a"), pushed(lanes, "", after_all=True), pushed(lanes, ""), pushed(lanes, "b")
    assert out(lanes) == [a, b], "what came later does not wait for it, save in its lane"
    lanes.done(a)
    assert out(lanes) == [stop], "nor does it wait for what came later"
    lanes.done(stop)
    assert out(lanes) == [behind]
    assert len(lanes) == 2


@pytest.mark.parametrize("seed", range(100))
def test_everything_gets_its_turn(seed: int) -> None:
    dice = random.Random(seed)
    lanes = Lanes[Turn]()
    turns = [pushed(lanes, dice.choice("abc"), after_all=dice.random() < 0.2) for _ in range(40)]
    running, finished = list[Turn](), set[Turn]()
    for _ in turns:
        running += out(lanes)
        turn = running.pop(dice.randrange(len(running)))
        earlier = [it for it in turns[: turns.index(turn)] if turn.after_all or it.lane == turn.lane]
        assert finished.issuperset(earlier), "it overtook"
        finished.add(turn)
        lanes.done(turn)
    assert (len(finished), len(lanes), lanes.has_ready()) == (40, 0, False)


def said(acks: Acks) -> tuple[int, list[tuple[int, int]]]:
    ack = acks.take()
    return ack.through_seq, [(it.seq, it.status) for it in ack.exceptions]


def test_a_run_of_oks_is_one_number() -> None:
    acks = Acks()
    assert not acks.pending()
    for seq in range(1, 6):
        acks.answer(seq, OK)
    assert said(acks) == (5, [])
    assert not acks.pending()


def test_nobody_waits_for_a_slow_one() -> None:
    acks = Acks()
    acks.answer(2, OK)
    acks.answer(3, OK)
    assert said(acks) == (0, [(2, wire.ACK_STATUS_OK), (3, wire.ACK_STATUS_OK)])
    acks.answer(1, OK)
    assert said(acks) == (3, [])


def test_only_the_first_answer_counts_and_0_is_none() -> None:
    acks = Acks()
    answers: list[tuple[int, Answer]] = [(0, OK), (2, Retry()), (2, OK), (1, OK), (1, Retry())]
    for seq, answer in answers:
        acks.answer(seq, answer)
    assert said(acks) == (2, [(2, wire.ACK_STATUS_RETRY)])
    assert not acks.pending()


def test_what_does_not_fit_is_not_called_ok() -> None:
    acks = Acks()
    for seq in range(1, EXCEPTIONS + 3):
        acks.answer(seq, ACCEPTED)
    assert said(acks)[0] == EXCEPTIONS
    through, exceptions = said(acks)
    assert (through, len(exceptions)) == (EXCEPTIONS + 2, 2)


def test_an_ack_full_of_words_is_one_that_a_dispatcher_reads() -> None:
    acks = Acks()
    for seq in range(2 * EXCEPTIONS):
        acks.answer((1 << 64) - 1 - seq, Reject("c" * 1024, "ä" * 1024))
    assert acks.take().ByteSize() < 256 << 10


@pytest.mark.parametrize("seed", range(100))
def test_every_delivery_gets_its_answer(seed: int) -> None:
    """Read by the contract's rules, the Acks say what was answered, in whatever order and wherever one is taken."""
    dice = random.Random(seed)
    choices: list[Answer] = [OK, OK, OK, ACCEPTED, Retry(), Reject("no")]
    answers = {seq: dice.choice(choices) for seq in range(1, 60)}
    acks, read = Acks(), dict[int, int]()
    through = 0

    def take() -> None:
        nonlocal through
        ack = acks.take()
        assert ack.through_seq or ack.exceptions, "an Ack that says nothing"
        for it in ack.exceptions:
            assert read.setdefault(it.seq, it.status) == it.status, "answered twice"
        if ack.through_seq:
            assert ack.through_seq > through
            through = ack.through_seq
        for seq in range(1, ack.through_seq + 1):
            read.setdefault(seq, wire.ACK_STATUS_OK)
        assert read.keys() <= answered, "acknowledged, and not answered"

    answered = set[int]()
    for seq in dice.sample(sorted(answers), len(answers)):
        acks.answer(seq, answers[seq])
        answered.add(seq)
        if dice.random() < 0.3 and acks.pending():
            take()
    while acks.pending():
        take()
    assert read == {seq: to_exception(seq, answer).status for seq, answer in answers.items()}


def test_behind_one_that_hangs_nothing_piles_up() -> None:
    acks = Acks()
    for seq in range(2, 10_000):
        acks.answer(seq, OK)
        if acks.exceptions() == 100:
            acks.take()
    assert (len(acks._firsts), acks.exceptions()) == (1, 98)
    acks.answer(1, OK)
    assert said(acks) == (9_999, [])


def test_a_delay_never_becomes_the_default() -> None:
    def delay(after: float | timedelta | None) -> int:
        return to_exception(1, Retry(after=after)).retry_after_ms

    assert [delay(it) for it in (0, 0.0011, -3, timedelta(seconds=2))] == [1, 2, 1, 2_000]
    assert delay(float("inf")) == (1 << 32) - 1
    assert delay(None) == 0
    with pytest.raises(ValueError, match="not a number"):
        Retry(after=float("nan"))


def test_a_long_text_is_cut_between_characters() -> None:
    assert to_exception(1, Retry("ä" * 1_000)).text == "ä" * 128
    assert to_exception(1, Reject("x" + "ä" * 1_000)).code == "x" + "ä" * 127
    assert to_exception(1, Retry("\udc80")).text == "?"


def test_what_is_no_answer_is_said() -> None:
    assert read_answer(None) is OK
    with pytest.raises(TypeError, match="'done'"):
        read_answer("done")


def test_the_bound_doubles_in_two_stages_and_begins_anew() -> None:
    backoff = Backoff()
    bounds = []
    for _ in range(31):
        bounds.append(round(backoff.bound * 1000))
        assert 0 <= backoff.next_wait() <= bounds[-1] / 1000
    assert bounds[:4] == [100, 200, 400, 400]
    assert bounds[24:] == [400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]
    backoff.reset()
    assert backoff.bound == 0.1


def test_the_first_glob_that_matches_gets_it_and_only_stars_and_question_marks_mean_anything() -> None:
    routes = Routes()
    authors = [Author(print, in_thread=True) for _ in range(3)]
    for glob, author in zip(["session_?tart", "session_*", "a.[b]*"], authors, strict=True):
        routes.add(glob, author)
    for _ in range(2):
        found = [routes.find(hook) for hook in ["session_start", "session_end", "a.[b]c\nd", "axb", "Session_end"]]
        assert found[:3] == authors
        assert found[3:] == [None, None]


def test_reads_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ["127.0.0.1:7400", "localhost:0", "[::1]:7400", "unix:/run/hookwire.sock", "unix:rel.sock"]:
        assert address.parse(text) == text
    for text in ["", "7400", "host:", "host:99999", ":7400", "::1:7400", "http://host:1", "unix:", "a b:1"]:
        with pytest.raises(hookwire.InvalidAddress, match="host:port"):
            address.parse(text)
    monkeypatch.setenv("HOOKWIRE_ADDR", "there:1")
    assert address.resolve(None) == "there:1"
    assert address.resolve("here:1") == "here:1"
    monkeypatch.delenv("HOOKWIRE_ADDR")
    assert address.resolve(None) == "127.0.0.1:7400"


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_store_forgets_what_does_not_come_again(kind: str, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else SqliteStore(tmp_path / "answers.db")
    late = (1 << 64) - 1
    answers: list[Answer] = [OK, ACCEPTED, Reject("no")]
    for number, answer in enumerate(answers):
        await store.put(f"old-{number}", answer, "ledger", 7)
        await store.put(f"other-{number}", answer, "another ledger", late)
    assert [await store.get(f"old-{number}") for number in range(4)] == [*answers, None]
    await store.put("old-1", ACCEPTED, "ledger", late)
    await store.forget("ledger", 8)
    assert [await store.get(f"old-{number}") for number in range(3)] == [None, ACCEPTED, None]
    assert await store.get("other-0") is None
    if isinstance(store, SqliteStore):
        store.close()


async def test_a_memory_drops_the_oldest_first() -> None:
    store = MemoryStore(capacity=2)
    for event_id in ["a", "b", "a", "c"]:
        await store.put(event_id, OK, "ledger", 1)
    assert [await store.get(event_id) for event_id in "abc"] == [OK, None, OK]
