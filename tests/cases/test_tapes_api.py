from demo import tape as demo_tape


def test_the_demo_tape_becomes_cases(api, people, deliver):
    tape = deliver(demo_tape.make_tape(200, bad_rows=True))
    assert (tape["state"], tape["rows"], tape["added"], tape["bad_rows"], tape["errors"]) == ("imported", 200, 194, 6, 6)
