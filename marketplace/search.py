"""Search: one door, two engines. PostgreSQL is the truth and always answers; Elasticsearch is a mirror, if configured.

Both cut text alike: Chinese, Japanese and Korean runs into overlapping pairs of characters, other runs into words
(compared with Lucene's own analysis; a few rare signs such as 〆 differ). The mirror is filled through the outbox,
never in the transaction that wrote the document.
"""

import itertools
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol

import structlog
from sqlalchemy import CheckConstraint, Index, cast, desc, func, select
from sqlalchemy.dialects.postgresql import TSQUERY, TSVECTOR, insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from marketplace import outbox, runtime
from marketplace.db import Base

if TYPE_CHECKING:
    from types import ModuleType

    from elasticsearch import Elasticsearch

log = structlog.get_logger(__name__)

EVERYONE: Final = "everyone"
"""The audience that every reader belongs to."""

MAX_TEXT: Final = 20_000
"""So many characters of a document are searched; what follows is not."""

MAX_QUERY: Final = 200
MAX_HITS: Final = 100
_MAX_WORD: Final = 64

_HAN = "\u3005\u3007\u3021-\u3029\u3038-\u303a\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_CJK = _HAN + "\u3041-\u309f\u30a1-\u30ff\u31f0-\u31ff\uac00-\ud7a3"
_SOUTH_EAST = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
_RUN = re.compile(
    rf"[{_CJK}]+|[{_SOUTH_EAST}]{{1,{_MAX_WORD}}}|[^{_CJK}{_SOUTH_EAST}\s]{{1,{_MAX_WORD}}}"
)  # the three groups between which Unicode's word boundaries (UAX 29) also cut
_CJK_RUN = re.compile(rf"[{_CJK}]+")


class SearchDocument(Base):
    """What can be found under a key of a kind. A removed one stays, empty, so that its version never goes back."""

    __tablename__ = "search_documents"
    kind: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    audience: Mapped[str]
    content: Mapped[str]
    tokens: Mapped[str] = mapped_column(TSVECTOR)
    payload: Mapped[dict[str, Any]]
    version: Mapped[int]
    removed: Mapped[bool]
    changed_at: Mapped[datetime]

    __table_args__ = (
        CheckConstraint("version > 0", "version_positive"),
        CheckConstraint("NOT removed OR content = ''", "removed_empty"),
        Index("ix_search_documents_tokens", "tokens", postgresql_using="gin"),
    )


@dataclass(frozen=True, slots=True)
class SearchDocumentChanged(outbox.Event):
    """A document was put or removed."""

    name: ClassVar[str] = "search.document_changed"
    kind: str
    key: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A document found, with what its owner stored beside it."""

    key: str
    payload: dict[str, Any]


def runs(text: str) -> list[str]:
    """Return the searchable runs of a text: folded (NFKC, case), cut at everything that is no letter or digit.

    A run is wholly Chinese-Japanese-Korean, South-East Asian or neither; only the first may exceed 64 characters.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return _RUN.findall("".join(char if char.isalnum() else " " for char in folded))


def index_tokens(text: str) -> list[str]:
    """Return the tokens by which a text is found, in its order: words; of other runs each character and each pair."""
    return [token for run in runs(text) for token in _pieces(run, singles=True)]


def query_tokens(text: str) -> list[str]:
    """Return the tokens that a document must all have: words; of other runs the pairs, a lone character as itself."""
    return list(dict.fromkeys(token for run in runs(text) for token in _pieces(run, singles=len(run) == 1)))


def _pieces(run: str, *, singles: bool) -> Iterator[str]:
    if not _CJK_RUN.fullmatch(run):
        yield run
        return
    if singles:
        yield from run
    yield from (first + second for first, second in itertools.pairwise(run))


def put(
    session: Session,
    *,
    kind: str,
    key: str,
    text: str,
    payload: Mapping[str, Any],
    at: datetime,
    audience: str = EVERYONE,
) -> None:
    """Make a document findable, or replace it; the first 20,000 characters of `text` count. `payload` is plain JSON."""
    content = " ".join(runs(text[:MAX_TEXT]))
    _write(session, kind, key, audience=audience, content=content, payload=dict(payload), removed=False, at=at)


