"""The embedding store and the fingerprints that key it."""

from bandprobe.store.embeddings import EmbeddingStore
from bandprobe.store.fingerprint import DEFINITION, Fingerprint, comparable, difference, fingerprint
from bandprobe.store.parts import Rows, is_sealed

__all__ = [
    "DEFINITION",
    "EmbeddingStore",
    "Fingerprint",
    "Rows",
    "comparable",
    "difference",
    "fingerprint",
    "is_sealed",
]
