"""The files of a finished alignment run: its vocabulary and its weights."""

from __future__ import annotations

from pathlib import Path

from regiontalk.errors import PackError, TrainingError
from regiontalk.files import parse_json, read_text
from regiontalk.language import Vocabulary
from regiontalk.training.checkpoint import read_finished, require_finished
from regiontalk.training.words_net import AlignmentNet, WordsNet

WEIGHTS, VOCABULARY = "alignment.safetensors", "vocabulary.json"


def read_alignment(run: Path) -> tuple[Vocabulary, AlignmentNet]:
    """Vocabulary and network of a finished alignment run, sizes taken from its weights.

    Raises:
        TrainingError: if the run is not finished, or a file of it is damaged.
    """
    tensors = read_finished(run, WEIGHTS)
    require_finished(run, VOCABULARY)
    try:
        vocabulary = Vocabulary.from_json(parse_json(read_text(run / VOCABULARY, error=TrainingError)))
    except (PackError, ValueError) as error:
        raise TrainingError(f"{run / VOCABULARY}: damaged ({error}); give that run's command again") from error
    (size, embedding), (hidden, _) = (tensors[f"words.{name}"].shape for name in ("embedding", "W_d"))
    if size != len(vocabulary):
        raise TrainingError(
            f"{run}: {WEIGHTS} is of a vocabulary of {size} words, {VOCABULARY} lists {len(vocabulary)}; "
            "give that run's command again"
        )
    feature_dim, dim = tensors["W_m"].shape
    outside = tensors["words.W_g"].shape[0] if "words.W_g" in tensors else 0
    words = WordsNet(size, embedding, hidden, dim, 0.0, "gru" if "words.W_xf" in tensors else "rnn", outside)
    net = AlignmentNet(words, feature_dim, dim, 0.0)
    net.load_state_dict(tensors)
    return vocabulary, net.eval()
