"""What an encoder's name stands for, found without loading anything: neither torch nor transformers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from bandprobe import shipped
from bandprobe.encoders.catalogue import CLASSICAL, ENTRIES, MICRO, WEIGHTLESS
from bandprobe.encoders.compound_names import (
    LAYER,
    RANDOM,
    TOKENS,
    Part,
    is_there,
    not_a_filter,
    own_filters,
    split,
    unaliased,
)
from bandprobe.errors import EncoderError, did_you_mean
from bandprobe.filters import Filter

Kind: TypeAlias = Literal[
    "weightless", "classical", "shipped", "folder", "hub", "openclip", "timm", "detector", "table", "compound"
]

# Kinds that have weights, and statistics their images are normalised with.
WEIGHTED: tuple[Kind, ...] = ("shipped", "folder", "hub", "openclip", "timm")

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_MODULE = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_PREFIXES = ("openclip", "timm", "detector", "table", "random")
_FORMS = (
    "a short name (see bandprobe encoders), a Hugging Face id (owner/model), a local folder, "
    "openclip:MODEL/TAG, timm:NAME, detector:FILE.onnx, detector:MODULE:FUNCTION or table:FILE.parquet"
)


@dataclass(frozen=True)
class Reference:
    """What an encoder's name stands for.

    Attributes:
        name: how the encoder is called in tables, figures and stores.
        kind: what loads it.
        target: the folder, the hub id, what follows the kind's prefix, or a compound as written; of what ships
            with the package its name, wherever that is installed.
        random: the seed of new weights, None for the encoder's own.
        tokens: whether the vector is all its tokens, one after the other.
        layer: the block after which the vector is taken, counted from 1; None for the encoder's own output.
        parts: of a compound, each encoder with its own filter.
    """

    name: str
    kind: Kind
    target: str
    random: int | None = None
    tokens: bool = False
    layer: int | None = None
    parts: tuple[tuple[Reference, Filter | None], ...] = ()

    @property
    def whole(self) -> Reference:
        """The encoder whose forward pass gives the vector: itself, but for a layer."""
        if self.layer is None:
            return self
        return replace(self, name=self.name.removesuffix(f"#layer{self.layer}"), layer=None)

    @property
    def is_detector(self) -> bool:
        """Whether the vector is a finished detector's logit, so that no probe is trained on it."""
        return self.kind == "detector" or (len(self.parts) == 1 and self.parts[0][0].is_detector)

    @property
    def files(self) -> list[Path]:
        """The local files it is read from, as far as the name tells; none for the hub's models."""
        if self.kind == "compound":
            return [file for part, _ in self.parts for file in part.files]
        if self.kind == "shipped":
            return sorted((shipped.FOLDER / "encoders" / self.target).glob("*"))
        if self.kind == "folder":
            return sorted(file for file in Path(self.target).expanduser().iterdir() if file.is_file())
        text = self.target
        if self.kind in ("timm", "openclip"):
            text = text.partition("@" if self.kind == "timm" else "/")[2]
        elif self.kind == "detector" and not text.endswith(".onnx"):
            module = text.rpartition(":")[0]
            text = module if module.endswith(".py") else f"{module.replace('.', '/')}.py"
        path = Path(text).expanduser() if is_there(text) else None
        if path is None or not path.is_file():
            return []
        return onnx_files(path) if path.suffix == ".onnx" else [path]


def onnx_files(path: Path) -> list[Path]:
    """An ONNX file, and the files beside it that exporters put large weights into."""
    beside = (f"{path.name}.data", f"{path.name}_data")
    return [path, *sorted(file for file in path.parent.iterdir() if file.name.startswith(beside))]


