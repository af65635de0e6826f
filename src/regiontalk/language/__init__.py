"""From text to word vectors: the tokeniser, the vocabulary, and the words network (Eq. 2 to 6)."""

from __future__ import annotations

from regiontalk.language.reader import WordsReader
from regiontalk.language.tokenise import tokenise
from regiontalk.language.vocabulary import Vocabulary

__all__ = ["Vocabulary", "WordsReader", "tokenise"]
