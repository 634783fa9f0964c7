"""Which family a generator belongs to, and the words that data sets use for real and generated."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from bandprobe.errors import InputError, did_you_mean

REAL = "Real"
"""What a manifest calls the generator of a real image."""


def normalised(name: str) -> str:
    """Lower case, letters and digits alone: how names are compared. `Diff-StyleGAN2` is `diffstylegan2`."""
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "".join(letter for letter in plain if letter.isalnum())


def _words(text: str) -> frozenset[str]:
    return frozenset(normalised(word) for word in text.split())


_REAL_WORDS = _words("""
    real reals 0_real real_0 real_image real_images nature natural authentic genuine pristine original
    originals
""")
_FAKE_WORDS = _words("""
    fake fakes 1_fake fake_1 fake_image fake_images ai ai_generated ai_images generated generated_images
    synthetic synth synthesized synthesised artificial
""")

# Names as they stand in papers, repositories and folder names; compared as `normalised` leaves them.
_KNOWN = {
    "gan": """
        GAN DCGAN WGAN WGAN-GP LSGAN SNGAN SAGAN BEGAN RelGAN MMDGAN CramerGAN InfoMaxGAN SSGAN
        ProGAN PGGAN PGAN Progressive-GAN StyleGAN StyleGAN1 StyleGAN2 StyleGAN2-ADA StyleGAN3 StyleGAN-T
        StyleGAN-XL StyleGAN-Human StyleSwin ProjectedGAN Projected-GAN Diff-StyleGAN2 Diff-ProjectedGAN
        Diffusion-StyleGAN2 Diffusion-ProjectedGAN Diffusion-GAN Diffusion-Projected-GAN Diff-GAN
        BigGAN BigGAN-deep BigBiGAN GigaGAN GALIP GALIP-COCO DF-GAN AttnGAN StackGAN LAFITE
        CycleGAN StarGAN StarGAN2 StarGAN-v2 AttGAN STGAN GauGAN SPADE pix2pix pix2pixHD Taming-GAN
        EG3D pi-GAN GIRAFFE FastGAN GANsformer GANformer CIPS MSG-GAN SWAGAN Denoising-Diffusion-GAN DDGAN
        WhichFaceIsReal WFIR ThisPersonDoesNotExist TPDNE UniversalFakeDetect-GAN""",
    "diffusion": """
        DDPM DDIM IDDPM Improved-DDPM PNDM ADM ADM-G ADMG ADM-U ADM-G-U Guided Guided-Diffusion
        Ablated-Diffusion NCSN NCSNpp NCSN++ ScoreSDE Score-SDE SDE P2 EDM EDM2 Soft-Diffusion Cold-Diffusion
        LDM LDM-100 LDM-200 LDM-200-cfg LDM-4 LDM-8 Latent-Diffusion LatentDiffusion Latent-Diffusion-Model
        GLIDE glide_100_10 glide_100_27 glide_50_27 glide_copy imagenet_glide
        VQDM VQ-Diffusion VQDiffusion Disco Disco-ADM Disco-Diffusion
        SD SD14 SD15 SD20 SD21 SD3 SD35 SDv1 SDv2 SDv3 SDv4 SDv5 SDv14 SDv15 SDv20 SDv21 SD1 SD2 SDXL
        SDXL-Turbo SDXL-Lightning SD-Turbo SD-XL SSD-1B Segmind stable_diffusion stable_diffusion_v_1_4
        stable_diffusion_v_1_5 stable_diffusion_v_2_1 stable_diffusion_1_3 stable_diffusion_1_4
        stable_diffusion_1_5 stable_diffusion_2 stable_diffusion_2_1 stable_diffusion_xl stable_diffusion_3
        stable_diffusion_3_5 StableDiffusion
        Midjourney MJ Midjourney-v4 Midjourney-v5 Midjourney-v6 Wukong Wu-Kong imagenet_midjourney
        DALLE2 DALL-E-2 DALLE3 DALL-E-3 Imagen Imagen2 Imagen3 Imagen4 DeepFloyd DeepFloyd-IF IF IF-XL
        Kandinsky Kandinsky2 Kandinsky21 Kandinsky22 Kandinsky3 unCLIP Karlo
        PixArt PixArt-alpha PixArt-sigma PixArt-delta Hunyuan HunyuanDiT Playground Playground-v2
        Playground-v25 Wuerstchen Stable-Cascade Kolors AuraFlow Lumina Lumina-Next Sana Qwen-Image
        FLUX FLUX1 FLUX-dev FLUX-schnell FLUX1-dev FLUX1-schnell FLUX-pro FLUX1-pro FLUX2 Firefly
        Adobe-Firefly Ideogram Recraft Leonardo DreamStudio DreamShaper RealVis RealisticVision Dreambooth
        DiT DiT-XL-2 DiT-XL SiT SiT-XL-2 U-ViT UViT MDT MaskDiT LCM LCM-SDXL eDiff-I ControlNet
        InstructPix2Pix Consistency-Models RDM DiffAE Diffusion-Autoencoder DiffFace Collaborative-Diffusion
        FreeDoM Palette SR3 RePaint Inpaint-SD Rectified-Flow InstaFlow""",
    "autoregressive": """
        DALLE DALL-E DALLE1 DALLE-mini DALL-E-mini dalle_mini DALLE-mega Craiyon ruDALLE
        VQGAN VQ-GAN ViT-VQGAN VQ-VAE VQVAE VQVAE2 VQ-VAE-2 Taming Taming-Transformers TT
        taming_transformers RQ-Transformer RQVAE RQ-VAE iGPT ImageGPT PixelCNN PixelRNN PixelSNAIL
        Image-Transformer Parti CogView CogView2 Make-A-Scene NUWA
        LlamaGen VAR VAR-d30 MAR MAGE RAR Infinity HART MaskGIT Muse aMUSEd Emu Emu2 Emu3 Emu3-Gen Janus
        Janus-Pro Janus-Pro-7B Janus-Pro-1B Chameleon Anole Show-o Lumina-mGPT Open-MAGVIT2 MAGVIT MAGVIT2
        Liquid SimpleAR Switti TokenFlow VILA-U GPT4o GPT-4o GPT-Image GPT-Image-1 GPT4o-Image""",
    "other": """
        deepfake deepfakes DeepFake-FaceForensics FaceForensics FaceSwap Face2Face NeuralTextures SimSwap
        Inswapper FaceShifter SITD seeingdark seeing_in_the_dark SAN CRN IMLE
        Glow NICE RealNVP NVAE VAE Nearest Bilinear Bicubic""",
}

# How an unknown name's words may begin or end, looked for in this order.
_PIECES = {
    "diffusion": "diffusion ddpm ddim ldm adm glide midjourney sdxl flux pixart kandinsky dalle2 dalle3",
    "autoregressive": "autoregressive vqgan vqvae dallemini cogview llamagen maskgit januspro igpt",
    "gan": "gan",
}


def _table() -> dict[str, str]:
    return {normalised(name): family for family, names in _KNOWN.items() for name in names.split()}


_FAMILY_BY_NAME = _table()


def is_real(name: str) -> bool:
    """Whether a folder's or a label's name means real images: `Real`, `0_real`, `nature` ..."""
    return normalised(name) in _REAL_WORDS


def is_fake(name: str) -> bool:
    """Whether a name means generated images without saying by what: `1_fake`, `ai`, `generated` ..."""
    return normalised(name) in _FAKE_WORDS


def is_known(generator: str) -> bool:
    """Whether the literature's table has this generator."""
    return normalised(generator) in _FAMILY_BY_NAME


