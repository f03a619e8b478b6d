"""Every pair of state and verb of every noun: a legal move leads where the table says, any other is refused by name."""

import importlib

import pytest
import rules

from marketplace.lifecycle import IllegalMove, Lifecycle


def _lifecycles():
    found = {}
    for source in rules.sources():
        if source.in_domain:
            module = importlib.import_module(
                source.path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
            )
            for value in vars(module).values():
                if isinstance(value, Lifecycle):
                    found[value.noun] = value
    return [found[noun] for noun in sorted(found)]


PAIRS = [
    pytest.param(table, state, verb, id=f"{table.noun}-{state.value}-{verb}")
    for table in _lifecycles()
    for state in table.states
    for verb in table.verbs
]


@pytest.mark.parametrize(("table", "state", "verb"), PAIRS)
def test_pair(table, state, verb):
    targets = [target for source, name, target in table.rows if (source, name) == (state, verb)]
    if targets:
        assert table.move(state, verb) is targets[0]
    else:
        with pytest.raises(IllegalMove) as caught:
            table.move(state, verb)
        assert caught.value.values == {"state": state.value, "verb": verb, "allowed": table.allowed(state)}


def test_the_nouns_of_the_market_have_tables():
    nouns = {table.noun.lower() for table in _lifecycles()}
    assert len(nouns) >= 12, nouns
