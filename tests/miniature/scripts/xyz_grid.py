"""X/Y/Z plot: a picture for each combination of values of up to three parameters."""

import csv
import random
import re
from copy import copy
from io import StringIO
from itertools import chain, permutations, product

import gradio as gr
import numpy as np
from modules import (
    errors,
    images,
    processing,
    scripts,
    sd_models,
    sd_samplers,
    sd_schedulers,
    sd_vae,
    shared,
)
from modules.processing import Processed, StableDiffusionProcessingTxt2Img, process_images
from modules.shared import opts, state
from modules.ui_components import ToolButton
from PIL import Image

fill_values_symbol = "\U0001f4d2"


# -- how a value reaches p -----------------------------------------------------------------------


def apply_field(field):
    return lambda p, x, xs: setattr(p, field, x)


def apply_override(field, boolean=False):
    def fun(p, x, xs):
        p.override_settings[field] = x.lower() == "true" if boolean else x

    return fun


def apply_prompt(p, x, xs):
    if xs[0] not in p.prompt and xs[0] not in p.negative_prompt:
        raise RuntimeError(f"Prompt S/R did not find {xs[0]} in prompt or negative prompt.")
    p.prompt = p.prompt.replace(xs[0], x)
    p.negative_prompt = p.negative_prompt.replace(xs[0], x)


def apply_order(p, x, xs):
    """The words stay at their places, in another order."""
    found = sorted((p.prompt.find(word), word) for word in x)
    rest, result = p.prompt, ""
    for (_, word), other in zip(found, x):
        before, _, rest = rest.partition(word)
        result += before + other
    p.prompt = result + rest


def apply_checkpoint(p, x, xs):
    info = sd_models.get_closet_checkpoint_match(x)
    if info is None:
        raise RuntimeError(f"Unknown checkpoint: {x}")
    p.override_settings["sd_model_checkpoint"] = info.name


def apply_size(p, x, xs):
    try:
        p.width, p.height = (int(v.strip()) for v in x.split("x"))
    except ValueError:
        print(f"Invalid size in XYZ plot: {x}")


def apply_styles(p, x, xs):
    p.styles.extend(x.split(","))


def do_nothing(p, x, xs):
    pass


# -- checks before anything is made --------------------------------------------------------------


def confirm_samplers(p, xs):
    for x in xs:
        if x.lower() not in sd_samplers.samplers_map:
            raise RuntimeError(f"Unknown sampler: {x}")


def confirm_checkpoints(p, xs):
    for x in xs:
        if sd_models.get_closet_checkpoint_match(x) is None:
            raise RuntimeError(f"Unknown checkpoint: {x}")


def confirm_checkpoints_or_none(p, xs):
    confirm_checkpoints(p, [x for x in xs if x not in (None, "", "None", "none")])


def confirm_range(min_val, max_val, axis_label):
    def fun(p, xs):
        for x in xs:
            if not min_val <= x <= max_val:
                raise ValueError(f'{axis_label} value "{x}" out of range [{min_val}, {max_val}]')

    return fun


# -- titles of rows and columns ------------------------------------------------------------------


def format_value(p, opt, x):
    return round(x, 8) if isinstance(x, float) else x


def format_value_add_label(p, opt, x):
    return f"{opt.label}: {format_value(p, opt, x)}"


def format_value_join_list(p, opt, x):
    return ", ".join(x)


def format_nothing(p, opt, x):
    return ""


def format_remove_path(p, opt, x):
    return x.replace("\\", "/").rsplit("/", 1)[-1]


def str_permutations(x):
    """Stands for a type: an axis of this type gets all orders of its values."""
    return x


def boolean_choice(reverse=False):
    return lambda: ["False", "True"] if reverse else ["True", "False"]


def list_to_csv_string(data_list):
    with StringIO() as o:
        csv.writer(o).writerow(data_list)
        return o.getvalue().strip()


def csv_string_to_list_strip(data_str):
    rows = csv.reader(StringIO(data_str), skipinitialspace=True)
    return [x.strip() for x in chain.from_iterable(rows)]


