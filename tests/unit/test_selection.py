"""Which adapter and which image encoder serve, of the files people have in their real shapes."""

import pytest
import torch

from lib_instantstyle.errors import InstantStyleError
from lib_instantstyle.layout import SD15, SDXL
from lib_instantstyle.models.catalog import scan
from lib_instantstyle.models.selection import choose
from tests.unit import stock
from tests.unit.adapters import adapter_tensors, write
from tests.unit.image_encoders import encoder_tensors
from tests.unit.unets import unet_like

STYLE = range(69, 88, 2)  # the adapter numbers of SDXL's style block
LAYOUT = range(29, 48, 2)
ENCODER = {  # by variant
    "ip-adapter_sd15": "ViT-H",
    "ip-adapter_sd15_light": "ViT-H",
    "ip-adapter_sd15_vit-G": "ViT-bigG",
    "ip-adapter-plus_sd15": "ViT-H",
    "ip-adapter-plus-face_sd15": "ViT-H",
    "ip-adapter-full-face_sd15": "ViT-H",
    "ip_plus_composition_sd15": "ViT-H",
    "ip-adapter_sdxl": "ViT-bigG",
    "ip-adapter_sdxl_vit-h": "ViT-H",
    "ip-adapter-plus_sdxl_vit-h": "ViT-H",
    "ip-adapter-plus-face_sdxl_vit-h": "ViT-H",
    "ip_plus_composition_sdxl": "ViT-H",
}


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """All stock adapters, and all encoders in both layouts; a folder's name says which it holds."""
    folder = tmp_path_factory.mktemp("models")
    for name, (shapes, _) in stock.ADAPTERS.items():
        stock.write_hole(folder / "adapters" / f"{name}.safetensors", shapes)
    for name, (*sizes, _) in stock.ENCODERS.items():
        for layout in (stock.hugging_face_encoder, stock.open_clip_encoder):
            path = folder / "encoders" / name / f"{layout.__name__}.safetensors"
            stock.write_hole(path, layout(*sizes))
    return folder


@pytest.mark.parametrize("name", list(ENCODER))
def test_every_stock_adapter_gets_its_encoder(everything, name):
    layout = SDXL if "sdxl" in name else SD15
    choice = choose(f"adapters/{name}", scan([everything]), stock.stock_unet(layout))
    assert choice.image_encoder.path.parent.name == ENCODER[name]
    assert choice.muted == ()


@pytest.mark.parametrize("name", list(ENCODER))
def test_a_missing_encoder_is_named(everything, name):
    unet = stock.stock_unet(SDXL if "sdxl" in name else SD15)
    others = [t for t in stock.ENCODERS if t != ENCODER[name]]
    folders = [
        everything / "adapters",
        *(everything / "encoders" / encoder_file for encoder_file in others),
    ]
    with pytest.raises(InstantStyleError) as caught:
        choose(name, scan(folders), unet)
    sentence = str(caught.value)
    assert f"adapter {name} needs the CLIP image encoder {ENCODER[name]}/14 with " in sentence
    assert "hugging_face_encoder makes" in sentence and "models/clip_vision" in sentence


def test_auto_prefers_linear_then_plus_then_full_face_and_style_over_other_purposes(everything):
    for layout, order in (
        (SDXL, ["ip-adapter_sdxl", "ip-adapter_sdxl_vit-h", "ip-adapter-plus_sdxl_vit-h",
                "ip-adapter-plus-face_sdxl_vit-h", "ip_plus_composition_sdxl"]),
        (SD15, ["ip-adapter_sd15_vit-G", "ip-adapter_sd15", "ip-adapter_sd15_light",
                "ip-adapter-plus_sd15", "ip-adapter-plus-face_sd15", "ip_plus_composition_sd15",
                "ip-adapter-full-face_sd15"]),
    ):  # fmt: skip
        catalog = scan([everything])
        taken = []
        while True:
            left = tuple(a for a in catalog.adapters if a.name not in taken)
            try:
                choice = choose(
                    "auto", type(catalog)(left, catalog.image_encoders, ()), unet_of(layout)
                )
            except InstantStyleError:
                break
            taken.append(choice.adapter.name)
        assert [name.removeprefix("adapters/") for name in taken] == order


def unet_of(layout):
    return stock.stock_unet(layout)


def test_auto_takes_what_has_its_encoder(tmp_path):
    sdxl = unet_like(SDXL)
    write(tmp_path / "h.safetensors", adapter_tensors(sdxl, 24))
    write(tmp_path / "g.safetensors", adapter_tensors(sdxl, 40))
    write(tmp_path / "small.safetensors", adapter_tensors(unet_like(SD15), 40))
    with pytest.raises(InstantStyleError, match=r"g needs the CLIP image encoder .* 40 numbers"):
        choose("auto", scan([tmp_path]), sdxl)
    write(tmp_path / "encoder24.safetensors", encoder_tensors(24))
    choice = choose("auto", scan([tmp_path]), sdxl)
    assert (choice.adapter.name, choice.image_encoder.name) == ("h", "encoder24")
    write(tmp_path / "encoder40.safetensors", encoder_tensors(40))
    choice = choose("auto", scan([tmp_path]), sdxl)
    assert (choice.adapter.name, choice.image_encoder.name) == ("g", "encoder40")


