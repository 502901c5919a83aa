"""The content taken out of a reference, against the official computation."""

import pytest
import torch

from lib_instantstyle.content.modes import remove_content
from lib_instantstyle.content.subtraction import content_texts

torch.manual_seed(0)
IMAGE, TEXT, OTHER = torch.randn(3, 24)


@pytest.mark.parametrize(
    ("content", "texts"),
    [("a cat", ["a cat"]), ("a cat | a dog|", ["a cat", "a dog"]), ("", []), (" | ", [])],
)
def test_texts(content, texts):
    assert content_texts(content) == texts


@pytest.mark.parametrize("mode", ["difference", "projection"])
def test_scale_0_and_no_text_change_nothing(mode):
    assert remove_content(IMAGE, [TEXT], 0.0, mode, 0.2) is IMAGE
    assert remove_content(IMAGE, [], 1.0, mode, 0.2) is IMAGE


def test_difference_is_the_plain_difference_of_unnormalised_vectors():
    expected = IMAGE - 0.5 * TEXT
    assert torch.equal(remove_content(IMAGE, [TEXT], 0.5, "difference", 0.2), expected)


def test_several_texts_are_averaged():
    expected = IMAGE - 0.5 * (TEXT + OTHER) / 2
    torch.testing.assert_close(
        remove_content(IMAGE, [TEXT, OTHER], 0.5, "difference", 0.2), expected
    )


def test_an_image_that_is_its_text_leaves_the_zero_vector():
    assert not remove_content(TEXT, [TEXT], 1.0, "difference", 0.2).any()


@pytest.mark.parametrize("mode", ["difference", "projection"])
def test_several_images_are_each_what_they_are_alone(mode):
    both = remove_content(torch.stack([IMAGE, OTHER]), [TEXT], 0.7, mode, 0.2)
    for image, left in zip((IMAGE, OTHER), both):
        torch.testing.assert_close(left, remove_content(image, [TEXT], 0.7, mode, 0.2))


def test_projection_removes_the_component_along_the_text_and_nothing_else():
    left = remove_content(IMAGE, [TEXT], 1.0, "projection", 0.2)
    assert abs(float(left @ TEXT)) < 1e-4
    removed = IMAGE - left
    cosine = torch.nn.functional.cosine_similarity(removed, TEXT, dim=0)
    assert abs(abs(float(cosine)) - 1) < 1e-5
    # The length of the text vector does not matter, only where it points.
    torch.testing.assert_close(remove_content(IMAGE, [3 * TEXT], 1.0, "projection", 0.2), left)
    assert torch.isfinite(remove_content(IMAGE, [torch.zeros(24)], 1.0, "projection", 0.2)).all()
