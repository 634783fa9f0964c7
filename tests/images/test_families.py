from __future__ import annotations

import pytest

from bandprobe.errors import InputError
from bandprobe.images import check_overrides, family_of, is_fake, is_real

KNOWN = {
    "gan": """ProGAN StyleGAN ProjectedGAN Diff-StyleGAN2 Diff-ProjectedGAN Diffusion-StyleGAN2
        Diffusion-ProjectedGAN progan stylegan stylegan2 biggan cyclegan stargan gaugan whichfaceisreal
        StyleGAN3""",
    "diffusion": """ADM DDPM IDDPM PNDM LDM midjourney sdv4 sdv5 sdv1.4 adm glide wukong vqdm
        stable_diffusion_v_1_4 stable_diffusion_v_1_5 VQDM ldm_200 ldm_200_cfg ldm_100 glide_100_27
        glide_50_27 glide_100_10 guided DALLE2 DALL-E-3 LatentDiffusion Disco-ADM SDXL FLUX.1-dev Imagen
        Kandinsky-2.2 PixArt-alpha DeepFloyd-IF SD-2.1""",
    "autoregressive": """dalle DALLE-mini VQGAN taming-transformers Parti CogView2 LlamaGen VAR MaskGIT
        Emu3 Janus-Pro""",
    "other": "deepfake seeingdark SITD san crn imle",
    "real": "Real real 0_real nature",
}


@pytest.mark.parametrize(("family", "names"), KNOWN.items())
def test_known_generators(family: str, names: str) -> None:
    assert {name: family_of(name) for name in names.split()} == dict.fromkeys(names.split(), family)


def test_unknown_generators_by_their_words() -> None:
    guesses = {
        "OurGAN": "gan",
        "my-gan-v2": "gan",
        "elegant": "other",
        "FooDiffusion": "diffusion",
        "foo_ddpm_eps": "diffusion",
        "worldmodel": "other",
        "madman": "other",
        "vqgan-f16": "autoregressive",
        "Zzz": "other",
    }
    assert {name: family_of(name) for name in guesses} == guesses


def test_overrides_win_and_match_any_spelling() -> None:
    overrides = {"gan": ["my_model"], "video": ["Pro-GAN", "Sora"]}
    assert family_of("MyModel", overrides) == "gan"
    assert family_of("progan", overrides) == "video"
    assert family_of("StyleGAN", overrides) == "gan"


def test_wrong_overrides() -> None:
    twice = {"gan": ["ProGAN"], "diffusion": ["pro-gan"]}
    with pytest.raises(InputError, match="generator 'pro-gan' stands in two families, 'gan' and 'diffusion'"):
        family_of("x", twice)
    with pytest.raises(
        InputError, match=r"names 'StyleGN'.*there are ADM, StyleGAN\. Did you mean 'StyleGAN'\?"
    ):
        check_overrides({"gan": ["StyleGN"]}, ["StyleGAN", "ADM"])
    with pytest.raises(InputError, match="must be a list of generators"):
        check_overrides({"gan": "ProGAN"}, ["ProGAN"])
    check_overrides({"gan": ["stylegan"]}, ["StyleGAN", "ADM"])


def test_words_for_labels() -> None:
    assert all(map(is_real, ["Real", "REALS", "0_real", "nature", "Authentic"]))
    assert all(map(is_fake, ["1_fake", "Fake", "ai", "generated", "Synthetic"]))
    assert not any(map(is_real, ["ProGAN", "1_fake", "surreal", "realistic-vision", ""]))
    assert not any(map(is_fake, ["deepfake", "0_real", "aim", ""]))