def _by_override(overrides: Mapping[str, Sequence[str]]) -> dict[str, str]:
    by_name: dict[str, str] = {}
    for family, generators in overrides.items():
        if isinstance(generators, str):
            raise InputError(f"families.{family} must be a list of generators; got the text {generators!r}.")
        for generator in generators:
            first = by_name.setdefault(normalised(generator), family)
            if first != family:
                raise InputError(
                    f"generator {generator!r} stands in two families, {first!r} and {family!r}; keep one."
                )
    return by_name


def family_of(generator: str, overrides: Mapping[str, Sequence[str]] | None = None) -> str:
    """The family of a generator.

    Args:
        generator: its name in any usual spelling; case, hyphens and underscores do not count.
        overrides: family to generators, as in a study file's `[families]`; any family name is allowed.

    Returns:
        The family in `overrides`; else `real` for the words for real images; else `gan`, `diffusion`,
        `autoregressive` or `other` from the table of known generators; else by how the name's words
        begin or end (`...gan`, `...diffusion`, `...ddpm`); else `other`.

    Raises:
        InputError: `overrides` lists one generator under two families.
    """
    plain = normalised(generator)
    chosen = _by_override(overrides or {}).get(plain)
    if chosen is not None:
        return chosen
    if plain in _REAL_WORDS:
        return "real"
    known = _FAMILY_BY_NAME.get(plain)
    if known is not None:
        return known
    return _guess(generator)


def _guess(generator: str) -> str:
    # At the beginning or end of a word alone: `elegant` is no GAN, and a `worldmodel` no LDM.
    words = [normalised(generator), *re.findall("[a-z]+", generator.casefold())]
    for family, pieces in _PIECES.items():
        for piece in pieces.split():
            if any(word.startswith(piece) or word.endswith(piece) for word in words):
                return family
    return "other"


def check_overrides(overrides: Mapping[str, Sequence[str]], generators: Iterable[str]) -> None:
    """Refuse a study's families when they name a generator that the data do not have.

    Raises:
        InputError: naming the absent generator and the nearest one present; or one generator is
            listed under two families.
    """
    _by_override(overrides)
    present = sorted(set(generators))
    plain = {normalised(name) for name in present}
    for family, names in overrides.items():
        for name in names:
            if normalised(name) not in plain:
                near = did_you_mean(name, present)
                raise InputError(
                    f"families.{family} names {name!r}, which is not in the data; "
                    f"the generators there are {', '.join(present) or 'none'}.{near}"
                )
