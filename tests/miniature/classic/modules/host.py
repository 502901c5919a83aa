"""Where Forge Classic parts from A1111 in a generation."""

from __future__ import annotations

import torch

from tests.miniature.modules.host import *  # noqa: F403

sampling_mode = torch.inference_mode
