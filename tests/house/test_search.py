"""Search: how text is cut, and one contract for every engine."""

import os
import threading
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

import wsgi
from marketplace import outbox, runtime, search
from marketplace.outbox import OutboxDelivery, OutboxEvent
from tests.conftest import make_settings
from tests.house import opensearch_node
from tests.house.elastic_double import Double

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), min_size=1, max_size=30)
ANY = st.text(st.characters(exclude_categories=("Cs",)), max_size=80)
WORDS = st.text("abc xyz123 浙江省杭州 カタカナ 한국어 é ß Ａ -_.,'\"\\:&|!()<>*%；。、", max_size=60)


@given(ANY)
def test_tokens_are_letters_and_digits_and_cutting_again_changes_nothing(text):
    for tokens in (search.index_tokens(text), search.query_tokens(text)):
        assert all(token and token.isalnum() for token in tokens)
        assert all(len(token) <= 64 for token in tokens)
    again = " ".join(search.runs(text))
    assert search.index_tokens(again) == search.index_tokens(text)
    assert search.query_tokens(again) == search.query_tokens(text)


@given(HAN, st.data())
def test_every_part_of_a_chinese_text_finds_it(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    assert set(search.query_tokens(text[start:end])) <= set(search.index_tokens(text))


@given(st.lists(st.sampled_from(["浙江", "杭州", "npl", "2026", "抵押", "x1"]), min_size=1, max_size=8), st.data())
def test_any_words_of_a_text_in_any_order_find_it(words, data):
    chosen = data.draw(st.permutations(words))[: data.draw(st.integers(1, len(words)))]
    assert set(search.query_tokens(" ".join(chosen))) <= set(search.index_tokens("、".join(words)))


@pytest.mark.parametrize(
    ("text", "indexed", "asked"),
    [
        ("浙江省", ["浙", "江", "省", "浙江", "江省"], ["浙江", "江省"]),
        ("省", ["省"], ["省"]),
        ("AMC公司2026", ["amc", "公", "司", "公司", "2026"], ["amc", "公司", "2026"]),
        ("ＡＭＣ－１２３", ["amc", "123"], ["amc", "123"]),
        ("DP-7K3M9Q2X", ["dp", "7k3m9q2x"], ["dp", "7k3m9q2x"]),
        ("Straße", ["strasse"], ["strasse"]),
        ("𠮷野", ["𠮷", "野", "𠮷野"], ["𠮷野"]),
        ("ｶﾀｶﾅ", ["カ", "タ", "カ", "ナ", "カタ", "タカ", "カナ"], ["カタ", "タカ", "カナ"]),
        ("' & | !", [], []),
        ("a b a", ["a", "b", "a"], ["a", "b"]),
    ],
)
def test_how_text_is_cut(text, indexed, asked):
    assert search.index_tokens(text) == indexed
    assert search.query_tokens(text) == asked


@pytest.fixture
def double():
    server = Double()
    yield server
    client = search._clients.pop(server.url, None)
    if client is not None:
        client.close()
    server.shutdown()
    server.server_close()


@pytest.fixture(params=["postgresql", "double", "elasticsearch"])
def engine(request, database, tmp_path, clock, work, monkeypatch):
    """A runtime with this engine, and `settle`: after it, what was put can be found."""
    if request.param == "elasticsearch" and "ELASTICSEARCH_URL" not in os.environ:
        pytest.skip("no Elasticsearch here: set ELASTICSEARCH_URL to hold the contract against a real one")
    urls = {"postgresql": None, "elasticsearch": os.environ.get("ELASTICSEARCH_URL")}
    url = request.getfixturevalue("double").url if request.param == "double" else urls[request.param]
    built = runtime.build(make_settings(database, tmp_path / "files"), wsgi.MODULES, clock=clock)
    object.__setattr__(built.settings, "elasticsearch_url", url)
    if request.param == "elasticsearch":
        monkeypatch.setitem(search._clients, url, opensearch_node.client(url))
        monkeypatch.setattr(search, "PostgresEngine", None)  # the mirror itself must answer here
    runtime.install(built)

    def settle():
        work()
        if url is not None:
            search.ElasticEngine.at(url).client.indices.refresh(index=search.ElasticEngine.at(url).index)

    yield built, settle
    built.engine.dispose()


class Shelf:
    """One kind of documents, by the short door."""

    def __init__(self, engine, clock):
        self.running, self.settle = engine
        self.clock, self.kind = clock, f"test-{uuid.uuid4().hex}"

    def put(self, key, text, payload=None, **more):
        with self.running.sessions.begin() as session:
            search.put(session, kind=self.kind, key=key, text=text, payload=payload or {}, at=self.clock.now(), **more)

    def remove(self, key):
        with self.running.sessions.begin() as session:
            search.remove(session, kind=self.kind, key=key, at=self.clock.now())

    def find(self, query, limit=10, **more):
        with self.running.sessions() as session:
            return search.find(session, kind=self.kind, query=query, limit=limit, **more)

    def keys(self, query, limit=10, **more):
        return sorted(hit.key for hit in self.find(query, limit, **more))


@pytest.fixture
def shelf(engine, clock):
    return Shelf(engine, clock)


def test_all_words_must_be_there(shelf):
    shelf.put("1", "东海银行2026年第1期个人消费贷款不良资产包")
    shelf.put("2", "东海银行2026年第2期信用卡不良资产包，浙江省杭州市", {"name": "二期"})
    shelf.put("3", "西山消费金融 Retail NPL portfolio, Hangzhou")
    shelf.settle()
    assert shelf.keys("东海银行") == ["1", "2"]
    assert shelf.keys("东海 信用卡") == ["2"]
    assert shelf.keys("杭州") == ["2"]
    assert shelf.keys("杭") == ["2"]
    assert shelf.keys("npl PORTFOLIO") == ["3"]
    assert shelf.keys("ｎｐｌ") == ["3"]
    assert shelf.keys("银行金融") == []
    assert shelf.keys("hang") == []
    assert shelf.keys("1期") == ["1"]
    assert [hit.payload for hit in shelf.find("二期 信用卡")] == []
    assert [hit.payload for hit in shelf.find("信用卡")] == [{"name": "二期"}]


def test_replacing_and_removing_take_effect(shelf):
    shelf.put("1", "抵押 厂房")
    shelf.settle()
    shelf.put("1", "信用 贷款", {"v": 2})
    shelf.settle()
    assert shelf.keys("厂房") == []
    assert [hit.payload for hit in shelf.find("贷款")] == [{"v": 2}]
    shelf.remove("1")
    shelf.remove("never")
    shelf.settle()
    assert shelf.keys("贷款") == []
    shelf.put("1", "信用 贷款")
    shelf.settle()
    assert shelf.keys("贷款") == ["1"]


def test_kinds_audiences_and_limits(shelf, engine, clock):
    other = Shelf(engine, clock)
    other.put("x", "贷款")
    for number in range(5):
        shelf.put(str(number), "贷款 公告")
    shelf.put("hidden", "贷款 底价", audience="registered")
    shelf.settle()
    assert shelf.keys("贷款") == ["0", "1", "2", "3", "4"]
    assert len(shelf.find("贷款", limit=3)) == 3
    assert shelf.keys("贷款", audiences=("registered",)) == ["hidden"]
    assert len(shelf.find("贷款", audiences=(search.EVERYONE, "registered"))) == 6


@pytest.mark.parametrize("query", ["", "   ", "'", "& | !", "\\", "'; DROP TABLE", "a" * 5000, "贷" * 5000, "\u0000"])
def test_any_query_is_answered(shelf, query):
    shelf.put("1", "贷款 drop table")
    shelf.settle()
    found = shelf.keys(query)
    assert found == (["1"] if "DROP" in query else [])


def test_long_texts_are_cut_not_refused(shelf):
    shelf.put("1", "".join(chr(0x4E00 + number % 20000) for number in range(30_000)) + "终")
    shelf.put("2", "word " * 10_000)
    shelf.settle()
    assert shelf.keys("一丁") == ["1"]
    assert shelf.keys("word") == ["2"]


@given(text=WORDS, query=WORDS)
def test_postgresql_finds_exactly_what_has_every_token(postgres_shelf, text, query):
    postgres_shelf.put("1", text)
    tokens = set(search.query_tokens(query))
    expected = bool(tokens) and tokens <= set(search.index_tokens(text))
    assert postgres_shelf.keys(query) == (["1"] if expected else [])


@given(text=st.one_of(WORDS, HAN))
def test_the_servers_analyzer_cuts_as_ours(server_engine, text):
    content = " ".join(search.runs(text))

    def cut(analyzer):
        answer = server_engine.client.indices.analyze(index=server_engine.index, analyzer=analyzer, text=content)
        return {token["token"] for token in answer["tokens"]}

    assert cut("pairs_and_singles") == set(search.index_tokens(text))
    assert cut("pairs") == set(search.query_tokens(text))


@pytest.fixture(scope="module")
def server_engine():
    """The mirror on a real server."""
    if "ELASTICSEARCH_URL" not in os.environ:
        pytest.skip("no Elasticsearch here: set ELASTICSEARCH_URL to hold the contract against a real one")
    engine = search.ElasticEngine(opensearch_node.client(os.environ["ELASTICSEARCH_URL"]))
    engine.prepare()
    yield engine
    engine.client.close()


@pytest.fixture(scope="module")
def postgres_shelf():
    """A shelf of its own for the many examples of one property; PostgreSQL only."""
    from tests.conftest import TEMPLATE, MovableClock, _fresh

    urls = _fresh(f"TEMPLATE {TEMPLATE} STRATEGY FILE_COPY")
    built = runtime.build(make_settings(next(urls), "/tmp"), wsgi.MODULES)
    runtime.install(built)
    yield Shelf((built, lambda: None), MovableClock())
    built.engine.dispose()
    next(urls, None)


def test_when_the_mirror_is_away_postgresql_answers_and_the_mirror_catches_up(double, running, clock, sessions):
    object.__setattr__(running.settings, "elasticsearch_url", double.url)
    shelf = Shelf((running, lambda: None), clock)
    shelf.put("1", "东海银行")
    double.down = True
    assert shelf.keys("东海") == ["1"]
    relay(running)
    with sessions() as session:
        assert session.scalar(select(func.max(OutboxDelivery.attempts))) == 1
    double.down = False
    clock.advance(minutes=5)
    relay(running)
    assert double.indices["npl-search-1"][f"{shelf.kind}:1"]["content"] == "东海银行"
    assert shelf.keys("东海") == ["1"]


def relay(running):
    return outbox.deliver_due(running.sessions, running.subscriptions, clock=running.clock)


@pytest.mark.parametrize("point", ["call", "answer", "end"])
def test_a_worker_that_dies_around_the_copy_leaves_it_to_the_next(double, running, clock, monkeypatch, point):
    """Before the call, between call and commit, and after: in the end the mirror holds the newest text, once."""
    object.__setattr__(running.settings, "elasticsearch_url", double.url)
    shelf = Shelf((running, lambda: None), clock)
    shelf.put("1", "东海银行")
    copy = search.ElasticEngine.copy

    def last(engine, document):
        if point == "call":
            raise KeyboardInterrupt
        copy(engine, document)
        raise KeyboardInterrupt

    if point == "end":
        assert relay(running) == 1
    else:
        monkeypatch.setattr(search.ElasticEngine, "copy", last)
        with pytest.raises(KeyboardInterrupt):
            relay(running)
        monkeypatch.setattr(search.ElasticEngine, "copy", copy)
    shelf.put("1", "东海银行杭州分行")
    clock.advance(minutes=5)
    relay(running)
    relay(running)
    (found,) = double.indices["npl-search-1"].values()
    assert found["content"] == "东海银行杭州分行"
    assert shelf.keys("杭州") == ["1"]


def test_an_old_copy_never_overwrites_a_newer_one(double, running, clock, sessions):
    object.__setattr__(running.settings, "elasticsearch_url", double.url)
    shelf = Shelf((running, lambda: None), clock)
    shelf.put("1", "旧")
    with sessions() as late:
        old = late.get_one(search.SearchDocument, (shelf.kind, "1"))
        late.expunge(old)
    shelf.put("1", "新")
    relay(running)
    search.ElasticEngine.at(double.url).copy(old)
    assert double.indices["npl-search-1"][f"{shelf.kind}:1"]["content"] == "新"
    assert double.versions["npl-search-1", f"{shelf.kind}:1"] == 2


def test_a_lost_mirror_is_filled_again(double, running, clock, sessions, app):
    shelf = Shelf((running, lambda: None), clock)
    shelf.put("1", "东海银行")
    relay(running)
    object.__setattr__(running.settings, "elasticsearch_url", double.url)
    answer = app.test_cli_runner().invoke(args=["house", "fill-search"])
    assert (answer.exit_code, answer.output) == (0, "1 documents will be copied.\n")
    relay(running)
    assert shelf.keys("东海") == ["1"]
    assert list(double.indices["npl-search-1"]) == [f"{shelf.kind}:1"]


def test_nothing_is_put_when_the_deed_is_undone(running, sessions, clock):
    with sessions() as session:
        search.put(session, kind="k", key="1", text="东海", payload={}, at=clock.now())
        session.rollback()
        assert search.find(session, kind="k", query="东海", limit=1) == []
        assert session.scalar(select(func.count()).select_from(OutboxEvent)) == 0


def test_two_writers_of_one_document_take_turns(running, sessions, clock):
    barrier = threading.Barrier(2)

    def write(name):
        barrier.wait()
        for _ in range(10):
            with sessions.begin() as session:
                search.put(session, kind="k", key="1", text=name, payload={}, at=clock.now())

    threads = [threading.Thread(target=write, args=(name,)) for name in ("甲", "乙")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with sessions() as session:
        assert session.get_one(search.SearchDocument, ("k", "1")).version == 20
