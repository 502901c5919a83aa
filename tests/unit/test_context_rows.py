"""Rows told apart by what they hold."""

import torch

from lib_instantstyle.unet.rows import NEGATIVE, PROMPT, kinds_by_context

torch.manual_seed(0)
A, B, N = torch.randn(3, 1, 7, 4)
C, U = PROMPT, NEGATIVE


def test_rows_are_found_wherever_they_stand():
    context = torch.cat([N, A, B, N])
    assert kinds_by_context(context, torch.cat([A, B]), N) == (U, C, C, U)


def test_padding_at_the_end_and_another_precision_do_not_hide_a_row():
    padded = torch.cat([torch.cat([N, A]), torch.zeros(2, 5, 4)], dim=1)
    assert kinds_by_context(padded, A, N) == (U, C)
    half = torch.cat([A, N]).half()
    assert kinds_by_context(half, A, N) == (C, U)


def test_what_is_like_both_or_neither_is_not_guessed():
    assert kinds_by_context(torch.cat([A, B]), A, N) is None
    assert kinds_by_context(torch.cat([A, N]), A, A) is None
    assert kinds_by_context(None, A, N) is None
    assert kinds_by_context(A[..., :2], A, N) is None
