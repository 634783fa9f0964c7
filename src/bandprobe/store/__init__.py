"""The embedding store and the fingerprints that key it."""

from bandprobe.store.embeddings import EmbeddingStore, Rows
from bandprobe.store.fingerprint import DEFINITION, Fingerprint, comparable, difference, fingerprint

__all__ = ["DEFINITION", "EmbeddingStore", "Fingerprint", "Rows", "comparable", "difference", "fingerprint"]