class AxisOption:
    def __init__(
        self,
        label,
        type,
        apply,
        format_value=format_value_add_label,
        confirm=None,
        cost=0.0,
        choices=None,
        prepare=None,
    ):
        self.label = label
        self.type = type
        self.apply = apply
        self.format_value = format_value
        self.confirm = confirm
        self.cost = cost
        self.prepare = prepare
        self.choices = choices


class AxisOptionImg2Img(AxisOption):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_img2img = True


class AxisOptionTxt2Img(AxisOption):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.is_img2img = False


def _sampler_names():
    return [x.name for x in sd_samplers.samplers if x.name not in opts.hide_samplers]


def _checkpoints():
    return sorted(sd_models.checkpoints_list, key=str.casefold)


_sampler = {"format_value": format_value, "confirm": confirm_samplers, "choices": _sampler_names}
axis_options = [
    AxisOption("Nothing", str, do_nothing, format_value=format_nothing),
    AxisOption("Seed", int, apply_field("seed")),
    AxisOption("Var. seed", int, apply_field("subseed")),
    AxisOption("Var. strength", float, apply_field("subseed_strength")),
    AxisOption("Steps", int, apply_field("steps")),
    AxisOptionTxt2Img("Hires steps", int, apply_field("hr_second_pass_steps")),
    AxisOption("CFG Scale", float, apply_field("cfg_scale")),
    AxisOption("Prompt S/R", str, apply_prompt, format_value=format_value),
    AxisOption("Prompt order", str_permutations, apply_order, format_value=format_value_join_list),
    AxisOptionTxt2Img("Sampler", str, apply_field("sampler_name"), **_sampler),
    AxisOptionTxt2Img("Hires sampler", str, apply_field("hr_sampler_name"), **_sampler),
    AxisOptionImg2Img("Sampler", str, apply_field("sampler_name"), **_sampler),
    AxisOption(
        "Checkpoint name",
        str,
        apply_checkpoint,
        format_value=format_remove_path,
        confirm=confirm_checkpoints,
        cost=1.0,
        choices=_checkpoints,
    ),
    AxisOption("Negative Guidance minimum sigma", float, apply_field("s_min_uncond")),
    AxisOption(
        "Schedule type",
        str,
        apply_field("scheduler"),
        choices=lambda: [x.label for x in sd_schedulers.schedulers],
    ),
    AxisOption("Eta", float, apply_field("eta")),
    AxisOption("Clip skip", int, apply_override("CLIP_stop_at_last_layers")),
    AxisOption("Denoising", float, apply_field("denoising_strength")),
    AxisOptionTxt2Img(
        "Hires upscaler",
        str,
        apply_field("hr_upscaler"),
        choices=lambda: [*shared.latent_upscale_modes, *(x.name for x in shared.sd_upscalers)],
    ),
    AxisOption("Styles", str, apply_styles, choices=lambda: list(shared.prompt_styles.styles)),
    AxisOption(
        "Always discard next-to-last sigma",
        str,
        apply_override("always_discard_next_to_last_sigma", boolean=True),
        choices=boolean_choice(reverse=True),
    ),
    AxisOption(
        "Refiner checkpoint",
        str,
        apply_field("refiner_checkpoint"),
        format_value=format_remove_path,
        confirm=confirm_checkpoints_or_none,
        cost=1.0,
        choices=lambda: ["None", *_checkpoints()],
    ),
    AxisOption("Refiner switch at", float, apply_field("refiner_switch_at")),
    AxisOption("Size", str, apply_size),
]

_number = r"\s*([+-]?\s*\d+{f})\s*"
_patterns = {
    kind: (
        re.compile(f"{one}-{one}(?:\\(([+-]\\d+{fraction})\\s*\\))?\\s*"),
        re.compile(f"{one}-{one}(?:\\[(\\d+)\\s*])?\\s*"),
    )
    for kind, fraction in ((int, ""), (float, r"(?:.\d*)?"))
    for one in [_number.replace("{f}", fraction)]
}


