"""Captions per second: beam search batched over photos and regions, against one caption at a time.

python benchmarks/captions.py
python benchmarks/captions.py --pack FOLDER --beam 3
"""

from __future__ import annotations

from collections.abc import Callable

from measuring import arguments, at_least_one, median_seconds, print_table, sample_photos

import regiontalk
from regiontalk.captioning.attention import Contexts, photo_contexts, region_contexts
from regiontalk.captioning.captioner import Captioner
from regiontalk.settings import CaptionerSettings
from regiontalk.vision.boxes import distinct


def main() -> None:
    """Measure and print, for both captioners."""
    parser = arguments(__doc__)
    parser.add_argument("--beam", type=at_least_one, help="hypotheses kept; the pack's without it")
    parser.add_argument(
        "--copies",
        type=at_least_one,
        default=4,
        help="each sample photo so many times (default: 4)",
    )
    options = parser.parse_args()

    model = regiontalk.load(options.pack)
    looked = model.look(sample_photos()) * options.copies
    settings, arrays = model.pack.settings, model.pack.arrays
    photos = photo_contexts(
        [distinct(each) for each in looked], settings.photo_captioner.attention > 0
    )
    regions = region_contexts(looked)
    rows = []
    for name, contexts, captioner in (
        ("photo_captioner", photos, settings.photo_captioner),
        ("region_captioner", regions, settings.region_captioner),
    ):
        beam = options.beam or captioner.beam
        competitors = ways(Captioner(arrays[name], captioner.cell), contexts, captioner, beam)
        batched, single = median_seconds(competitors, options.repeats).values()
        rates = [f"{len(contexts) / seconds:.0f}" for seconds in (batched, single)]
        rows.append(
            [
                name.replace("_", " "),
                str(len(contexts)),
                str(beam),
                *rates,
                f"{single / batched:.1f}",
            ]
        )
    print_table(
        f"pack {settings.name}, median of {options.repeats}",
        ["", "captions", "beam", "batched, captions/s", "one at a time, captions/s", "ratio"],
        rows,
    )


def ways(
    captioner: Captioner, contexts: Contexts, settings: CaptionerSettings, beam: int
) -> dict[str, Callable[[], object]]:
    """Both ways to the captions of N contexts. They must agree, or their times say nothing."""

    def batched() -> list[tuple[int, ...]]:
        found = captioner.beam(contexts, beam, settings.max_words, settings.length_normalisation)
        return [best.ids for best, *_ in found]

    def one_at_a_time() -> list[tuple[int, ...]]:
        return [
            captioner.beam(
                contexts[at : at + 1], beam, settings.max_words, settings.length_normalisation
            )[0][0].ids
            for at in range(len(contexts))
        ]

    different = sum(a != b for a, b in zip(batched(), one_at_a_time(), strict=True))
    if different > len(contexts) // 50:  # ties may fall either way by rounding
        raise SystemExit(
            f"{different} of {len(contexts)} captions differ between the two ways: "
            "nothing was measured."
        )
    return {"batched": batched, "one at a time": one_at_a_time}


if __name__ == "__main__":
    main()
