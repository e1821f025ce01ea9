"""From recordings to translations: cutting, loading whatever can translate, searching, writing."""
