"""The other formats against models of a few lines each, written from the rules and not from the engine."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.auctions.documents_formats import event, play, ranked, rules

SECONDS = st.integers(0, 1400)
WHO = st.sampled_from("ABC")
LIMITS = settings(max_examples=80, deadline=None)


def clock(seconds, hour=9):
    return f"{hour + seconds // 3600:02d}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def text(cents):
    return f"{cents // 100}.{cents % 100:02d}"


@LIMITS
@given(
    attempts=st.lists(st.tuples(WHO, st.none() | st.integers(9_900, 10_400)), max_size=12),
    reserve=st.none() | st.integers(9_000, 10_500), voided=st.sets(WHO, max_size=1), vickrey=st.booleans(),
)  # fmt: skip
def test_sealed(attempts, reserve, voided, vickrey):
    held, events = {}, []
    for number, (who, amount) in enumerate(attempts):
        if amount is None:
            events.append(event("09:01", "withdraw", who))
            held.pop(who, None)
            continue
        events.append(event("09:01", "bid", who, text(amount)))
        if amount >= 10_000 and held.get(who, (0, 0))[0] != amount:
            held[who] = (amount, number)
    events += [event("09:02", "void", who) for who in voided]
    order = sorted(((-a, n, w) for w, (a, n) in held.items() if w not in voided))
    sold = bool(order) and -order[0][0] >= (reserve or 0)
    price = None
    if sold:
        second = -order[1][0] if len(order) > 1 else 10_000
        price = text(max(second, reserve or 0) if vickrey else -order[0][0])
    more = {} if reserve is None else {"reserve_price": text(reserve)}
    answer = play(rules("sealed_second_price" if vickrey else "sealed_first_price", **more), *events)
    assert (answer["price"], answer["winner"]) == (price, order[0][2] if sold else None)
    assert ranked(answer) == [(w, text(-a)) for a, _, w in order]


@LIMITS
@given(at=SECONDS, stop=SECONDS, length=st.integers(0, 500))
def test_dutch_with_a_suspension(at, stop, length):
    events = [event(clock(stop), "suspend"), event(clock(stop + length), "resume")]
    at = max(at, stop + length)
    answer = play(rules("dutch"), *events, event(clock(at), "accept", "A"))
    elapsed = at - (length if stop < 330 else 0) - 30
    shown = 10_000 - elapsed // 60 * 1000 if 0 <= elapsed < 300 else None
    code = answer["answers"][2].get("code")
    assert answer["price"] == (None if shown is None else text(shown))
    assert code == (None if shown else "wrong_phase" if elapsed < 0 else "late")


@LIMITS
@given(moves=st.lists(st.tuples(st.integers(0, 240), WHO, st.none() | st.integers(90, 200)), max_size=12))
def test_gong(moves):
    now, price, leader, starts, ends, codes, events = 0, 100, None, 0, 180, [], []
    for wait, who, offer in moves:
        now += wait
        kind = "accept" if offer is None else "bid"
        events.append(event(clock(now), kind, who, None if offer is None else text(offer * 100)))
        amount = price + 10 if offer is None else offer
        if now >= ends:
            code = "late"
        elif now < starts:
            code = "wrong_phase"
        elif who == leader:
            code = "already_leading"
        elif amount < price + 10:
            code = "below_minimum" if leader else "below_start"
        elif amount % 10:
            code = "off_grid"
        else:
            code, price, leader, starts = None, amount, who, now + 20
            ends = starts + 180
        codes.append(code)
    answer = play(rules("gong"), *events)
    assert [row.get("code") for row in answer["answers"]] == codes
    assert (answer["winner"], answer["price"]) == (leader, text(price * 100) if leader else None)
    assert answer["ends_at"][11:19] == clock(ends)


@LIMITS
@given(moves=st.lists(st.tuples(st.integers(0, 250), WHO, st.sampled_from([-1, 0, 3])), max_size=12))
def test_two_phase(moves):
    now, price, leader, ends, count, codes, events = 3_400, None, None, 3_780, 0, [], []
    for wait, who, above in moves:
        now += wait
        amount = (100 if price is None else price + 10) + above
        events.append(event(clock(now), "bid", who, text(amount * 100)))
        if now >= ends:
            code = "late"
        elif who == leader:
            code = "already_leading"
        elif above < 0:
            code = "below_start" if price is None else "below_minimum"
        else:
            code, price, leader = None, amount, who
            if now >= 3_600 and now + 180 > ends:
                ends, count = now + 180, count + 1
        codes.append(code)
    answer = play(rules("two_phase"), *events)
    assert [row.get("code") for row in answer["answers"]] == codes
    assert (answer["winner"], answer["ends_at"][11:19], answer["extensions"]) == (leader, clock(ends), count)


@LIMITS
@given(
    moves=st.lists(
        st.tuples(SECONDS, WHO, st.sampled_from(["accept", "bid", "bid", "withdraw"]), st.integers(60, 130)),
        max_size=14,
    )
)
def test_hybrid_dutch(moves):
    taker, taken, sealed, best, codes, events = None, None, {}, None, [], []
    for at, who, kind, amount in sorted(moves, key=lambda move: move[0]):
        events.append(event(clock(at), kind, who, text(amount * 100) if kind == "bid" else None))
        ends = 330 if taker is None else 1270 if sealed else 950
        phase = next(
            name for end, name in ((30, ""), (330, "d"), (350, ""), (950, "s"), (970, ""), (9999, "b")) if at < end
        )
        if at >= ends:
            code = "late"
        elif phase == "" or (kind == "accept") != (phase == "d"):
            code = "wrong_phase"
        elif phase == "d":
            code = "taken" if taker else None
            taker, taken = (taker, taken) if taker else (who, 100 - (at - 30) // 60 * 10)
        elif phase == "b" and who != taker:
            code = "not_eligible"
        elif kind == "withdraw":
            code = None if (who in sealed if phase == "s" else best) else "nothing_to_withdraw"
            best = None if phase == "b" else best
            if phase == "s":
                sealed.pop(who, None)
        elif phase == "s":
            code = "not_eligible" if who == taker else "below_minimum" if amount <= taken else None
            if code is None and sealed.get(who, (0, 0))[0] != amount:
                sealed[who] = (amount, len(codes))
        else:
            code = "below_minimum" if amount <= max(a for a, _ in sealed.values()) else None
            best = amount if code is None else best
        codes.append(code)
    answer = play(rules("hybrid_dutch"), *events)
    assert [row.get("code") for row in answer["answers"]] == codes
    order = sorted((-amount, number, who) for who, (amount, number) in sealed.items())
    rows = [(who, -amount) for amount, _, who in order] + ([(taker, best or taken)] if taker else [])
    rows.sort(key=lambda row: -row[1])
    assert ranked(answer) == [(who, text(amount * 100)) for who, amount in rows]
    assert answer["winner"] == (rows[0][0] if rows else None)
    assert answer["ends_at"][11:19] == clock(330 if taker is None else 1270 if sealed else 950)
