"""What an older torch cannot run: each test that is left out there, with the reason.

Nothing of this is due to `lib_instantstyle`: a test that fails because of it is a fault to mend.
"""

import re
from dataclasses import dataclass

import torch

VERSION = tuple(int(number) for number in re.findall(r"\d+", torch.__version__)[:2])

# torch.save has no name for their storages before.
SAVES_FLOAT8 = VERSION >= (2, 2)


@dataclass(frozen=True)
class LeftOut:
    """before: the torch that runs the tests. tests: file, name, and parameters if not all of it."""

    before: tuple[int, int]
    reason: str
    tests: tuple[str, ...]


LEFT_OUT = (
    LeftOut(
        (2, 2),
        "torch before 2.2 computes no network in float16 on a CPU",
        (
            "test_image_encoder.py::test_half_precision_stays_close[stored0-dtype0]",
            "test_image_encoder.py::test_half_precision_stays_close[stored1-dtype0]",
            "test_content_source.py::test_another_number_format_is_no_other_space[dtype0]",
            "test_embedding.py::test_room_is_asked_for_before_an_encoder_is_loaded_and_only_then",
            "test_lora.py::test_precisions_follow_the_layer[dtype0]",
            "test_miniature_networks.py::test_output_reacts_to_everything_and_survives_half_precision",
            "test_number_range.py::test_a_unet_in_half_precision_refuses_what_only_32_bits_hold",
            "test_number_range.py::test_a_lora_too_large_for_half_precision_is_named_as_it_acts",
            "test_shared_attention.py::test_norms_of_unlike_sizes_count_each_number_once",
        ),
    ),
    LeftOut(
        (2, 4),
        "torch before 2.4 has no fused AdamW on a CPU, which the training of the test models uses",
        (
            "test_trained_course.py::test_a_stopped_training_goes_on_exactly",
            "test_trained_course.py::test_training_changes_the_weights_of_nearly_every_layer",
            "test_trained_course.py::test_what_was_learned_before_stays_as_it_is",
            "test_trained_course.py::test_a_stage_is_not_built_on_one_that_is_not_done",
            "test_trained_course.py::test_the_log_tells_steps_loss_and_seconds",
        ),
    ),
    LeftOut(
        (2, 6),
        "torch before 2.6 cannot be told to leave a compiled graph; a compiled UNet is refused",
        ("test_compiled.py::test_a_styled_call_is_eager_and_the_others_use_their_graph",),
    ),
)


def why(nodeid: str) -> str | None:
    """The reason why this torch leaves out the test, or None: it runs."""
    name = nodeid.removeprefix("tests/unit/")
    for entry in LEFT_OUT:
        if entry.before > VERSION and any(
            name == test or name.startswith(f"{test}[") for test in entry.tests
        ):
            return entry.reason
    return None