def remove(session: Session, *, kind: str, key: str, at: datetime) -> None:
    """Make a document unfindable; one that never was makes no difference."""
    _write(session, kind, key, audience=EVERYONE, content="", payload={}, removed=True, at=at)


def _write(
    session: Session,
    kind: str,
    key: str,
    *,
    audience: str,
    content: str,
    payload: dict[str, Any],
    removed: bool,
    at: datetime,
) -> None:
    values = {
        "audience": audience,
        "content": content,
        "tokens": cast(_vector(index_tokens(content)), TSVECTOR),
        "payload": payload,
        "removed": removed,
        "changed_at": at,
    }
    statement = insert(SearchDocument).values(kind=kind, key=key, version=1, **values)
    statement = statement.on_conflict_do_update(
        index_elements=["kind", "key"], set_={**values, "version": SearchDocument.version + 1}
    )
    session.execute(statement)
    outbox.publish(session, SearchDocumentChanged(kind, key), at=at)


def _vector(tokens: list[str]) -> str:
    """Write tokens as a tsvector literal with positions; tokens are letters and digits, so nothing needs escaping."""
    places: dict[str, list[str]] = {}
    for position, token in enumerate(tokens, start=1):
        places.setdefault(token, []).append(str(min(position, 16383)))
    return " ".join(f"'{token}':{','.join(positions[:255])}" for token, positions in places.items())


def find(session: Session, *, kind: str, query: str, limit: int, audiences: Collection[str] = (EVERYONE,)) -> list[Hit]:
    """Return up to `limit` (at most 100) documents of a kind that have every token of the query, best first.

    Only documents of the audiences are found. A query without letters or digits finds nothing. When Elasticsearch is
    configured and does not answer, PostgreSQL does.
    """
    tokens = query_tokens(query[:MAX_QUERY])
    if not tokens:
        return []
    wanted = Wanted(kind=kind, query=query[:MAX_QUERY], audiences=tuple(audiences), limit=min(limit, MAX_HITS))
    url = runtime.current().settings.elasticsearch_url
    if url is not None:
        try:
            return _load(session, wanted, ElasticEngine.at(url).keys(wanted))
        except _unanswered() as error:
            log.warning("elasticsearch does not answer; PostgreSQL does", error=repr(error))
    return _load(session, wanted, PostgresEngine(session).keys(wanted))


def _load(session: Session, wanted: "Wanted", keys: list[str]) -> list[Hit]:
    query = select(SearchDocument.key, SearchDocument.payload).where(
        SearchDocument.kind == wanted.kind,
        SearchDocument.key.in_(keys),
        SearchDocument.removed.is_(False),
        SearchDocument.audience.in_(wanted.audiences),
    )
    found = {row.key: Hit(row.key, row.payload) for row in session.execute(query)}
    return [found[key] for key in keys if key in found]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an engine is asked for."""

    kind: str
    query: str
    audiences: tuple[str, ...]
    limit: int


class Engine(Protocol):
    """Finds keys, best first."""

    def keys(self, wanted: Wanted) -> list[str]:
        """Return the keys of documents that have every token of the query."""


@dataclass(frozen=True, slots=True)
class PostgresEngine:
    """The truth: a `tsvector` of tokens cut in Python behind a GIN index."""

    session: Session

    def keys(self, wanted: Wanted) -> list[str]:
        """Return the keys of documents that have every token of the query."""
        tokens = " & ".join(f"'{token}'" for token in query_tokens(wanted.query))
        terms = cast(tokens, TSQUERY)
        query = (
            select(SearchDocument.key)
            .where(
                SearchDocument.kind == wanted.kind,
                SearchDocument.audience.in_(wanted.audiences),
                SearchDocument.tokens.bool_op("@@")(terms),
            )
            .order_by(desc(func.ts_rank(SearchDocument.tokens, terms)), SearchDocument.key.desc())
            .limit(wanted.limit)
        )
        return list(self.session.scalars(query))


_MAPPING: Final[Mapping[str, Any]] = {
    "dynamic": "strict",
    "properties": {
        "kind": {"type": "keyword"},
        "key": {"type": "keyword"},
        "audience": {"type": "keyword"},
        "removed": {"type": "boolean"},
        "content": {"type": "text", "analyzer": "pairs_and_singles", "search_analyzer": "pairs"},
    },
}
_ANALYSIS: Final[Mapping[str, Any]] = {
    "filter": {"pairs_and_singles": {"type": "cjk_bigram", "output_unigrams": True}},
    "analyzer": {
        "pairs": {"tokenizer": "standard", "filter": ["lowercase", "cjk_bigram"]},
        "pairs_and_singles": {"tokenizer": "standard", "filter": ["lowercase", "pairs_and_singles"]},
    },
}
"""The filters of Elasticsearch's `cjk` analyzer without its English stop words: every word counts, as in PostgreSQL."""

