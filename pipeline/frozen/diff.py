"""What differs between two sets or recipes: examples, tags, spans, gains, samples, tools."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pipeline.frozen.rows import FrozenMusic, FrozenNoise, FrozenRow, FrozenSource
from pipeline.frozen.untrusted import printable
from pipeline.frozen.view import View

_SHOWN: Final = 20


@dataclass(frozen=True)
class Change:
    """One thing in which an example differs: what, and how it was and is."""

    what: str
    before: str
    after: str


@dataclass(frozen=True)
class ChangedExample:
    """An example that both have, and what differs in it."""

    key: str
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class SetDiff:
    """Differences from A to B.

    Attributes:
        names: of A and of B.
        recipe_ids: of A and of B, where they have one.
        n_common: examples that both hold.
        added: keys of B alone.
        removed: keys of A alone.
        changed: examples that differ; their shard and order do not count.
        config: options that differ.
        tools: versions that differ.
        tags_added: tags of B's vocabulary alone.
        tags_removed: tags of A's vocabulary alone.
    """

    names: tuple[str, str]
    recipe_ids: tuple[str | None, str | None]
    n_common: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[ChangedExample, ...]
    config: tuple[Change, ...]
    tools: tuple[Change, ...]
    tags_added: tuple[str, ...]
    tags_removed: tuple[str, ...]

    @property
    def same(self) -> bool:
        """Whether nothing differs but tools and names."""
        return not (
            self.added
            or self.removed
            or self.changed
            or self.config
            or self.tags_added
            or self.tags_removed
        )


def diff_views(a: View, b: View) -> SetDiff:
    """Return what differs from A to B."""
    common = [key for key in a.rows if key in b.rows]
    changed = (
        ChangedExample(key, tuple(changes))
        for key in common
        if (changes := _row_changes(a, b, key))
    )
    return SetDiff(
        names=(a.name, b.name),
        recipe_ids=(a.recipe_id, b.recipe_id),
        n_common=len(common),
        added=tuple(sorted(b.rows.keys() - a.rows.keys())),
        removed=tuple(sorted(a.rows.keys() - b.rows.keys())),
        changed=tuple(changed),
        config=tuple(_record_changes(a.config, b.config)),
        tools=tuple(_record_changes(a.tools, b.tools)),
        tags_added=tuple(tag for tag in b.tags if tag not in set(a.tags)),
        tags_removed=tuple(tag for tag in a.tags if tag not in set(b.tags)),
    )


def _record_changes(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[Change]:
    return [
        Change(name, _shown(a.get(name)), _shown(b.get(name)))
        for name in sorted(a.keys() | b.keys())
        if _plain(a.get(name)) != _plain(b.get(name))
    ]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _shown(value: Any) -> str:
    return "none" if value is None else printable(_plain(value))


def _row_changes(a: View, b: View, key: str) -> list[Change]:
    old, new = a.rows[key], b.rows[key]
    changes = _field_changes("domain", old.domain, new.domain)
    changes += _tag_changes(old.tags, new.tags)
    changes += _field_changes("music", _music(old.music), _music(new.music))
    changes += _field_changes("noises", _noises(old.noises), _noises(new.noises))
    changes += _gain_changes(old, new)
    changes += _source_changes(a.sources[key], b.sources[key])
    return changes + _sample_changes(a, b, old, new)


def _field_changes(what: str, before: Any, after: Any) -> list[Change]:
    return [Change(what, _shown(before), _shown(after))] if before != after else []


def _tag_changes(old: Sequence[str], new: Sequence[str]) -> list[Change]:
    lost = [tag for tag in old if tag not in new]
    won = [tag for tag in new if tag not in old]
    return (
        [Change("tags", ", ".join(lost) or "none", ", ".join(won) or "none")] if lost or won else []
    )


def _music(span: FrozenMusic) -> str:
    return f"{span.corpus} {span.clip_id} from {span.start_s:g} s, {span.n_samples} samples"


def _noises(spans: Sequence[FrozenNoise]) -> str:
    return "; ".join(
        f"{s.corpus} {s.clip_id} from {s.start_s:g} s{' looped' if s.looped else ''}" for s in spans
    )


def _gain_changes(old: FrozenRow, new: FrozenRow) -> list[Change]:
    def gains(row: FrozenRow) -> str:
        levels = [noise.level_db for noise in row.noises]
        return f"common {row.gain_db} dB, mix {list(row.mix_gains_db)} dB, levels {levels} dB"

    return _field_changes("gains", gains(old), gains(new))


def _source_changes(old: Sequence[FrozenSource], new: Sequence[FrozenSource]) -> list[Change]:
    """Compare files and licences of sources that both examples have."""
    theirs = {source.key: source for source in new}
    changes = []
    for source in old:
        other = theirs.get(source.key)
        if other is None:
            continue
        name = f"{source.corpus} {source.clip_id}"
        if source.sha256 != other.sha256:
            before, after = f"SHA-256 {source.sha256[:12]}…", f"{other.sha256[:12]}…"
            changes.append(Change(f"file of {name}", before, after))
        changes += _field_changes(f"licence of {name}", source.licence, other.licence)
    return changes


def _sample_changes(a: View, b: View, old: FrozenRow, new: FrozenRow) -> list[Change]:
    before = dict(zip(a.members, old.pcm_sha256, strict=True))
    after = dict(zip(b.members, new.pcm_sha256, strict=True))
    differ = [name for name in before if name in after and before[name] != after[name]]
    if not differ:
        return []
    shown = f"{before[differ[0]][:12]}…", f"{after[differ[0]][:12]}…"
    return [Change(f"samples of {', '.join(differ)}", *shown)]


def diff_lines(found: SetDiff) -> list[str]:
    """Return the differences for people: counts first, then the first twenty of each kind."""
    first, second = map(printable, found.names)
    lines = [
        f"{first} -> {second}: {found.n_common:,} examples in common, {len(found.added):,} added, "
        f"{len(found.removed):,} removed, {len(found.changed):,} changed"
    ]
    if all(found.recipe_ids):
        same = found.recipe_ids[0] == found.recipe_ids[1]
        lines.append(f"  recipe ids {'are the same' if same else 'differ'}")
    kinds = Counter(_kind(c.what) for example in found.changed for c in example.changes)
    lines += [f"  {n:,} examples with other {kind}" for kind, n in sorted(kinds.items())]
    lines += [f"  option {printable(c.what)}: {c.before} -> {c.after}" for c in found.config]
    lines += [f"  tool {printable(c.what)}: {c.before} -> {c.after}" for c in found.tools]
    for word, tags in (("added", found.tags_added), ("removed", found.tags_removed)):
        if tags:
            lines.append(f"  tags {word}: {', '.join(map(printable, tags))}")
    for sign, keys in (("+", found.added), ("-", found.removed)):
        lines += [f"  {sign} {key}" for key in keys[:_SHOWN]]
        lines += _more(len(keys))
    for example in found.changed[:_SHOWN]:
        lines.append(f"  ~ {example.key}")
        lines += [f"      {printable(c.what)}: {printable(c.before)} -> {printable(c.after)}"
                  for c in example.changes]  # fmt: skip
    return lines + _more(len(found.changed))


def _kind(what: str) -> str:
    return {"file": "files", "licence": "licences"}.get(what.split(" ")[0], what.split(" ")[0])


def _more(n: int) -> list[str]:
    return [f"  … and {n - _SHOWN:,} more (--json lists all)"] if n > _SHOWN else []
