"""The embedding store and the fingerprints that key it."""

from bandprobe.store.embeddings import EmbeddingStore, Rows
from bandprobe.store.fingerprint import DEFINITION, Fingerprint, difference, fingerprint

__all__ = ["DEFINITION", "EmbeddingStore", "Fingerprint", "Rows", "difference", "fingerprint"]