_clients: dict[str, "Elasticsearch"] = {}


def _library() -> "ModuleType":
    """Return the client's library; importing it takes a second that most processes need not spend."""
    import elasticsearch  # noqa: PLC0415 - see above

    return elasticsearch


def _unanswered() -> tuple[type[Exception], ...]:
    """Return what the client raises when the mirror does not answer as asked."""
    return _library().ApiError, _library().TransportError


@dataclass(frozen=True, slots=True)
class ElasticEngine:
    """The mirror. What it finds is looked up in PostgreSQL before anybody sees it."""

    client: "Elasticsearch"
    index: str = "npl-search-1"

    @classmethod
    def at(cls, url: str) -> "ElasticEngine":
        """Return the engine at an address; the process keeps one client for each."""
        if url not in _clients:
            _clients[url] = _library().Elasticsearch(url, request_timeout=5, max_retries=1)
        return cls(_clients[url])

    def prepare(self) -> None:
        """Make the index if it is not there."""
        if not self.client.indices.exists(index=self.index):
            self.client.options(ignore_status=400).indices.create(
                index=self.index, mappings=_MAPPING, settings={"analysis": _ANALYSIS}
            )

    def copy(self, document: SearchDocument) -> None:
        """Bring one document to its version in PostgreSQL; an older version never overwrites a newer one."""
        try:
            self.client.index(
                index=self.index,
                id=f"{document.kind}:{document.key}",
                version=document.version,
                version_type="external_gte",
                document={
                    "kind": document.kind,
                    "key": document.key,
                    "audience": document.audience,
                    "removed": document.removed,
                    "content": document.content,
                },
            )
        except _library().ConflictError:
            log.info("the mirror is ahead", kind=document.kind, key=document.key)

    def keys(self, wanted: Wanted) -> list[str]:
        """Return the keys of documents that have every token of the query."""
        answer = self.client.search(
            index=self.index,
            size=wanted.limit,
            source={"includes": ["key"]},
            query={
                "bool": {
                    "filter": [
                        {"term": {"kind": wanted.kind}},
                        {"term": {"removed": False}},
                        {"terms": {"audience": list(wanted.audiences)}},
                    ],
                    "must": {"match": {"content": {"query": " ".join(runs(wanted.query)), "operator": "and"}}},
                }
            },
        )
        return [hit["_source"]["key"] for hit in answer["hits"]["hits"]]


def mirror(session: Session, payload: Mapping[str, Any], at: datetime) -> None:  # noqa: ARG001 - a subscription's form
    """Copy a changed document to Elasticsearch when there is one; holds no lock on the document meanwhile."""
    url = runtime.current().settings.elasticsearch_url
    if url is None:
        return
    document = session.get(SearchDocument, (payload["kind"], payload["key"]))
    if document is not None:
        engine = ElasticEngine.at(url)
        engine.prepare()
        engine.copy(document)


def announce_all(session: Session, *, at: datetime) -> int:
    """Announce every document as changed, so that a new or lost mirror is filled; return how many."""
    rows = session.execute(select(SearchDocument.kind, SearchDocument.key)).all()
    for row in rows:
        outbox.publish(session, SearchDocumentChanged(row.kind, row.key), at=at)
    return len(rows)
