"""The mutations: what is broken, and which tests have to notice."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutation:
    """One line of our code made wrong.

    old must stand in the file exactly once: a mutation whose text is gone has to be written anew.
    tests are what pytest is given; -k chooses among them.
    """

    name: str
    file: str  # below lib_instantstyle
    old: str
    new: str
    tests: str
    chosen: str = ""


ROWS = "tests/unit/test_rows_and_schedule.py"
INJECTION = "tests/unit/test_injection.py"
LIFE = "tests/host/test_extension.py"
HABITS = "tests/host/test_webui_habits.py"
COMPANIONS = "tests/host/test_companions.py"
DOWNLOADS = "tests/unit/test_resumable_download.py"
STRANGERS = "tests/host/test_strangers.py"

MUTATIONS = [
    # -- rows and time
    Mutation("row order reversed", "unet/rows.py",
             "self._rows = (PROMPT,) * prompt_rows + (NEGATIVE,) * negative_rows",
             "self._rows = (NEGATIVE,) * negative_rows + (PROMPT,) * prompt_rows", ROWS),
    Mutation("rows begin anew in each call", "unet/rows.py",
             "first, self._next = self._next, self._next + count",
             "first, self._next = 0, count", ROWS),
    Mutation("rows of the last step go on", "unet/rows.py",
             "            )\n        self._next = 0\n", "            )\n", ROWS),
    Mutation("the end of the range counts too", "units/schedule.py",
             "return start <= fraction < end", "return start <= fraction <= end", ROWS),
    Mutation("evaluations taken for steps", "units/schedule.py",
             "return min(evaluations // order, steps - 1) / steps",
             "return min(evaluations, steps - 1) / steps", ROWS),
    Mutation("rising for falling", "units/schedule.py",
             '"falling": lambda s: 1 - s', '"falling": lambda s: s', ROWS),
    Mutation("rows read off too early", "hosts/denoiser.py",
             "        self._params = params\n        self._fresh = True",
             "        self._params = params\n        self._fresh = True\n        self._begin()",
             "tests/unit/test_denoiser_clock.py"),
    Mutation("announced kinds exchanged", "hosts/denoiser.py",
             "NEGATIVE if chunk else PROMPT", "PROMPT if chunk else NEGATIVE",
             "tests/unit/test_denoiser_clock.py"),
    Mutation("instruct-pix2pix's third rows forgotten", "hosts/denoiser.py",
             "max(negative, len(self._params.x) - prompt)", "negative",
             "tests/unit/test_denoiser_clock.py"),
    # -- the term
    Mutation("weight of the wrong sign", "unet/attention_hook.py",
             "amount = term.weight *", "amount = -term.weight *", INJECTION),
    Mutation("to_out for to_out[0]", "unet/attention_hook.py",
             "module.to_out[0].register_forward", "module.to_out.register_forward", INJECTION),
    Mutation("keys taken for values", "unet/attention_hook.py",
             "[term.key for term in terms]", "[term.value for term in terms]", INJECTION),
    Mutation("added in place", "unet/attention_hook.py",
             "return torch.add(hidden, image, alpha=amount)",
             "return hidden.add_(image, alpha=amount)", "tests/unit/test_layer_hook.py"),
    Mutation("hooks not removed", "unet/injection.py",
             "        handle.remove()", "        pass", INJECTION),
    Mutation("a call of unknown rows is styled", "unet/injection.py",
             "            self.unknown_calls += 1\n            return\n",
             "            call.rows = (0,) * len(x)\n", INJECTION),
    Mutation("prompt and negative bank exchanged", "methods/ip_adapter/terms.py",
             "for keys, values in (prompt, negative):", "for keys, values in (negative, prompt):",
             INJECTION),
    # -- CLIP and files
    Mutation("the picture is not cut from its middle", "clip/preprocess.py",
             "left, top = (width - size) // 2, (height - size) // 2", "left, top = 0, 0",
             "tests/unit/test_clip_view.py"),
    Mutation("pixels are not normalised", "clip/preprocess.py",
             "pixels = (array - np.array(MEAN, np.float32)) / np.array(STD, np.float32)",
             "pixels = array", "tests/unit/test_clip_view.py"),
    Mutation("GELU of the wrong kind", "clip/transformer.py",
             "quick_gelu if quick else F.gelu", "F.gelu if quick else quick_gelu",
             "tests/unit/test_image_encoder.py"),
    Mutation("the last block but one is the last", "clip/image_encoder.py",
             "kind.layers - 1 if hidden_states else kind.layers", "kind.layers",
             "tests/unit/test_image_encoder.py"),
    Mutation("the norm of the queries forgotten", "methods/ip_adapter/projections.py",
             "queries = self.norm2(queries)", "queries = queries",
             "tests/unit/test_adapter_types.py"),
    Mutation("infinity is finite", "files/tensors.py",
             "        if not _is_finite(tensor):", "        if False:",
             "tests/unit/test_image_encoder.py tests/unit/test_adapter_types.py"),
    Mutation("exif rotation ignored", "references/pictures.py",
             "turned = ImageOps.exif_transpose(before)", "pass", "tests/unit/test_pictures.py"),
    Mutation("content is added", "content/modes.py",
             "left: torch.Tensor = image - scale", "left: torch.Tensor = image + scale",
             "tests/unit/test_content.py"),
    Mutation("the projection's unit vector is none", "content/modes.py",
             "unit = text / text.norm().clamp_min(torch.finfo(text.dtype).tiny)", "unit = text",
             "tests/unit/test_content.py"),
    Mutation("narrower features are better", "models/selection.py",
             "-projection.feature_width", "projection.feature_width",
             "tests/unit/test_selection.py"),
    # -- what was asked for
    Mutation("a field renamed", "units/shared_fields.py",
             '"weight", 1.0, Number(-2, 5)', '"weigth", 1.0, Number(-2, 5)',
             "tests/unit/test_units.py"),
    Mutation("a default changed", "methods/ip_adapter/fields.py",
             '"content_scale", 0.5,', '"content_scale", 1.0,', "tests/unit/test_unit_defaults.py"),
    Mutation("an unknown field passed over", "units/unit.py",
             "        if unknown:\n", "        if False:\n", "tests/unit/test_units.py"),
    Mutation("the middle block where it is called", "layout.py",
             'in_file_order = [b for b in self.blocks if b.part != "middle"]',
             "in_file_order = list(self.blocks)", "tests/unit/test_layers.py"),
    Mutation("an earlier block weight wins", "units/block_weights.py",
             "weights[block.index] = weight", "weights.setdefault(block.index, weight)",
             "tests/unit/test_block_weights.py"),
    Mutation("infotext does not quote", "units/infotext.py",
             'return json.dumps(text) if re.search', 'return text if re.search',
             "tests/unit/test_infotext.py"),
    # -- the WebUI
    Mutation("infotext of an earlier use of p stays", "run/script_hooks.py",
             "        del p.extra_generation_params[key]", "        pass", LIFE, "stale_infotext"),
    Mutation("a swallowed exception let through", "run/script_hooks.py",
             '        _refuse(p, "init", error)', "        pass", HABITS, "failure_in_process"),
    Mutation("a refusal is only printed", "run/script_hooks.py",
             '        _refuse(p, "init", error)', "        raise", LIFE, "damaged_adapter"),
    Mutation("a wrapper stays on", "hosts/wrapping.py",
             "        wrapper.is_on = False", "        pass", "tests/unit/test_wrapping.py"),
    Mutation("wrapped twice", "hosts/wrapping.py",
             "    unwrap(owner, name)\n    wrapper = _Wrapper", "    wrapper = _Wrapper",
             "tests/unit/test_wrapping.py"),
    Mutation("hooks outlive the sampling", "run/sampling_pass.py",
             "        trace: TracebackType | None,\n    ) -> None:\n"
             "        self._exits.__exit__(kind, error, trace)",
             "        trace: TracebackType | None,\n    ) -> None:\n        pass", LIFE,
             "leaves_nothing or only_while_sampling"),
    Mutation("the refiner is not followed", "run/sampling_pass.py",
             "            self._follow(unet)", "            pass",
             "tests/webui/test_generation.py", "refiner"),
    Mutation("nobody asks whether a layer was reached", "run/run.py",
             "        if expected and not acted and not interrupted:", "        if False:",
             LIFE, "replaced_unet"),
    Mutation("nobody asks who did the sampling", "run/run.py",
             "        if not self._passes and not interrupted:", "        if False:", LIFE,
             "samples_by_itself"),
    Mutation("an interrupt is an error", "run/run.py",
             "        interrupted = self._context.host.interrupted()",
             "        interrupted = False", HABITS, "interrupt"),
    Mutation("what did not act is written", "run/run.py",
             "p.extra_generation_params.pop(INFOTEXT_KEY.format(unit.number), None)",
             "pass", "tests/host/test_notes.py", "changes_nothing"),
    Mutation("a comment is no note", "run/notes.py",
             "    if sentence not in written:", "    if False:", "tests/host/test_notes.py",
             "changes_nothing"),
    Mutation("evaluations are taken for steps", "unet/progress.py",
             "        step = self._counter.value() if self._counter is not None else None",
             "        step = None", "tests/unit/test_progress.py"),
    Mutation("keys and values anew in each pass", "run/run.py",
             "if layers.signature != self._signature:", "if True:", LIFE, "values_once"),
    Mutation("content with the last prompt's LoRAs", "hosts/text.py",
             "    lora.loaded_networks = []", "    pass  #", COMPANIONS, "loras"),
    Mutation("content without waking the text encoders", "hosts/a1111.py",
             "                hook(conditioner, ())", "                pass",
             "tests/host/test_flags.py", "medvram"),
    # -- downloads
    Mutation("download: any file is the published one", "models/resumable_download.py",
             "if digest != file.sha256:", "if False:", DOWNLOADS),
    Mutation("download: a file that is there is replaced", "models/part_file.py",
             "self._target.hardlink_to(self._path)  #", "self._path.replace(self._target)  #",
             DOWNLOADS),
    Mutation("download: what has arrived is asked for again", "models/resumable_download.py",
             "    if part.size:\n", "    if False:\n", DOWNLOADS),
    Mutation("download: two write one file", "models/part_file.py",
             "if not lock(self._stream):", "if False:", DOWNLOADS),
    Mutation("download: strangers may", "page/download_jobs.py",
             "    refuse_strangers(FORBIDDEN)\n    file", "    file",
             "tests/host/test_downloads.py"),
    Mutation("strangers: they change the saved styles", "page/styles.py",
             "            refuse_strangers(_FORBIDDEN)\n", "", STRANGERS),
    Mutation("strangers: the API saves their styles", "api/handlers.py",
             "    refuse_strangers(_NO_SAVING, by_api=True)\n", "", STRANGERS),
    Mutation("strangers: a kept reference is anybody's", "page/sent_pictures.py",
             "return (sender, sha256) in self._entries", "return True", STRANGERS),
    Mutation("strangers: an earlier picture stays in the box", "page/paste.py",
             "if name in TABLE.pictures and is_public():", "if False:", STRANGERS),
    Mutation("strangers: a plan tells what others have sent", "methods/ip_adapter/method.py",
             "if checked is not None and not is_api_public():", "if checked is not None:",
             STRANGERS),
    Mutation("strangers: Gradio serves what is kept", "hosts/page.py",
             "*sorted(ours)]", "]", STRANGERS),
    Mutation("paste: units beyond the page vanish", "page/paste_back.py",
             "    lost = [*_lost_units(parameters, count)]\n", "    lost = []\n",
             "tests/host/test_paste_notice.py"),
]  # fmt: skip