def resolve(name: str) -> Reference:
    """What a name stands for, found without loading anything.

    Raises:
        EncoderError: the name is unknown; the nearest known one is named.
    """
    alias, rest = unaliased(name)
    if alias:
        found = resolve(rest)
        # The alias is the encoder's; which of its layers stays in sight.
        return replace(found, name=alias if found.layer is None else f"{alias}#layer{found.layer}")
    parts = split(name)
    if len(parts) > 1 or parts[0].spec:
        return _compound(parts, name)
    if renewed := RANDOM.match(name):
        return _random(resolve(name[renewed.end() :]), int(renewed[1] or 0))
    if name.endswith(TOKENS):
        return _tokens(resolve(name.removesuffix(TOKENS)))
    if layer := LAYER.search(name):
        return _layer(resolve(name[: layer.start()]), int(layer[1]))
    prefix, colon, rest = name.partition(":")
    readers = {"openclip": _openclip, "timm": _timm, "detector": _detector, "table": _table}
    return readers[prefix](rest, name) if colon and prefix in readers else _bare(name)


def display_name(name: str) -> str:
    """How the encoder of that name is called in tables, figures and stores."""
    return resolve(name).name


def distinct(names: Sequence[str]) -> None:
    """See that encoders can be told apart.

    Raises:
        EncoderError: two of them have the same display name.
    """
    repeated = sorted({name for name in names if list(names).count(name) > 1})
    if repeated:
        raise EncoderError(
            f"encoders must have different names; got {', '.join(map(repr, repeated))} more than once. Rename "
            "one with name=SOURCE."
        )


def twin(name: str, seed: int = 0) -> str | None:
    """The name of the same encoder with random weights, or None where it has no weights or has such already.

    Args:
        name: an encoder's.
        seed: of the new weights; another seed gives another twin.
    """
    alias, rest = unaliased(name)
    prefix = f"random:{seed}:" if seed else "random:"
    parts = []
    for part, (one, _) in zip(split(rest), _parts(resolve(rest)), strict=True):
        renewed = one.kind in WEIGHTED and one.random is None
        parts.append(
            (renewed, f"{prefix if renewed else ''}{part.name}" + (f"@{part.spec}" if part.spec else ""))
        )
    if not any(renewed for renewed, _ in parts):
        return None
    whole = "+".join(text for _, text in parts)
    return f"random-{alias}={whole}" if alias else whole


def _parts(reference: Reference) -> tuple[tuple[Reference, Filter | None], ...]:
    return reference.parts or ((reference, None),)


def _bare(name: str) -> Reference:
    """A name without a prefix."""
    if name in WEIGHTLESS:
        return Reference(name, "weightless", name)
    if name in CLASSICAL:
        return Reference(name, "classical", name)
    if name in MICRO:
        return Reference(name, "shipped", name)
    if name in ENTRIES:
        return Reference(name, "hub", ENTRIES[name].source)
    path = Path(name).expanduser() if is_there(name) else None
    if path is not None and path.is_dir():
        return Reference(path.resolve().name, "folder", str(path))
    if path is not None and path.is_file():
        raise EncoderError(f"encoder {name!r} is a file. Give the folder that holds it and its config.json.")
    if wrong := not_a_filter(name):
        raise EncoderError(f"encoder {name!r}: {wrong}")
    prefix, colon, _ = name.partition(":")
    if re.fullmatch(r"\w{2,}", prefix) and colon:
        near = did_you_mean(prefix, _PREFIXES)
        raise EncoderError(f"encoder {name!r}: there is no kind {prefix + ':'!r}.{near} It must be {_FORMS}.")
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return Reference(name, "hub", name)
    if "/" in name or "\\" in name or name.startswith((".", "~")):
        raise EncoderError(f"encoder {name!r} is a folder that is not there. Check the path.")
    raise EncoderError(f"encoder {name!r} is unknown.{did_you_mean(name, ENTRIES)} It must be {_FORMS}.")


def _compound(parts: list[Part], name: str) -> Reference:
    """Several encoders, or one behind a filter of its own; one alone where that filter is `none`."""
    # What is wrong with a filter is said before what is wrong with an encoder.
    filters: list[Filter | None] = []
    for part in parts:
        named = own_filters(part.spec, name) if part.spec else [None]
        if len(named) > 1:
            raise EncoderError(
                f"encoder {name!r} names {len(named)} encoders where one is expected. Take one of them, or give "
                "it where a list of encoders is accepted."
            )
        filters.append(None if str(named[0]) == "none" else named[0])
    found = [(resolve(part.name), own) for part, own in zip(parts, filters, strict=True)]
    if len(found) == 1 and filters[0] is None:
        return found[0][0]
    for one, _ in found:
        if one.kind == "table" or one.tokens:
            what = "a table holds vectors and sees no image" if one.kind == "table" else "tokens stay alone"
            raise EncoderError(
                f"encoder {name!r}: {one.name} cannot be a part of it: {what}. Name it by itself."
            )
    shown = "+".join(one.name if own is None else f"{one.name}@{own}" for one, own in found)
    return Reference(shown, "compound", name, parts=tuple(found))


