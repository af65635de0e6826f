"""What ImageNet's classes are called in plain words.

The hypernyms that captions use, by ranges of the class's number. The classes stand in WordNet's
order, so that kinds of one thing stand together. Facts after WordNet 3.0.
"""

from __future__ import annotations

_RANGES = """
fish 0-6 389-397
shark 2-4
bird 7-24 80-100 127-146
chicken 7-8
owl 24
frog 30-32
turtle 33-37
lizard 38-48
crocodile 49-50
snake 52-68
spider 72-77
parrot 87-90
duck 97-98
goose 99
kangaroo 104
crab 118-121
lobster 122-123
whale 147-148
seal 150
dog 151-275
wolf 269-271
fox 277-280
cat 281-285
lion 291
tiger 292
bear 294-297
beetle 300-307
insect 300-326
butterfly 321-326
rabbit 330-332
squirrel 335
horse 339
pig 341-343
cow 345-347
sheep 348-349
goat 350
antelope 351-353
camel 354
monkey 365-384
elephant 385-386
panda 387-388
airplane 404 895
car 407 436 468 511 609 627 656 661 717 751 817
truck 555 569 675 717 864 867
bus 654 779 874
train 466 547 820
boat 472 554 576 625 724 780 814 871 914
ship 403 510 628 724 833
bicycle 444 671 870
motorcycle 665 670
guitar 402 546
piano 579 881
ball 429 430 522 574 722 768 805 852 890
hat 439 452 515 793 808
boot 514
shoe 630 770 774
bridge 821 839 888
church 497 663 668
clock 409 530 892
computer 527 620 681
phone 487 528 707
chair 423 559 765
bed 520 564
table 532 736
bottle 440 720 737 898 907
cup 504 572 968
lamp 846
fruit 948-957
vegetable 936-945
flower 985 986
mountain 970 980
mushroom 947 991-997
"""


def _read(lines: str) -> dict[int, list[str]]:
    names: dict[int, list[str]] = {}
    for line in lines.strip().splitlines():
        name, *ranges = line.split()
        for each in ranges:
            first, _, last = each.partition("-")
            for row in range(int(first), int(last or first) + 1):
                names.setdefault(row, []).append(name)
    return names


_HYPERNYMS = _read(_RANGES)


def hypernyms(row: int) -> list[str]:
    """Of the class with this number, 0..999."""
    return _HYPERNYMS.get(row, [])
