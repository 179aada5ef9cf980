"""Text of unknown origin on a terminal: it is shown, and commands nothing."""

import unicodedata

_HARMLESS = {"\n", "\t", "\u200c", "\u200d"}
"""Line ends and tabs, and the two joiners that some scripts are written with."""
_HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Categories of controls, of marks that turn the direction of text, of halves of characters, and of other line ends."""


def printable(text: str) -> str:
    """Return text whose control characters, such as the one that starts commands, are written out."""
    if text.isascii() and text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    return "".join(character if _is_shown(character) else _escaped(character) for character in text)


def one_line(text: str) -> str:
    """Return printable text in which line ends and tabs are written out, too."""
    return printable(text).replace("\n", "\\u000a").replace("\t", "\\u0009")


def _is_shown(character: str) -> bool:
    return character in _HARMLESS or unicodedata.category(character) not in _HIDDEN


def _escaped(character: str) -> str:
    """Return a character as it is written in JSON, too."""
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))
