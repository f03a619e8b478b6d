"""Every text of a page has its Chinese, with the same placeholders; none is left over."""

import re

import pytest

from console import language, messages, words

PLACEHOLDER = re.compile(r"%\(\w+\)[sd]")


def texts():
    return [message for message in messages.extract() if message.id]


def test_texts_are_found():
    found = {message.id for message in texts()}
    assert {"Sign in", "Not found", "Bidder"} <= found


def test_every_text_has_its_chinese():
    known = messages.read("zh")
    missing = [message.id for message in texts() if not (known.get(message.id) and known.get(message.id).string)]
    assert not missing, "run `python -m console.messages` and translate"


def test_no_chinese_is_left_over():
    needed = {message.id for message in texts()}
    assert not [message.id for message in messages.read("zh") if message.id and message.id not in needed]


def test_placeholders_are_the_same():
    for message in messages.read("zh"):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string)
        for string in strings:
            assert set(PLACEHOLDER.findall(string)) == set(PLACEHOLDER.findall(ids[-1])), message.id


def test_the_catalogue_is_compiled_from_its_source():
    assert language.catalogue("zh").gettext("Sign in") == "登录"
    assert language.catalogue("en").gettext("Sign in") == "Sign in"


@pytest.mark.parametrize("subject", sorted(words.WORDS))
def test_every_word_is_in_the_catalogue(subject):
    known = messages.read("zh")
    for text in words.WORDS[subject].values():
        assert known.get(text).string, text
