"""Keys and shapes of tiny CLIP image encoders in Hugging Face's layout."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from .checkpoints import Shapes

IMAGE = 224
PATCH = 14
POSITIONS = (IMAGE // PATCH) ** 2 + 1


@dataclass(frozen=True)
class VisionConfig:
    """All of them have 16 heads, like the real ViT-L, ViT-H and ViT-bigG."""

    width: int
    layers: int
    mlp: int
    embed_dim: int
    heads: int = 16

    def transformers(self) -> dict:
        """Arguments of `transformers.CLIPVisionConfig`."""
        sizes = asdict(self)
        return {
            "hidden_size": sizes["width"],
            "num_hidden_layers": sizes["layers"],
            "intermediate_size": sizes["mlp"],
            "projection_dim": sizes["embed_dim"],
            "num_attention_heads": sizes["heads"],
            "image_size": IMAGE,
            "patch_size": PATCH,
            "hidden_act": "gelu",
            "layer_norm_eps": 1e-5,
        }


VIT_H_TINY = VisionConfig(width=80, layers=3, mlp=320, embed_dim=64)
VIT_BIGG_TINY = VisionConfig(width=96, layers=4, mlp=472, embed_dim=256)  # 8192 / 1664 of 96


def vision_tower(cfg: VisionConfig) -> Shapes:
    """All float tensors of a CLIPVisionModelWithProjection; `position_ids` is added on writing."""
    w = cfg.width
    norm = {"weight": (w,), "bias": (w,)}
    shapes: Shapes = {
        "vision_model.embeddings.class_embedding": (w,),
        "vision_model.embeddings.patch_embedding.weight": (w, 3, PATCH, PATCH),
        "vision_model.embeddings.position_embedding.weight": (POSITIONS, w),
    }

    def add(prefix: str, **tensors: tuple[int, ...]) -> None:
        shapes.update({f"vision_model.{prefix}.{key}": shape for key, shape in tensors.items()})

    add("pre_layrnorm", **norm)
    for i in range(cfg.layers):
        layer = f"encoder.layers.{i}"
        for projection in ("k_proj", "v_proj", "q_proj", "out_proj"):
            add(f"{layer}.self_attn.{projection}", weight=(w, w), bias=(w,))
        add(f"{layer}.layer_norm1", **norm)
        add(f"{layer}.mlp.fc1", weight=(cfg.mlp, w), bias=(cfg.mlp,))
        add(f"{layer}.mlp.fc2", weight=(w, cfg.mlp), bias=(w,))
        add(f"{layer}.layer_norm2", **norm)
    add("post_layernorm", **norm)
    shapes["visual_projection.weight"] = (cfg.embed_dim, w)
    return shapes
