"""Penn Treebank tokens as coco-caption makes them, to compare scores with published ones.

coco-caption runs Stanford's PTBTokenizer 3.4.1 (Java) with `-preserveLines -lowerCase` and removes
a list of punctuation from its output. This is a lexer with that tokeniser's rules, reconstructed
from its documentation and its output. The longest match wins, lookahead included, and of equally
long ones the earlier rule in `_RULES`. docs/caption_metrics.md says how far both agree.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import lru_cache

PUNCTUATION = frozenset(
    [
        "''",
        "'",
        "``",
        "`",
        "-LRB-",
        "-RRB-",
        "-LCB-",
        "-RCB-",
        ".",
        "?",
        "!",
        ",",
        ":",
        "-",
        "--",
        "...",
        ";",
    ]
)
"""Tokens that coco-caption removes. They are in lower case by then, so that brackets ("-lrb-")
stay."""

_CACHED_CHUNKS = 1 << 17


def ptb_tokenise(text: str) -> list[str]:
    """Splits a caption into the words that coco-caption compares.

    Args:
        text: any text; may be empty.

    Returns:
        The words in lower case, without punctuation; empty if there are none.

    >>> ptb_tokenise("A dog's T-shirt, 'No. 5' (red) -- it can't bark!")
    ['a', 'dog', "'s", 't-shirt', 'no.', '5', '-lrb-', 'red', '-rrb-', 'it', 'ca', "n't", 'bark']
    """
    if _PERHAPS_ACROSS.search(text) and _ACROSS_SPACES.search(text):
        return list(_lex(text))
    return [word for chunk in text.split() for word in _chunk(chunk)]


def forget() -> None:
    """Empties the cache, for benchmarks."""
    _chunk.cache_clear()


@lru_cache(_CACHED_CHUNKS)
def _chunk(text: str) -> tuple[str, ...]:
    """The words of a chunk without spaces, cached: captions repeat themselves."""
    # Fast path of most misses: letters to which only the rule of words applies
    simple = _SIMPLE.fullmatch(text)
    if simple and (word := simple[1].lower()) not in _SPECIAL:
        return (word,)
    return _lex(text)


def _lex(text: str) -> tuple[str, ...]:
    text = text.replace(_SOFT_HYPHEN, "")
    # Some rules look ahead; the newline stands for the caption's end
    shape = (text if text.isascii() else text.translate(_SHAPES)) + "\n"
    words: list[str] = []
    at = 0
    while at < len(text):
        if shape[at].isspace():
            at += 1
            continue
        end, written = _longest(shape, at)
        token = _spell(text[at:end], written)
        words.extend(word for word in token.split() if word not in PUNCTUATION)
        at = end
    return tuple(words)


def _longest(shape: str, at: int) -> tuple[int, str]:
    """End of the token at a position by the longest match, and how it is written."""
    best, found = 0, (at + 1, "")
    for rule, written in _COMPILED:
        match = rule.match(shape, at)
        if match and match.end() > best:
            best, found = match.end(), (match.end(1), written)
    return found


def _spell(token: str, written: str) -> str:
    """A token as the tokeniser prints it."""
    token = _AMPERSAND.sub("&", token) if "&" in token and written != "address" else token
    lower = token.lower()
    if written == "brackets":
        return lower.replace("(", "-lrb-").replace(")", "-rrb-")
    if written == "quotes":
        return "".join(_QUOTES.get(character, character) for character in token)
    if written == "apostrophe":
        return lower.replace("’", "'").replace("\x92", "'").replace("&apos;", "'").replace("‘", "`")
    if written == "dropped":
        return ""
    return _PRINTED.get(lower, lower)


# --- Characters -----------------------------------------------------------------------------------

_SOFT_HYPHEN = "\u00ad"
_QUOTES = {"\x91": "`", "\x92": "'", "\x93": "``", "\x94": "''"} | dict(
    zip("‘’‛“”«»‹›", ("`", "'", "`", "``", "''", "``", "''", "`", "'"), strict=True)
)
_OTHER_QUOTES = "‚„‟"
_DASHES = "\x96\x97–—―"
_ODD_HYPHENS = "‐‑"
_FRACTIONS = {"¼": "1/4", "½": "1/2", "¾": "3/4", "⅓": "1/3", "⅔": "2/3"}
_MONEY = {"£": "#", "¢": "cents", **dict.fromkeys("\x80¤₠€", "$")}
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_AS_THEY_ARE = frozenset("".join(_QUOTES) + _OTHER_QUOTES + _DASHES + _ODD_HYPHENS + "…⁄")
_PRINTED = _FRACTIONS | _MONEY | _BRACKETS | {"&lt;": "<", "&gt;": ">"}
_AMPERSAND = re.compile("&amp;", re.IGNORECASE)

# Ranges of other characters that are tokens of their own, in hexadecimal. All the rest is dropped,
# as are all beyond U+FFFF: pictographs, for instance.
_SYMBOLS = """
A1 A5-A9 AC AE-B4 B6-B9 BF D7 F7 37E 387 589 5BE 5C0 5C3 5C6 5F3-5F4 600-603 606-60C 61B 61E-61F 66A
66D 6D4 700-70D 7F6-7F8 964-965 E3F E4F 1FBD 2016-2017 201A 201E-2023 2030-2038 203B 203E-2042 2044
2070 2074-207E 2080-208E 20A4 2100-2101 2103-2106 2108-2109 2114 2116-2118 211E-2123 2125 2127 2129
212E 213A-213B 2140-2144 214A-214D 214F 2155-215E 2190-2BFF 3001-3002 3012 30FB FF01-FF0F FF1A-FF20
FF3B-FF40 FF5B-FF65 FFE0-FFE1 FFE5-FFE6
"""
_SYMBOL_RANGES = [tuple(int(end, 16) for end in each.split("-")) for each in _SYMBOLS.split()]
_SYMBOL_STARTS = [span[0] for span in _SYMBOL_RANGES]
_MODIFIERS = range(0x2C2, 0x370)
_LETTER, _DIGIT, _SYMBOL, _NOTHING = "é", "0", "§", "\xa0"


class _Shapes(dict[int, str]):
    """Maps characters beyond ASCII to one that represents their class, filled lazily."""

    def __missing__(self, code: int) -> str:
        self[code] = shape = chr(code) if code < 0x80 else _shape(chr(code))
        return shape


def _shape(character: str) -> str:
    code, category = ord(character), unicodedata.category(character)
    if character in _AS_THEY_ARE:
        return "’" if character == "\x92" else character
    if character in _FRACTIONS:
        return "½"
    if character in _MONEY or _is_symbol(code):
        return _SYMBOL
    if code > 0xFFFF:
        return _NOTHING
    if category == "Nd":
        return _DIGIT
    return _LETTER if category[0] in "LM" or code in _MODIFIERS else _NOTHING


def _is_symbol(code: int) -> bool:
    at = bisect_right(_SYMBOL_STARTS, code) - 1
    return at >= 0 and code <= _SYMBOL_RANGES[at][-1]


_SHAPES = _Shapes()

# --- Words that have rules of their own -----------------------------------------------------------

MAY_END = """
al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est
etc ext feb fla fri ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb
nev nov oct okla penn plc ppte pptes ppty pptys pte ptes pty ptys rd rt sep sept seq sq sr sys tel
tenn thu thurs tue tues univ va vt wed wis wisc wyo
"""
"""Abbreviations that keep their full stop, and often end a sentence."""

WITHIN = """
adj adm adv alex asst atty attys ave brig capt cf cie cmdr col cpl dept det dr drs elec ens ft gen
gov govs hon insp invt jos lieut lt maj messrs mfg mlle mme mr mrs ms msgr mt mtg natl pfc ph pres
prof profs pvt rep reps rev sen sens sfc sgt spc st ste supt supts vs wm
"""
"""Abbreviations that keep their full stop, and stand before something: titles, for instance."""

CAPITALISED = """
Ark Az Del Ill La Mass Miss Ore Pa Tex Wash ARK AZ DEL ILL LA MASS MISS ORE PA TEX WASH
"""
"""Keep their full stop only in these spellings: in lower case they are words."""

BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
"""Keep their full stop before a number."""

_STARTERS = """
a about according after an as at but earlier he her here however if in it last many more mr. now
once one other our she since so some such that the their then there these they this we what when
while yet you
"""
STARTERS = " ".join([*_STARTERS.title().split(), *_STARTERS.upper().split()])
"""After a letter with a full stop they begin a sentence: the letter is no initial."""

EXTENSIONS = """
bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png
ppt ps py sql tar txt wav x xml zip
"""
"""Of file names: `1.jpg` is one word."""

# --- Rules ----------------------------------------------------------------------------------------

_L = "(?:[A-Za-zé]|&[aeiouAEIOU](?:acute|grave|uml);)"
_LD = _L.replace("zé", "zé0-9")
_AP = "(?:['’]|&apos;)"
_AP_OR_OPEN = "(?:['’`‘]|&apos;)"
_NUMBER = "(?:[0-9]*(?:[.:,][0-9]+)+|[0-9]+)"
_WORD = f"{_L}{_LD}*(?:[.!?]{_L}{_LD}*)*"
_ACRONYM = r"[A-Za-z](?:\.[A-Za-z])+"
_PREFIX = f"(?:[dDoOlL]{_AP_OR_OPEN}[A-Za-z0-9é])"
_THING = f"{_PREFIX}?{_LD}+(?:[-‐‑_]{_PREFIX}?{_LD}+)*"
_PARTS = "[A-Za-z0-9]+(?:-[A-Za-z]+){0,2}"
_HOST = "[^\\s\"'`<>|!(){}$,-_]"  # the range from , to _ too: capitals and digits make no host
_PATH = r'/[^\s"<>|(){}]+[^\s"<>|.!?(){},\-]'
_DOMAIN = r'[^\s"<>|(){}.]+'
_NAME = "[A-Za-z][A-Za-z0-9_:.-]*"
_ATTRIBUTE = rf"""\s+{_NAME}(?:\s*=\s*(?:"[^"]*"|'[^']*'))?"""
_AFTER_SPACE = r"(?=\s|$)"


def _any(words: str) -> str:
    return "(?:" + "|".join(sorted(map(re.escape, words.split()), key=len, reverse=True)) + ")"


# A token is group 1. What a rule consumes after it is lookahead, but counts for the longest match.
_RULES: tuple[tuple[str, str], ...] = (
    # Markup and addresses.
    (rf"(</?{_NAME}(?:{_ATTRIBUTE})*\s*/?>|<[!?][A-Za-z-][^>\n]*>)", "address"),
    (r'((?i:https?)://[^\s"<>|(){}]+[^\s"<>|.!?(){},\-])', "address"),
    (rf'((?i:www)\.(?:[^\s"<>|.!?(){{}},]+\.)+[A-Za-z]{{2,4}}(?:{_PATH})?)', "address"),
    (rf"((?:{_HOST}+\.)+(?i:com|net|org|edu)(?:{_PATH})?)", "address"),
    (rf'(<?[A-Za-z0-9][^\s"<>|(){{}}]*@{_DOMAIN}(?:\.{_DOMAIN})*>?)', "address"),
    (f"([#]{_L}+|@[A-Za-z_][A-Za-z_0-9]*)", ""),
    # Contractions, and short words that people write as one.
    ("((?i:can))(?i:not)", ""),
    ("((?i:gon|got|lem|gim|wan))(?i:na|ta|me)(?<=(?i:gonna|gotta|lemme|gimme|wanna))", ""),
    ("('[tT])(?i:is|was)", ""),
    (
        f"((?i:[ld]{_AP}|j{_AP}|ol{_AP}|dunkin{_AP}|somethin{_AP}"
        f"|{_AP}em|c{_AP}mon|{_AP}cause|{_AP}till?|e{_AP}er))",
        "",
    ),
    (f"('[nN](?:{_AP}|{_AFTER_SPACE})|(?:’|&apos;)[nN]{_AP}?)", ""),
    (f"({_AP}[2-9]0[sS])", ""),
    (f"({_AP}[0-9][0-9]){_AFTER_SPACE}", ""),
    (f"([A-HJ-XZn]{_AP_OR_OPEN}{_L}{{2,}})", ""),
    (f"([yY]{_AP}){_L}", ""),
    (f"({_WORD}){_AP}(?i:[msd]|re|ve|ll)", ""),
    (f"([A-Za-z]*[A-MO-Za-mo-z])[nN]{_AP_OR_OPEN}[tT]", ""),
    (f"([nN]{_AP_OR_OPEN}[tT])", "apostrophe"),
    (f"({_AP}(?i:[msd]|re|ve|ll))(?![A-Za-z])", "apostrophe"),
    ("((?:’|&apos;)(?i:[msd]|re|ve|ll))", "apostrophe"),
    # Words.
    (f"({_WORD})", ""),
    # Abbreviations; those that often end a sentence do not reach into what follows.
    (rf"((?i:{_any(MAY_END)}|ph\.d)\.)(?s:.?.?)", ""),
    (rf"((?:{_any(CAPITALISED)})\.)(?s:.?.?)", ""),
    (rf"((?:{_WORD}|{_THING})\.)[,;:]", ""),
    (rf"([A-Za-z])\.\s+(?:{_any(STARTERS)}){_AFTER_SPACE}", ""),
    (r"([A-Za-z](?:\.[A-Za-z])*\.)", ""),
    (rf"((?i:{_any(WITHIN)})\.)", ""),
    (rf"((?i:{_any(BEFORE_NUMBERS)})\.)\s?[0-9]", ""),
    (f"({_L}+[aeiouyAEIOUY]{_AP_OR_OPEN}[aeiouA-Z]{_L}*)", ""),
    (f"({_THING})", ""),
    (rf"([A-Za-z0-9][A-Za-z0-9.,]*(?:-(?:{_ACRONYM}\.|[A-Za-z0-9]+))+)", ""),
    (r"([A-Z]+(?:(?:[+&]|&amp;)[A-Z]+)+)", ""),
    (rf"({_PARTS}(?:\\?/{_PARTS}){{1,2}})", ""),
    (r"([cC]\+\+|[cCfF]#)", ""),
    # Numbers, and names of files that begin with one.
    (rf"((?:{_LD}+\.)+(?i:{_any(EXTENSIONS)}))(?:\s|[.,;!?]|$)", ""),
    (rf"([+-]?{_NUMBER})", ""),
    (r"((?:[0-9]{1,4}[- ])?[0-9]{1,4}(?:\\?/|⁄)[0-9]{1,4})", ""),
    (
        r"((?:\([0-9]{2,3}\) ?|(?:\+\+?)?(?:[0-9]{2,4}[- ])?[0-9]{2,4}[- ])"
        r"[0-9]{3,4}[- ]?[0-9]{3,5}|(?:\+\+?)?[0-9]{2,4}\.[0-9]{2,4}\.[0-9]{3,5})(?![0-9])",
        "brackets",
    ),
    (r"([0-9]{1,2}[-/][0-9]{1,2}[-/][0-9]{2,4})", ""),
    (r"([A-Z]+\$)", ""),
    # Faces and other signs.
    (r"([<>]?[:;=][-o*']?[()DPdpO{@|\[\]\\])(?![A-Za-z0-9])", "brackets"),
    (r"(\([-^x=~<>'][_.]?[-^x=~<>']\)|[-^x=~<>']_[-^x=~<>'])", "brackets"),
    (r"([?!]+|_+|\*+|@+|#+|<<|>>|\\\*)", ""),
    ("(&#[0-9]+;|&(?:HT|TL|UR|LR|QC|QL|QR|odq|cdq);)", ""),
    ("((?i:&(?:amp|lt|gt);))", ""),
    ("(&(?:quot|nbsp|apos|MD|mdash|ndash);)", "dropped"),
    (f"([{''.join(_QUOTES)}{_OTHER_QUOTES}]{{1,2}})", "quotes"),
    (r"(-{5,})", ""),
    (
        rf"(''|-{{1,4}}|\.{{3,}}|(?:\.[ \xa0]){{2,}}\.|[.,:;'\"`…{_DASHES}{_ODD_HYPHENS}])",
        "dropped",
    ),
    ("(.)", ""),
)

_COMPILED = [(re.compile(rule), written) for rule, written in _RULES]

_SIMPLE = re.compile("([A-Za-z]{2,})[.,!?;:]?")
_SPECIAL = frozenset(
    f"{MAY_END} {WITHIN} {CAPITALISED.lower()} {BEFORE_NUMBERS} cannot gonna gotta lemme gimme "
    "wanna".split()
)

# A caption with one of these is not split at its spaces first: <a b>, (555) 123-4567, 555 123 4567,
# 1 1/2, No. 5.
_PERHAPS_ACROSS = re.compile(r"[<0-9]|\.\s")  # quick: few captions have any
_ACROSS_SPACES = re.compile(
    rf"<[A-Za-z/][^<>]*>|<[!?][^>]*>|[0-9]\)?[ \xa0][0-9]"
    rf"|(?i:(?<![A-Za-z]){_any(BEFORE_NUMBERS)})\.\s[0-9]"
    rf"|(?<![A-Za-z0-9])[A-Za-z]\.\s+(?:{_any(STARTERS)})(?!\S)"
)
