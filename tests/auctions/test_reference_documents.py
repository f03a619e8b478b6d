"""Whole documents of all nine formats: the engine and the reference, written from the text alone, answer the same."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auctions.domain.replay import replay
from marketplace.documents import Node
from tests.auctions.documents_random import FORMATS, document_of
from tests.auctions.reference_documents import replayed


def agrees(document):
    answer = replay(Node(document))
    assert answer.pop("engine").startswith("auctions-")
    assert answer == replayed(document)


@settings(max_examples=200, deadline=None)
@given(source=st.randoms(use_true_random=False), format_name=st.sampled_from(FORMATS))
def test_any_document(source, format_name):
    agrees(document_of(source, format_name))


@pytest.mark.parametrize("format_name", FORMATS)
def test_three_hundred_documents(format_name):
    """The same documents in every run: a net of known mesh beside the search."""
    for seed in range(300):
        agrees(document_of(random.Random(seed), format_name))