def _expand(value, kind):
    """`1-5`, `1-5 (+2)` and `1-5 [3]` for exactly int and float; anything else stays text."""
    if value.strip() == "":
        return []
    with_step, with_count = (x.fullmatch(value) for x in _patterns[kind])
    if with_step is not None:
        start, end = kind(with_step[1]), kind(with_step[2])
        step = 1 if with_step[3] is None else kind(with_step[3])
        if kind is int:
            return list(range(start, end + 1, step))
        return np.arange(start, end + step, step).tolist()
    if with_count is not None:
        start, end = kind(with_count[1]), kind(with_count[2])
        return [kind(x) for x in np.linspace(start, end, int(with_count[3] or 1)).tolist()]
    return [value]


def slow_first(costs):
    """Order of the loops, outermost first: z y x, unless one axis costs more than both others."""
    for first in "xyz":
        b, c = (x for x in "xyz" if x != first)
        if costs[first] > max(costs[b], costs[c]):
            second, third = (b, c) if costs[b] > costs[c] else (c, b)
            return [first, second, third]
    return ["z", "y", "x"]


def draw_xyz_grid(p, xs, ys, zs, labels, cell, draw_legend, order, margin_size):
    """Runs all cells in the given order of axes and lays them out: one grid for each z."""
    size = len(xs) * len(ys) * len(zs)
    state.job_count = size * p.n_iter
    result = None
    ranges = {"x": range(len(xs)), "y": range(len(ys)), "z": range(len(zs))}
    for i, chosen in enumerate(product(*(ranges[name] for name in order))):
        at = dict(zip(order, chosen))
        ix, iy, iz = at["x"], at["y"], at["z"]
        state.job = f"{i + 1} out of {size}"
        processed = cell(xs[ix], ys[iy], zs[iz], ix, iy, iz)
        if result is None:
            result = copy(processed)
            for name in ("images", "all_prompts", "all_seeds", "infotexts"):
                setattr(result, name, [None] * size)
            result.index_of_first_image = 1
        index = ix + iy * len(xs) + iz * len(xs) * len(ys)
        if processed.images:
            result.images[index] = processed.images[0]
            result.all_prompts[index] = processed.prompt
            result.all_seeds[index] = processed.seed
            result.infotexts[index] = processed.infotexts[0]
        else:
            result.images[index] = Image.new("P", (result.width, result.height))
    if result is None:
        return Processed(p, [])

    def titles(texts):
        return [[images.GridAnnotation(x)] for x in texts]

    per_z = len(xs) * len(ys)
    for i in range(len(zs)):
        start = i * per_z + i
        part = result.images[start : start + per_z]
        grid = images.image_grid(part, rows=len(ys))
        if draw_legend:
            width, height = (max(v) for v in zip(*(x.size for x in part)))
            grid = images.draw_grid_annotations(
                grid, width, height, titles(labels[0]), titles(labels[1]), margin_size
            )
        result.images.insert(i, grid)
        for name in ("all_prompts", "all_seeds", "infotexts"):
            values = getattr(result, name)
            values.insert(i, values[start])
    z_grids = result.images[: len(zs)]
    grid = images.image_grid(z_grids, rows=1)
    if draw_legend:
        width, height = (max(v) for v in zip(*(x.size for x in z_grids)))
        empty = [[images.GridAnnotation()]]
        grid = images.draw_grid_annotations(grid, width, height, titles(labels[2]), empty)
    result.images.insert(0, grid)
    result.infotexts.insert(0, result.infotexts[0])
    return result


class SharedSettingsStackHelper:
    def __enter__(self):
        pass

    def __exit__(self, exc_type, exc_value, tb):
        sd_models.reload_model_weights()
        sd_vae.reload_vae_weights()


