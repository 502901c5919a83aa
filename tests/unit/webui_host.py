"""What a WebUI must offer for a generation to be prepared."""

import torch

from lib_instantstyle.clip.device_memory import Uncounted


class Host:
    """A WebUI as far as preparing needs one."""

    def device(self):
        return torch.device("cpu")

    def encoder_dtype(self):
        return torch.float32

    def keeps_encoder(self):
        return False

    def make_room(self, size):
        pass

    def enter(self, encoder, device):
        return Uncounted()

    def crops_folder(self):
        return None

    def embedding_files(self):
        return None

    def reference_folder(self):
        return None
