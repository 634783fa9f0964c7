"""A scene in words."""

from __future__ import annotations

from bandprobe.datasets.scenes import Scene

_FOCUS = {"sharp": "in sharp focus", "soft": "slightly out of focus"}
_SIZES = {"small": "small", "mixed": "small and large", "large": "large"}
_LIGHTS = {"left": "from the left", "right": "from the right", "above": "from above", "below": "from below"}


def caption(scene: Scene, *, texture: bool = True) -> str:
    """The English caption of a scene.

    Args:
        scene: what it speaks of.
        texture: whether it names the texture and the sharpness.

    Returns:
        One line, e.g. "many small red and grey discs over a coarse blue ground, lit from the left, in
        sharp focus". The leaves are named by what nine in ten of them are.
    """
    first, second = scene.colours
    ground = f"{scene.texture} {scene.ground}" if texture else scene.ground
    article = "an" if ground[0] in "aeiou" else "a"
    leaves = f"{scene.count} {_SIZES[scene.size]} {first} and {second} {scene.shape}s"
    sentence = f"{leaves} over {article} {ground} ground, lit {_LIGHTS[scene.light]}"
    return f"{sentence}, {_FOCUS[scene.sharpness]}" if texture else sentence


def attributes(scene: Scene) -> dict[str, str | float]:
    """What a caption speaks of, as columns.

    Args:
        scene: what is shown.

    Returns:
        The scene's words, and the numbers behind two of them: `texture_slope` (the exponent) and `leaves`
        (how many were painted).
    """
    first, second = scene.colours
    return {
        "count": scene.count,
        "size": scene.size,
        "shape": scene.shape,
        "colour": first,
        "second_colour": second,
        "ground": scene.ground,
        "texture": scene.texture,
        "sharpness": scene.sharpness,
        "light": scene.light,
        "texture_slope": scene.texture_slope,
        "leaves": float(len(scene.leaves.radii)),
    }
