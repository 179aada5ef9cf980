"""Word pieces of short texts, as a BERT reads them."""

import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stfmkit._core.errors import InputError
from stfmkit._core.limits import short
from stfmkit._core.optional import require
from stfmkit.models.nets.tokens import Tokens
from stfmkit.models.weights.tables import read_mapping

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
_WANTED = {"model": "WordPiece", "normalizer": "BertNormalizer", "pre_tokenizer": "BertPreTokenizer"}


@dataclass(frozen=True, eq=False)
class Words:
    """A vocabulary of word pieces.

    Attributes
    ----------
    pieces_of
        Function from texts to the ids of each.
    first, last
        Ids of ``[CLS]`` and ``[SEP]``.
    lower
        Whether texts are put in lower case before.
    """

    pieces_of: Callable[[Sequence[str]], list[list[int]]]
    first: int
    last: int
    lower: bool = False

    def encode(self, texts: Sequence[str]) -> Tokens:
        """Return the pieces of every text, without special tokens."""
        found = self.pieces_of([text.lower() for text in texts] if self.lower else texts)
        indptr = np.concatenate([[0], np.cumsum([len(ids) for ids in found])]).astype(np.int64)
        return Tokens(indptr, np.array([piece for ids in found for piece in ids], dtype=np.int64))


def hashed_words(n_tokens: int) -> Words:
    """Return the words of a random twin: every word is one token, which follows from its letters alone."""

    def pieces_of(texts: Sequence[str]) -> list[list[int]]:
        most = n_tokens - len(SPECIAL)
        words = [re.findall(r"[^\s,.]+|[,.]", text) for text in texts]
        return [[len(SPECIAL) + zlib.crc32(word.encode()) % most for word in found] for found in words]

    return Words(pieces_of, SPECIAL.index("[CLS]"), SPECIAL.index("[SEP]"))


def read_words(path: Path, *, lower: bool, fold: bool, n_tokens: int) -> Words:
    """Return the word pieces of a ``tokenizer.json`` or ``vocab.txt``.

    Parameters
    ----------
    path
        One of the two.
    lower
        Put texts in lower case before.
    fold
        For ``vocab.txt``: whether the vocabulary is in lower case without accents.
    n_tokens
        Rows of the checkpoint.

    Raises
    ------
    InputError
        The tokeniser is not that of a BERT, or has more pieces than the checkpoint.
    """
    tokeniser = _of_json(path, most_tokens=n_tokens) if path.suffix == ".json" else _of_text(path, fold=fold)
    first, last = tokeniser.token_to_id("[CLS]"), tokeniser.token_to_id("[SEP]")
    if first is None or last is None or tokeniser.get_vocab_size() > n_tokens:
        raise InputError(
            f"{path.name} with {tokeniser.get_vocab_size()} word pieces, and a checkpoint of {n_tokens}.",
            allowed="the vocabulary of the checkpoint, with [CLS] and [SEP]",
            remedy="pass the folder of one language model.",
        )
    tokeniser.no_truncation()
    tokeniser.no_padding()

    def pieces_of(texts: Sequence[str]) -> list[list[int]]:
        return [found.ids for found in tokeniser.encode_batch(list(texts), add_special_tokens=False)]

    return Words(pieces_of, first, last, lower)


def _of_json(path: Path, *, most_tokens: int) -> Any:
    stated = read_mapping(path)
    found = {part: _kind_of(stated.get(part)) for part in _WANTED}
    if found != _WANTED:
        raise InputError(
            f"{path.name} with {', '.join(f'{part} {short(kind)}' for part, kind in found.items())}.",
            allowed="the word pieces of a BERT (MiniLM and alike)",
            remedy="pass a sentence-transformers folder with a BERT.",
        )
    pieces, added = stated["model"].get("vocab"), stated.get("added_tokens") or []
    whole = isinstance(pieces, dict) and all(isinstance(piece, int) for piece in pieces.values())
    if not (whole and isinstance(added, list) and all(isinstance(token, dict) for token in added)):
        raise InputError(
            f"{path.name} whose vocabulary or added tokens are not those of a tokeniser.",
            allowed="a tokenizer.json of the tokenizers library",
            remedy="download the file again.",
        )
    if any(isinstance(piece, bool) or not 0 <= piece < most_tokens for piece in pieces.values()):
        raise InputError(
            f"{path.name} with word pieces under numbers outside 0 … {most_tokens - 1}.",
            allowed="the vocabulary of the checkpoint",
            remedy="pass the folder of one language model.",
        )
    made = require("tokenizers", extra="torch").Tokenizer
    try:
        return made.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises no kind of its own
        raise InputError(
            f"{path.name}, which the tokenizers library does not read: {str(error)[:100]}",
            allowed="a tokenizer.json of the tokenizers library",
            remedy="download the file again.",
        ) from error


def _kind_of(part: object) -> object:
    return part.get("type") if isinstance(part, dict) else None


def _of_text(path: Path, *, fold: bool) -> Any:
    tokenizers = require("tokenizers", extra="torch")
    from tokenizers import models, normalizers, pre_tokenizers

    pieces = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    tokeniser = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token=SPECIAL[1], max_input_chars_per_word=100))
    tokeniser.normalizer = normalizers.BertNormalizer(lowercase=fold)
    tokeniser.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokeniser.add_special_tokens([piece for piece in (*SPECIAL, "[MASK]") if piece in vocabulary])
    return tokeniser
