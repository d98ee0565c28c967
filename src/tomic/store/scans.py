"""Scans and their proposals, each followed until its outcome is known."""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tomic.store import documents
from tomic.store.documents import dump, load, stamp, unstamp
from tomic.store.file import TableGroup


class NewProposal(NamedTuple):
    """A proposal to be kept; *expiry* is the day on which its outcome will be known."""

    symbol: str
    strategy: str
    expiry: dt.date
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredProposal:
    """A proposal as it was made; *document* is never changed afterwards."""

    id: str
    scan_id: int
    rank: int
    symbol: str
    strategy: str
    expiry: dt.date
    as_of: dt.datetime
    document: dict[str, Any]
    outcome: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class StoredScan:
    """A scan and the ids of its proposals, best first."""

    id: int
    as_of: dt.datetime
    document: dict[str, Any]
    proposal_ids: tuple[str, ...]


class ScanTables(TableGroup):
    """Scans and proposals."""

    async def save(
        self,
        proposals: Sequence[NewProposal],
        *,
        as_of: dt.datetime,
        day: dt.date,
        document: Mapping[str, Any] | None = None,
        mark: str = "",
    ) -> StoredScan:
        """
        Keep a scan and its proposals, best first.

        Proposals are numbered through the trading day: ``20261120-3`` is the third of *day*, behind
        the *mark* of stores that hold other proposals than those of the market.
        """
        number_key = f"{mark}{day:%Y%m%d}"
        kept = dict(document or {})
        at = stamp(as_of)

        def work(db: sqlite3.Connection) -> StoredScan:
            scan_id = db.execute(
                "INSERT INTO scans (day, as_of, document) VALUES (?, ?, ?)",
                (day.isoformat(), at, dump(kept)),
            ).lastrowid
            assert scan_id is not None
            (last,) = db.execute(
                "SELECT coalesce(max(number), 0) FROM proposals WHERE day = ?", (day.isoformat(),)
            ).fetchone()
            ids = tuple(f"{number_key}-{last + n}" for n in range(1, len(proposals) + 1))
            db.executemany(
                "INSERT INTO proposals (id, scan_id, day, number, rank, symbol, strategy, expiry,"
                " as_of, document) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (ids[n], scan_id, day.isoformat(), last + n + 1, n + 1, proposal.symbol,
                     proposal.strategy, proposal.expiry.isoformat(), at, dump(proposal.document))
                    for n, proposal in enumerate(proposals)
                ],
            )  # fmt: skip
            return StoredScan(scan_id, as_of, kept, ids)

        return await self._file.write(work)

    async def proposal(self, proposal_id: str) -> StoredProposal | None:
        """Return one proposal by its id (``20261120-3``), None when there is none."""
        matches = await self._proposals("id = ?", (proposal_id,))
        return matches[0] if matches else None

    async def proposals(
        self,
        *,
        symbol: str | None = None,
        since: dt.date | None = None,
        settled: bool | None = None,
    ) -> list[StoredProposal]:
        """
        Return proposals, oldest first.

        Args:
            symbol: Only of this underlying.
            since: Only of this trading day and later.
            settled: Only with (True) or without (False) an outcome.
        """
        return await self._proposals(
            "(:symbol IS NULL OR symbol = :symbol) AND (:since IS NULL OR day >= :since)"
            " AND (:settled IS NULL OR (outcome IS NOT NULL) = :settled)",
            {"symbol": symbol, "since": since.isoformat() if since else None, "settled": settled},
        )

    async def awaiting(self, until: dt.date) -> list[StoredProposal]:
        """Return the proposals that have expired by *until* and have no outcome yet."""
        return await self._proposals("outcome IS NULL AND expiry <= ?", (until.isoformat(),))

    async def settle(
        self, outcomes: Iterable[tuple[str, Mapping[str, Any]]], *, at: dt.datetime
    ) -> None:
        """Note how proposals ended; a first outcome is never overwritten."""
        rows = [(dump(outcome), stamp(at), proposal_id) for proposal_id, outcome in outcomes]
        await self._write_rows(
            "UPDATE proposals SET outcome = ?, settled_at = ? WHERE id = ? AND outcome IS NULL",
            rows,
        )

    async def latest(self, *, limit: int | None = None) -> list[StoredScan]:
        """Return the scans, newest first."""
        return await self._scans("TRUE", -1 if limit is None else limit)

    async def of_last_day(self) -> list[StoredScan]:
        """Return the scans of the last trading day that has one, newest first."""
        return await self._scans("day = (SELECT max(day) FROM scans)", -1)

    async def _scans(self, where: str, limit: int) -> list[StoredScan]:
        def work(db: sqlite3.Connection) -> list[StoredScan]:
            scans = db.execute(
                f"SELECT id, as_of, document FROM scans WHERE {where} ORDER BY id DESC LIMIT ?",
                (limit,),
            ).fetchall()
            ids = "SELECT id FROM proposals WHERE scan_id = ? ORDER BY rank"
            return [
                StoredScan(
                    scan_id,
                    unstamp(at),
                    load(text),
                    tuple(proposal_id for (proposal_id,) in db.execute(ids, (scan_id,))),
                )
                for scan_id, at, text in scans
            ]

        return await self._file.read(work)

    async def _proposals(
        self, where: str, values: tuple[Any, ...] | dict[str, Any]
    ) -> list[StoredProposal]:
        rows = await self._rows(
            "SELECT id, scan_id, rank, symbol, strategy, expiry, as_of, document, outcome"
            f" FROM proposals WHERE {where} ORDER BY day, number",
            values,
        )
        return [
            StoredProposal(
                proposal_id,
                scan_id,
                rank,
                symbol,
                strategy,
                documents.to_day(expiry),
                unstamp(at),
                load(text),
                load(outcome) if outcome else None,
            )
            for proposal_id, scan_id, rank, symbol, strategy, expiry, at, text, outcome in rows
        ]
