"""What can go wrong, said in a way that a person can act on.

Every error that a user can cause is a `RegionTalkError`. Its text names the file or flag, says what was expected and
what was found, and what to do; the command line prints it as it is, without a traceback.
"""


class RegionTalkError(Exception):
    """The base of all errors that RegionTalk raises on purpose."""


class PhotoError(RegionTalkError):
    """A photo is missing, broken, too large or not a photo."""


class SentenceError(RegionTalkError):
    """A sentence is empty or holds no word that the pack knows."""


class PackError(RegionTalkError):
    """A pack is missing, damaged, or made for another version."""


class DataError(RegionTalkError):
    """A dataset, a list of captions or a store of regions is not what it should be."""


class ConfigError(RegionTalkError):
    """A training configuration or a combination of options makes no sense."""


class TrainingError(RegionTalkError):
    """Training cannot go on: a non-finite loss, a checkpoint of another run."""