def _random(inner: Reference, seed: int) -> Reference:
    if inner.kind not in WEIGHTED or inner.random is not None:
        has = "has random weights already" if inner.random is not None else "has no weights to draw anew"
        raise EncoderError(f"encoder {'random:' + inner.name!r}: {inner.name} {has}. Leave random: out.")
    return replace(inner, name=f"random:{f'{seed}:' if seed else ''}{inner.name}", random=seed)


def _layer(inner: Reference, layer: int) -> Reference:
    name = f"{inner.name}#layer{layer}"
    if inner.kind not in WEIGHTED or inner.tokens or inner.layer is not None:
        raise EncoderError(f"encoder {name!r}: {no_layers(inner.name)}")
    if layer < 1:
        raise EncoderError(f"encoder {name!r}: layers are counted from 1, the first block's output.")
    return replace(inner, name=name, layer=layer)


def no_layers(name: str) -> str:
    """What is said of an encoder that has no blocks to take a vector after."""
    return f"{name} gives no layers here. Choose a model made of blocks, such as dinov2-small#layer3."


def _tokens(inner: Reference) -> Reference:
    if inner.kind not in ("shipped", "folder", "hub") or inner.layer is not None:
        raise EncoderError(
            f"encoder {inner.name + TOKENS!r}: {inner.name} gives no tokens here. Choose a vision transformer in "
            "transformers' format, such as dinov2-base#tokens, or leave #tokens out."
        )
    return replace(inner, name=f"{inner.name}{TOKENS}", tokens=True)


def _openclip(rest: str, name: str) -> Reference:
    """`MODEL/TAG`; of a file in the tag's place only its base name is shown."""
    model, _, tag = rest.partition("/")
    if not model or not tag:
        raise EncoderError(
            f"encoder {name!r} must have the form openclip:MODEL/TAG, e.g. openclip:ViT-B-32/openai."
        )
    return Reference(f"openclip:{model}/{Path(tag).name}", "openclip", rest)


def _timm(rest: str, name: str) -> Reference:
    """`NAME` or `NAME@FILE`; of a file only its base name is shown."""
    model, _, file = rest.partition("@")
    if not model:
        raise EncoderError(f"encoder {name!r} must have the form timm:NAME or timm:NAME@FILE.")
    return Reference(f"timm:{model}@{Path(file).name}" if file else name, "timm", rest)


def _table(rest: str, name: str) -> Reference:
    return Reference(f"table:{_file(rest, name, 'the Parquet file').stem}", "table", rest)


def _detector(rest: str, name: str) -> Reference:
    """`FILE.onnx`, `MODULE:FUNCTION` or `FILE.py:FUNCTION`; of a file only its base name is shown."""
    if rest.endswith(".onnx"):
        return Reference(f"detector:{_file(rest, name, 'the ONNX file').stem}", "detector", rest)
    source, _, function = rest.rpartition(":")
    if function.isidentifier() and source.endswith(".py"):
        file = _file(source, name, "the Python file")
        return Reference(f"detector:{file.stem}:{function}", "detector", rest)
    if not (function.isidentifier() and _MODULE.fullmatch(source)):
        raise EncoderError(
            f"encoder {name!r} must have the form detector:FILE.onnx, detector:MODULE:FUNCTION or "
            "detector:FILE.py:FUNCTION."
        )
    return Reference(f"detector:{source}:{function}", "detector", rest)


def _file(text: str, name: str, what: str) -> Path:
    path = Path(text).expanduser() if is_there(text) else None
    if path is None or not path.is_file():
        raise EncoderError(f"encoder {name!r}: {what} {text!r} is not there. Check the path.")
    return path
