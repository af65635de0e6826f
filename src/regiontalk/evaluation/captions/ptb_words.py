"""Words that the Penn Treebank tokeniser treats in their own way; see `ptb`."""

from __future__ import annotations

MAY_END = """
al ala apr ariz assn aug bancorp bhd bldg blvd bros calif co colo conn corp cos ct dak dec esq est etc ext feb fla fri
ga inc ind intl jan jr jul jun kan kans ky ltd mar md mich minn mo mon mont neb nev nov oct okla penn plc ppte pptes
ppty pptys pte ptes pty ptys rd rt sep sept seq sq sr sys tel tenn thu thurs tue tues univ va vt wed wis wisc wyo
"""
"""Abbreviations that keep their full stop, and often end a sentence."""

WITHIN = """
adj adm adv alex asst atty attys ave brig capt cf cie cmdr col cpl dept det dr drs elec ens ft gen gov govs hon insp
invt jos lieut lt maj messrs mfg mlle mme mr mrs ms msgr mt mtg natl pfc ph pres prof profs pvt rep reps rev sen sens
sfc sgt spc st ste supt supts vs wm
"""
"""Abbreviations that keep their full stop, and stand before something: titles, for instance."""

CAPITALISED = """
Ark Az Del Ill La Mass Miss Ore Pa Tex Wash ARK AZ DEL ILL LA MASS MISS ORE PA TEX WASH
"""
"""Keep their full stop only in these spellings: in lower case they are words."""

BEFORE_NUMBERS = "art ca fig figs no nos op pp prop"
"""Keep their full stop before a number."""

_STARTERS = """
a about according after an as at but earlier he her here however if in it last many more mr. now once one other our she
since so some such that the their then there these they this we what when while yet you
"""
STARTERS = " ".join([*_STARTERS.title().split(), *_STARTERS.upper().split()])
"""A letter with a full stop before one of these ends a sentence: it is no initial."""

EXTENSIONS = """
bat bmp c class cgi cpp dll doc docx exe gif gz h htm html jar java jpeg jpg mov mp3 pdf php pl png ppt ps py sql tar
txt wav x xml zip
"""
"""Of files: `1.jpg` is one word."""
