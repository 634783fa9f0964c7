"""The encoders that have a short name, with the facts a reader chooses by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One encoder with a short name.

    Attributes:
        name: the short name.
        source: its id on the Hugging Face Hub, or `built in` where nothing is fetched.
        dim: length of a vector.
        parameters: of the image tower, in millions; 0 for no weights.
        objective: what it was trained to do.
        licence: of the weights.
        patch: side of a patch in pixels, None for encoders without patches.
        native_size: side in pixels of the authors' own preprocessing, None where it varies.
        gated: whether the licence must be accepted on the hub before the weights can be fetched.
    """

    name: str
    source: str
    dim: int
    parameters: int
    objective: str
    licence: str
    patch: int | None
    native_size: int | None
    gated: bool = False


# Encoders without weights, made of a device and a name: where their class is.
WEIGHTLESS = {"spectral": "bandprobe.encoders.spectral:SpectralEncoder"}

# What the classical detectors on spectra look at, by name.
CLASSICAL = {
    "pixel": "grey pixels",
    "dct": "DCT",
    "log-dct": "log of the DCT's magnitude",
    "fft": "magnitude of the FFT",
    "log-fft": "log of the FFT's magnitude",
}

# What ships with the package, under `embedded/encoders`, by name; `zoo/README.md` says how they were trained.
MICRO = ("micro-dino", "micro-dino-noblur", "micro-clip", "micro-clip-notexture")

_SELF = "self-distillation"
_CONTRAST = "image-text contrast"
_SIGMOID = "image-text sigmoid"
_DINOV2 = (("small", 384, 22), ("base", 768, 87), ("large", 1024, 304), ("giant", 1536, 1136))
_DINOV3_VIT = (
    ("vits16", 384, 22),
    ("vits16plus", 384, 29),
    ("vitb16", 768, 86),
    ("vitl16", 1024, 303),
    ("vith16plus", 1280, 841),
    ("vit7b16", 4096, 6716),
)
_DINOV3_CONVNEXT = (("tiny", 768, 28), ("small", 768, 49), ("base", 1024, 88), ("large", 1536, 196))
_CLIP = (
    ("b-32", "base-patch32", 512, 88, 32),
    ("b-16", "base-patch16", 512, 86, 16),
    ("l-14", "large-patch14", 768, 304, 14),
)
_SIGLIP2 = (
    *(("base-patch16", 768, 93, 16, size) for size in (224, 256, 384, 512)),
    ("base-patch32", 768, 95, 32, 256),
    *(("large-patch16", 1024, 316, 16, size) for size in (256, 384, 512)),
    *(("so400m-patch14", 1152, 428, 14, size) for size in (224, 384)),
    *(("so400m-patch16", 1152, 428, 16, size) for size in (256, 384, 512)),
    *(("giant-opt-patch16", 1536, 1163, 16, size) for size in (256, 384)),
    ("base-patch16", 768, 93, 16, None),
    ("so400m-patch16", 1152, 428, 16, None),
)
_MAE = (("base", 768, 86, 16), ("large", 1024, 303, 16), ("huge", 1280, 631, 14))


def _entries() -> tuple[Entry, ...]:
    dinov2 = (
        Entry(f"dinov2-{size}", f"facebook/dinov2-{size}", dim, millions, _SELF, "Apache-2.0", 14, 224)
        for size, dim, millions in _DINOV2
    )
    dinov3 = (
        Entry(
            f"dinov3-{size}",
            f"facebook/dinov3-{size}-pretrain-lvd1689m",
            dim,
            millions,
            _SELF,
            "DINOv3 License",
            None if size.startswith("convnext") else 16,
            224,
            gated=True,
        )
        for size, dim, millions in (
            *_DINOV3_VIT,
            *((f"convnext-{size}", dim, millions) for size, dim, millions in _DINOV3_CONVNEXT),
        )
    )
    open_clip = Entry(
        "openclip-vit-g-14", "laion/CLIP-ViT-g-14-laion2B-s34B-b88K", 1024, 1013, _CONTRAST, "MIT", 14, 224
    )
    clip = (
        Entry(f"clip-vit-{size}", f"openai/clip-vit-{hub}", dim, millions, _CONTRAST, "MIT", patch, 224)
        for size, hub, dim, millions, patch in _CLIP
    )
    siglip2 = (
        Entry(
            f"siglip2-{size}-{side or 'naflex'}",
            f"google/siglip2-{size}-{side or 'naflex'}",
            dim,
            millions,
            _SIGMOID,
            "Apache-2.0",
            patch,
            side,
        )
        for size, dim, millions, patch, side in _SIGLIP2
    )
    mae = (
        Entry(
            f"mae-{size}",
            f"facebook/vit-mae-{size}",
            dim,
            millions,
            "masked pixels",
            "CC-BY-NC-4.0",
            patch,
            224,
        )
        for size, dim, millions, patch in _MAE
    )
    micro = (
        Entry(name, "built in", 128, 1, _CONTRAST if "clip" in name else _SELF, "Apache-2.0", 8, 64)
        for name in MICRO
    )
    spectral = Entry("spectral", "built in", 544, 0, "none (log power spectrum)", "Apache-2.0", None, None)
    classical = (
        Entry(name, "built in", 4096, 0, f"none ({what})", "Apache-2.0", None, None)
        for name, what in CLASSICAL.items()
    )
    return (*dinov2, *dinov3, open_clip, *clip, *siglip2, *mae, *micro, spectral, *classical)


ENTRIES: dict[str, Entry] = {entry.name: entry for entry in _entries()}
