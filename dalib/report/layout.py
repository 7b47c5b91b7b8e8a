"""From a suite's table to the sheet that every format renders."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from dalib.report.published import is_checked
from dalib.report.scale import Scale
from dalib.report.sheet import Block, Sheet, Shown
from dalib.report.table import ResultTable, TableCell, TableRow


def make_sheet(table: ResultTable) -> Sheet:
    """A suite's table as a sheet."""
    header, blocks = lay_out(table)
    return Sheet(
        table.suite,
        table.title or table.suite,
        tuple(header),
        tuple(blocks),
        tuple(text for text in (table.caption, table.published_note) if text),
        table.failures,
        {column.short: column.name.replace("->", " → ") for column in table.columns},
        max([len(row.label) for row in (*table.rows, *table.references)], default=0),
        (header.index("Average", len(header) - (4 if table.baseline else 3)),),
    )


def lay_out(table: ResultTable) -> tuple[list[str], list[Block]]:
    """Header and blocks: competing rows, references, then one block per kind of published row."""
    header = [
        "Algorithm",
        *(["Pretraining"] if _differ(table) else []),
        *(column.short for column in table.columns),
        "Average",
        "Rank",
    ]
    if table.baseline:
        header.append(f"vs {table.baseline}")
    header.append("n")
    best = _best(table)
    blocks = [Block("", tuple(_row(row, table, best) for row in table.rows))]
    if table.references:
        rows = tuple(_row(row, table, {}) for row in table.references)
        blocks.append(Block("Uses target labels (reference)", rows))
    return header, [block for block in [*blocks, *_published(table, len(header))] if block.rows]


def cell_text(cell: TableCell, scale: Scale) -> str:
    """`71.2 ± 0.4`, `71.2 ± 0.4 (2/3)`, `failed 2/3`, `n/a`, or `–` for a cell whose runs are all missing."""
    if not cell.n_ok:
        if cell.n_failed:
            return f"failed {cell.n_failed}/{cell.n_expected}"
        return "n/a" if cell.n_unavailable else "–"
    spread = "" if math.isnan(cell.std) else f" ± {scale.show(cell.std, like=cell.mean)}"
    share = "" if cell.complete else f" ({cell.n_ok}/{cell.n_expected})"
    return f"{scale.show(cell.mean)}{spread}{share}"


def _best(table: ResultTable) -> dict[str, str]:
    """Column -> its best mean as shown, among the complete rows without target labels; empty for a single row."""
    rows = [row for row in table.rows if row.competes]
    if len(rows) < 2:
        return {}
    scale = table.scale
    best = {c.name: scale.show(scale.best(row.cells[c.name].mean for row in rows)) for c in table.columns}
    return best | {"average": scale.show(scale.best(row.average.mean for row in rows))}


def _row(row: TableRow, table: ResultTable, best: dict[str, str]) -> tuple[Shown, ...]:
    scale = table.scale

    def shown(cell: TableCell, column: str) -> Shown:
        bold = row.competes and best.get(column) == scale.show(cell.mean)
        return Shown(cell_text(cell, scale), bold, dim=not cell.complete, hint=_hint(cell, scale))

    name = row.label if row.label == row.algorithm else f"{row.label} ({row.algorithm})"
    average = row.average
    cells = [Shown(row.label, hint=f"{name}, protocol {row.protocol}")]
    if _differ(table):
        cells.append(_seen(row))
    cells += [shown(row.cells[c.name], c.name) for c in table.columns]
    if row.complete:
        cells.append(shown(average, "average"))
    else:
        text = f"{scale.show(average.mean)}*" if average.n_ok else "–"
        cells.append(Shown(text, dim=True, hint=f"incomplete: {row.n_ok} of {row.n_expected} runs"))
    cells.append(Shown("–" if math.isnan(row.rank) else f"{row.rank:.1f}", dim=math.isnan(row.rank)))
    if table.baseline:
        cells.append(_gain(row, table.baseline, scale))
    seeds = {cell.n_ok for cell in row.cells.values()}
    count = str(seeds.pop()) if row.complete and len(seeds) == 1 else f"{row.n_ok}/{row.n_expected} runs"
    return (*cells, Shown(count))


def _differ(table: ResultTable) -> bool:
    """The rows have several backbones, or weights of one, so that what each has seen is a column."""
    rows = (*table.rows, *table.references)
    return len({(row.backbone.name, row.backbone.hash, *row.backbone.seen) for row in rows if row.n_ok}) > 1


def _seen(row: TableRow) -> Shown:
    """What the row's backbone was pretrained on."""
    if row.backbone.name == "identity" and not row.backbone.seen:
        return Shown("–", dim=True, hint="features as given")
    return Shown(" + ".join(row.backbone.seen) or "none", hint=row.backbone.name)


def _gain(row: TableRow, baseline: str, scale: Scale) -> Shown:
    if math.isnan(row.gain):
        return Shown("baseline" if row.label == baseline else "–", dim=True)
    return Shown(scale.show_difference(row.gain) + (" ▼" if scale.is_worse(row.gain) else ""))


def _hint(cell: TableCell, scale: Scale) -> str:
    parts = [f"n = {cell.n_ok} of {cell.n_expected}"]
    parts += (
        [f"seed {seed}: {scale.show(value)}" for seed, value in sorted(cell.values.items())] if cell.n_ok > 1 else []
    )
    counted = (("failed", cell.n_failed), ("missing", cell.n_missing), ("not selectable", cell.n_unavailable))
    return "; ".join([*parts, *(f"{count} {word}" for word, count in counted if count)])


def _published(table: ResultTable, width: int) -> Iterable[Block]:
    if table.published is None:
        return
    for kind, title in (("paper", "Published by papers"), ("rerun", "Published re-runs by others")):
        entries = table.published[table.published["kind"] == kind]
        rows = [_published_row(entry, table, width) for entry in entries.to_dict("records")]
        yield Block(f"{title}: another protocol, see the note", tuple(rows))


def _published_row(entry: dict[object, object], table: ResultTable, width: int) -> tuple[Shown, ...]:
    numbers = [entry.get(name, math.nan) for name in (*(column.name for column in table.columns), "average")]
    reported_by = str(entry["reported_by"])
    hint = f"row '{entry['method']}' of {reported_by}, {entry['backbone']}"
    mark = "" if is_checked(str(entry["checked"])) else " °"
    name = Shown(
        f"{entry['algorithm']} [{reported_by.partition(' (')[0]}]{mark}", hint=f"{hint}; checked: {entry['checked']}"
    )
    before = [Shown(str(entry["backbone"]))] if _differ(table) else []
    return _pad([name, *before, *(_number(value) for value in numbers)], width)


def _number(value: object) -> Shown:
    missing = not isinstance(value, float) or math.isnan(value)
    return Shown("–", dim=True) if missing else Shown(f"{value:.1f}")


def _pad(cells: Sequence[Shown], width: int) -> tuple[Shown, ...]:
    return (*cells, *[Shown("")] * (width - len(cells)))
