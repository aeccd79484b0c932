"""The options of a set, one a line: what ``plan`` and ``build-shards`` share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from manifests.member_audio import CODECS
from manifests.resample import RESAMPLERS
from pipeline.cli.options import config_file, config_option, decoder, metadata, run_options
from pipeline.cli.spec_options import forbid_leaks, spec_option
from pipeline.corpora import CORPORA

_MUSIC = ", ".join(name for name, module in CORPORA.items() if "music" in module.ROLE)
_NOISE = ", ".join(name for name, module in CORPORA.items() if "noise" in module.ROLE)
_SPLITS = ["train", "valid", "test", "all"]

corpus_options: Sequence[Any] = [
    click.option(
        "--" + option.name.replace("_", "-"),
        option.name,
        type=click.Choice(option.choices) if option.choices else option.kind,
        multiple=option.multiple,
        default=None,
        help=option.help
        + ("" if option.default in (None, "", ()) else f"  [default: {option.default}]"),
    )
    for module in CORPORA.values()
    for option in module.OPTIONS
]

# fmt: off
set_options: Sequence[Any] = (
    click.option("--music", multiple=True, required=True, metavar="NAME=DIR",
                 help=f"Music corpus and its folder or URL; NAME: {_MUSIC}. Repeatable."),
    click.option("--noise", multiple=True, required=True, metavar="NAME=DIR|none",
                 help=f"Noise corpus and its folder or URL; NAME: {_NOISE}; none keeps recordings as they are. Repeatable."),
    metadata,
    config_option("--split", type=click.Choice(_SPLITS), help="Split of the music."),
    config_option("--noise-split", type=click.Choice(_SPLITS), default=None,
            help="Split of the noise.  [default: the music's]"),
    click.option("--snr", multiple=True, metavar="DB|START:STOP:STEP",
                 help="SNR of a noisy member, dB; repeatable, or a range with both ends.  [default: 10 5 0 -5 -10]"),
    config_option("--noises", metavar="1|2|4", default="1", help="Noises summed in each mix; a list such as 1,2,4 with --suite."),
    config_option("--excerpt-s", metavar="SECONDS|whole|auto", help="Length of an excerpt, seconds; auto: whole clips up to 60 s, 30 s of longer ones."),
    config_option("--excerpts-per-track", type=click.IntRange(1), help="Excerpts of each clip, one from each equal part of it."),
    config_option("--halves", type=click.Choice(["auto", "both", "target", "none"]), help="Mark songs as source or target half; auto: the train split only."),
    click.option("--tags", "tags", metavar="FILE|top50|thesis|all", help="Tags to keep: a list by name, a file with one tag a line, or a set's tags.json.  [default: the corpus' own list]"),
    click.option("--min-tag-clips", type=click.IntRange(0), default=0, show_default=True, help="Leave out tags with fewer training clips."),
    click.option("--merge-tags", metavar="FILE", help="Synonyms: two columns, tag and the tag it becomes."),
    click.option("--drop-tag", multiple=True, help="A tag to leave out. Repeatable."),
    config_option("--band-limit", metavar="auto|off|HZ", help="Upper edge of the band kept in music and noise, Hz; auto: what the narrowest corpus holds."),
    config_option("--resampler", type=click.Choice(RESAMPLERS), help="Resampler to 22,050 Hz."),
    decoder,
    config_option("--codec", type=click.Choice(CODECS), help="Coding of the members, 16 bit."),
    config_option("--keep-dc", is_flag=True, help="Keep the mean of each span instead of removing it."),
    config_option("--min-duration-s", type=click.FloatRange(0.1), help="Shortest music clip, seconds."),
    config_option("--min-noise-s", type=click.FloatRange(0.01), help="Shortest noise clip, seconds; shorter than the music is looped."),
    config_option("--seed", type=click.IntRange(0), help="Seed of every draw."),
    config_option("--examples-per-shard", type=click.IntRange(1), help="Examples in each shard."),
    config_option("--limit", type=click.IntRange(1), help="Keep N examples: a true subset of the whole set."),
    config_option("--name", default="", show_default=False, help="Name of the set in its index.  [default: from corpora and split]"),
    spec_option,
    forbid_leaks,
    *corpus_options,
    *run_options,
    config_option("--max-reject-percent", type=click.FloatRange(0, 100), help="Stop before rendering where more of a corpus is unusable, percent."),
    config_file,
)
# fmt: on