def test_the_width_of_hidden_states_is_not_taken_for_that_of_vectors(tmp_path):
    """1280 is both ViT-H's width and ViT-bigG's vector; here 40 is."""
    sdxl = unet_like(SDXL)
    write(tmp_path / "a.safetensors", adapter_tensors(sdxl, 40))
    write(tmp_path / "p.safetensors", adapter_tensors(sdxl, 40, projection="plus"))
    write(tmp_path / "wide.safetensors", encoder_tensors(projection=24, width=40))
    assert choose("p", scan([tmp_path]), sdxl).image_encoder.name == "wide"
    with pytest.raises(InstantStyleError, match="with vectors of 40 numbers"):
        choose("a", scan([tmp_path]), sdxl)
    assert choose("auto", scan([tmp_path]), sdxl).adapter.name == "p"
    write(tmp_path / "long.safetensors", encoder_tensors(projection=40, width=24))
    assert choose("a", scan([tmp_path]), sdxl).image_encoder.name == "long"


def test_of_two_encoders_that_fit_the_one_with_224_pixels_is_taken(tmp_path):
    sdxl = unet_like(SDXL)
    write(tmp_path / "adapter.safetensors", adapter_tensors(sdxl, 24))
    large = encoder_tensors(24)
    large["vision_model.embeddings.position_embedding.weight"] = torch.zeros(24 * 24 + 1, 32)
    write(tmp_path / "a336.safetensors", large)
    assert choose("auto", scan([tmp_path]), sdxl).image_encoder.name == "a336"
    write(tmp_path / "b224.safetensors", encoder_tensors(24))
    assert choose("auto", scan([tmp_path]), sdxl).image_encoder.name == "b224"


def part_of(tensors, numbers):
    return {
        name: tensor
        for name, tensor in tensors.items()
        if name.startswith("image_proj") or int(name.split(".")[1]) in numbers
    }


def test_layers_that_an_adapter_lacks_are_muted(tmp_path):
    sdxl = unet_like(SDXL)
    whole = adapter_tensors(sdxl, 24)
    write(tmp_path / "style.safetensors", part_of(whole, STYLE))
    write(tmp_path / "encoder.safetensors", encoder_tensors(24))
    catalog = scan([tmp_path])
    for name in ("style", "auto"):
        assert choose(name, catalog, sdxl, STYLE).muted == ()
        assert choose(name, catalog, sdxl, [*LAYOUT, *STYLE]).muted == tuple(LAYOUT)
        assert choose(name, catalog, sdxl, [67, 69, 71]).muted == (67,)
    with pytest.raises(InstantStyleError) as caught:
        choose("style", catalog, sdxl, LAYOUT)
    assert str(caught.value) == (
        "adapter style holds none of the layers that the unit selects (it holds "
        "up_blocks.0.attentions.1); choose another adapter, or other blocks."
    )
    with pytest.raises(InstantStyleError, match="no IP-Adapter for SDXL that holds the selected"):
        choose("auto", catalog, sdxl, LAYOUT)


def test_auto_mutes_nothing_if_it_can_be_helped(tmp_path):
    sdxl = unet_like(SDXL)
    write(tmp_path / "a.safetensors", part_of(adapter_tensors(sdxl, 24), STYLE))
    write(tmp_path / "b.safetensors", adapter_tensors(sdxl, 32, projection="plus"))
    write(tmp_path / "encoder.safetensors", encoder_tensors(24, width=32))
    catalog = scan([tmp_path])
    assert choose("auto", catalog, sdxl, STYLE).adapter.name == "a"
    assert choose("auto", catalog, sdxl, [*LAYOUT, *STYLE]).adapter.name == "b"


def test_auto_says_what_was_of_no_use(tmp_path):
    stock.write_hole(tmp_path / "best.safetensors", stock.FOREIGN["instantid"][0])
    with pytest.raises(InstantStyleError, match=r"\(of no use were best\); put ip-adapter_sdxl"):
        choose("auto", scan([tmp_path]), stock.stock_unet(SDXL))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("none", "adapter 'none' is not among the files found"),
        ("../../secret", "is not among the files found"),
        ("sd15", "adapter sd15 is made for SD1.5, the loaded checkpoint is SDXL"),
        ("narrow", "tokens of width 12, the loaded checkpoint takes 16"),
        ("thin", "has width 4 in down_blocks.1.attentions.0"),
        ("even", "holds a layer 2, which SDXL does not have"),
        ("damaged", "damaged.safetensors is not a sound .safetensors file"),
        ("code", "code.bin cannot be used: it names"),
        ("face", "face.safetensors is a FaceID adapter"),
    ],
)
def test_what_does_not_fit_is_said_in_one_sentence(tmp_path, name, sentence):
    sdxl = unet_like(SDXL)
    write(tmp_path / "sd15.safetensors", adapter_tensors(unet_like(SD15)))
    write(tmp_path / "narrow.safetensors", adapter_tensors(unet_like(SDXL, 12)))
    write(tmp_path / "thin.safetensors", adapter_tensors(unet_like(SDXL, width=4)))
    even = part_of(adapter_tensors(sdxl), [1, 3])
    even |= {k.replace(".1.", ".2."): v.clone() for k, v in even.items() if ".1." in k}
    write(tmp_path / "even.safetensors", even)
    (tmp_path / "damaged.safetensors").write_bytes(b"\xff" * 100)
    torch.save({"a": ValueError}, tmp_path / "code.bin")
    stock.write_hole(tmp_path / "face.safetensors", stock.FOREIGN["ip-adapter-faceid_sdxl"][0])
    with pytest.raises(InstantStyleError, match=sentence) as caught:
        choose(name, scan([tmp_path]), sdxl)
    assert str(caught.value).endswith(".")
