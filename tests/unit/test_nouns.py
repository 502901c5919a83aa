"""The list of everyday things."""

import hashlib
import re

from lib_instantstyle.content.word_vectors import LIST, caption, nouns

# Singular although they end in a single s.
SINGULAR = re.compile(r"(ss|us|is|os|canvas|atlas)$")


def test_the_list_is_clean():
    found = nouns()
    assert 1_400 <= len(found) <= 1_600
    assert list(found) == sorted(set(found))
    assert not [noun for noun in found if not re.fullmatch(r"[a-z]{2,}( [a-z]{2,})?", noun)]
    assert not [n for n in found if n.endswith("s") and not SINGULAR.search(n)]
    assert LIST.read_bytes().endswith(b"zucchini\n") and b"\r" not in LIST.read_bytes()


def test_the_list_is_the_one_that_pictures_were_made_with():
    """Infotext with auto_content means its words: with another list pasting gives another picture.

    A longer list is a file of its own, beside this one.
    """
    digest = hashlib.sha256(LIST.read_bytes()).hexdigest()
    assert digest.startswith("f0a06348daecef06")


def test_what_people_paint_is_in_it():
    common = "woman man child cat dog horse flower tree mountain sea house castle ship cup dragon"
    assert set(common.split()) <= set(nouns())


def test_a_caption_reads_as_one():
    assert caption("cat") == "a picture of a cat"
    assert caption("apple tree") == "a picture of an apple tree"
