"""Text to image in Forge: the second pass has a CFG scale and modules of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tests.miniature.modules import processing_txt2img as a1111
from tests.miniature.modules.processing_txt2img import *  # noqa: F403

HR_CFG_OF_THE_PAGE = 7.0  # the page has a slider for it, which starts there


@dataclass(repr=False)
class StableDiffusionProcessingTxt2Img(a1111.StableDiffusionProcessingTxt2Img):
    hr_additional_modules: list = None
    hr_cfg: float = 1.0
    hr_distilled_cfg: float = 3.5

    def init(self, all_prompts, all_seeds, all_subseeds) -> None:
        super().init(all_prompts, all_seeds, all_subseeds)
        if not self.enable_hr:
            return
        if not self.is_api:
            self.hr_cfg = HR_CFG_OF_THE_PAGE
        modules = self.hr_additional_modules
        if modules is not None:
            same = "Use same choices" in modules
            self.extra_generation_params["Hires Module 1"] = modules[0] if same else "Built-in"
        self.extra_generation_params["Hires CFG Scale"] = self.hr_cfg

    def sample_hr_pass(self, *args):
        if "Use same choices" not in (self.hr_additional_modules or ["Use same choices"]):
            raise NotImplementedError("the miniature has no other modules")
        return super().sample_hr_pass(*args)

    def calculate_hr_conds(self) -> None:
        super().calculate_hr_conds()
        if self.hr_cfg == 1:
            self.hr_uc = None