class Script(scripts.Script):
    def title(self):
        return "X/Y/Z plot"

    def ui(self, is_img2img):
        self.current_axis_options = [
            x for x in axis_options if type(x) is AxisOption or x.is_img2img == is_img2img
        ]
        labels = [x.label for x in self.current_axis_options]
        axes = []
        for name, initial in (("x", 1), ("y", 0), ("z", 0)):
            with gr.Row():
                kind = gr.Dropdown(
                    label=f"{name.upper()} type",
                    choices=labels,
                    value=labels[initial],
                    type="index",
                    elem_id=self.elem_id(f"{name}_type"),
                )
                values = gr.Textbox(
                    label=f"{name.upper()} values", lines=1, elem_id=self.elem_id(f"{name}_values")
                )
                dropdown = gr.Dropdown(
                    label=f"{name.upper()} values",
                    visible=False,
                    multiselect=True,
                    interactive=True,
                )
                fill = ToolButton(
                    value=fill_values_symbol,
                    elem_id=f"xyz_grid_fill_{name}_tool_button",
                    visible=False,
                )
            axes.append((kind, values, dropdown, fill))

        def box(label, item, value=False):
            return gr.Checkbox(label=label, value=value, elem_id=self.elem_id(item))

        with gr.Row(variant="compact", elem_id="axis_options"):
            draw_legend = box("Draw legend", "draw_legend", True)
            no_fixed_seeds = box("Keep -1 for seeds", "no_fixed_seeds")
            vary = [box(f"Vary seeds for {x.upper()}", f"vary_seeds_{x}") for x in "xyz"]
            include_lone_images = box("Include Sub Images", "include_lone_images")
            include_sub_grids = box("Include Sub Grids", "include_sub_grids")
            csv_mode = box("Use text inputs instead of dropdowns", "csv_mode")
            margin_size = gr.Slider(
                label="Grid margins (px)",
                minimum=0,
                maximum=500,
                value=0,
                step=2,
                elem_id=self.elem_id("margin_size"),
            )

        def fill_values(axis_type, as_text):
            axis = self.current_axis_options[axis_type]
            if not axis.choices:
                return gr.update(), gr.update()
            found = axis.choices()
            return (list_to_csv_string(found), gr.update()) if as_text else (gr.update(), found)

        def select_axis(axis_type, text, chosen, as_text):
            axis = self.current_axis_options[axis_type or 0]
            known = axis.choices() if axis.choices is not None else None
            as_list = known is not None and not as_text
            return (
                gr.update(visible=known is not None),
                gr.update(visible=not as_list, value=text),
                gr.update(choices=known, visible=as_list, value=chosen),
            )

        self.infotext_fields = []
        for name, (kind, values, dropdown, fill) in zip("XYZ", axes):
            fill.click(fn=fill_values, inputs=[kind, csv_mode], outputs=[values, dropdown])
            for event in (kind.change, csv_mode.change):
                event(
                    fn=select_axis,
                    inputs=[kind, values, dropdown, csv_mode],
                    outputs=[fill, values, dropdown],
                )
            self.infotext_fields += [
                (kind, f"{name} Type"),
                (values, f"{name} Values"),
                (
                    dropdown,
                    lambda params, name=name: gr.update(
                        value=csv_string_to_list_strip(params.get(f"{name} Values", ""))
                    ),
                ),
            ]
        inputs = [component for axis in axes for component in axis[:3]]
        switches = [draw_legend, include_lone_images, include_sub_grids, no_fixed_seeds, *vary]
        return [*inputs, *switches, margin_size, csv_mode]

    def _values(self, p, axis, text, chosen, csv_mode):
        """The values of one axis, converted and confirmed."""
        if axis.label == "Nothing":
            return [0]
        if axis.choices is not None and not csv_mode:
            values = chosen
        elif axis.prepare is not None:
            values = axis.prepare(text)
        else:
            values = csv_string_to_list_strip(text)
        if axis.type in (int, float):
            values = [v for x in values for v in _expand(x, axis.type)]
        elif axis.type == str_permutations:
            values = list(permutations(values))
        values = [axis.type(x) for x in values]
        if axis.confirm:
            axis.confirm(p, values)
        return values

    def run(
        self,
        p,
        x_type,
        x_values,
        x_values_dropdown,
        y_type,
        y_values,
        y_values_dropdown,
        z_type,
        z_values,
        z_values_dropdown,
        draw_legend,
        include_lone_images,
        include_sub_grids,
        no_fixed_seeds,
        vary_seeds_x,
        vary_seeds_y,
        vary_seeds_z,
        margin_size,
        csv_mode,
    ):
        if not no_fixed_seeds:
            processing.fix_seed(p)
        if not opts.return_grid:
            p.batch_size = 1

        axes, texts, lists = [], [], []
        for kind, text, chosen in (
            (x_type, x_values, x_values_dropdown),
            (y_type, y_values, y_values_dropdown),
            (z_type, z_values, z_values_dropdown),
        ):
            axis = self.current_axis_options[kind or 0]
            if axis.choices is not None and not csv_mode:
                text = list_to_csv_string(chosen)
            values = self._values(p, axis, text, chosen, csv_mode)
            if axis.label in ("Seed", "Var. seed") and not no_fixed_seeds:
                values = [random.randrange(4294967294) if v == -1 else v for v in values]
            axes.append(axis)
            texts.append(text)
            lists.append(values)
        xs, ys, zs = lists
        x_opt, y_opt, z_opt = axes

        total = p.steps * len(xs) * len(ys) * len(zs) * p.n_iter
        if isinstance(p, StableDiffusionProcessingTxt2Img) and p.enable_hr:
            total *= 2
        shared.total_tqdm.updateTotal(total)
        order = slow_first(dict(zip("xyz", (axis.cost for axis in axes))))
        grid_infotext = [None] * (1 + len(zs))

        def describe(pc, names):
            for name in names:
                axis, values = axes["XYZ".index(name)], lists["XYZ".index(name)]
                if axis.label == "Nothing":
                    continue
                pc.extra_generation_params[f"{name} Type"] = axis.label
                pc.extra_generation_params[f"{name} Values"] = texts["XYZ".index(name)]
                if axis.label in ("Seed", "Var. seed") and not no_fixed_seeds:
                    fixed = ", ".join(str(v) for v in values)
                    pc.extra_generation_params[f"Fixed {name} Values"] = fixed

        def infotext_of(pc):
            return processing.create_infotext(pc, pc.all_prompts, pc.all_seeds, pc.all_subseeds)

        def cell(x, y, z, ix, iy, iz):
            """One picture from a shallow copy: dictionaries are shared by all cells."""
            if state.interrupted or state.stopping_generation:
                return Processed(p, [], p.seed, "")
            pc = copy(p)
            pc.styles = pc.styles[:]
            x_opt.apply(pc, x, xs)
            y_opt.apply(pc, y, ys)
            z_opt.apply(pc, z, zs)
            x_span = len(xs) if vary_seeds_x else 1
            y_span = len(ys) if vary_seeds_y else 1
            pc.seed += ix if vary_seeds_x else 0
            pc.seed += iy * x_span if vary_seeds_y else 0
            pc.seed += iz * x_span * y_span if vary_seeds_z else 0
            try:
                res = process_images(pc)
            except Exception as e:
                errors.display(e, "generating image for xyz plot")
                res = Processed(p, [], p.seed, "")
            if grid_infotext[1 + iz] is None and ix == 0 and iy == 0:
                pc.extra_generation_params = copy(pc.extra_generation_params)
                pc.extra_generation_params["Script"] = self.title()
                describe(pc, "XY")
                grid_infotext[1 + iz] = infotext_of(pc)
            if grid_infotext[0] is None and ix == 0 and iy == 0 and iz == 0:
                pc.extra_generation_params = copy(pc.extra_generation_params)
                describe(pc, "Z")
                grid_infotext[0] = infotext_of(pc)
            return res

        labels = [
            [axis.format_value(p, axis, v) for v in values] for axis, values in zip(axes, lists)
        ]
        with SharedSettingsStackHelper():
            processed = draw_xyz_grid(p, xs, ys, zs, labels, cell, draw_legend, order, margin_size)
        if not processed.images:
            return processed
        z_count = len(zs)
        processed.infotexts[: 1 + z_count] = grid_infotext
        if not include_lone_images:
            processed.images = processed.images[: z_count + 1]
        if opts.grid_save:
            images.save_image(
                processed.images[0],
                p.outpath_grids,
                "xyz_grid",
                info=processed.infotexts[0],
                extension=opts.grid_format,
                prompt=processed.all_prompts[0],
                seed=processed.all_seeds[0],
                grid=True,
                p=processed,
            )
        if not include_sub_grids:
            for _ in range(z_count):
                del processed.images[1]
                del processed.all_prompts[1]
                del processed.all_seeds[1]
                del processed.infotexts[1]
        return processed
