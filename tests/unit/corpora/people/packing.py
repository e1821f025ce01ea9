"""Debian packages in the published layouts, made by the tests."""

import gzip
import io
import lzma
import tarfile

import numpy as np
import soundfile

COPYRIGHT = """\
Format: http://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: 2003-2010, Some Speaker
License: CC-BY-SA-3.0

Files: ru-*
Copyright: 2010, Another
License: CC-BY-3.0
"""
GPL = "This is free software under the GNU GPL, version 2 dated June, 1991.\n"


def tar(files, links=()):
    """A tar of `files`, path -> bytes."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for name, target in links:
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return data.getvalue()


def ar(members):
    """An ar archive of `members`, name -> bytes."""
    data = b"!<arch>\n"
    for name, content in members.items():
        data += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        data += content + b"\n" * (len(content) % 2)
    return data


def write_deb(
    folder, name, files, version="9.9", pack=lzma.compress, end=".xz", links=(), package=None
):
    """Write a package, with its copyright file where there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    control = f"Package: {package or name}\nVersion: {version}\nDescription: one\n two: three\n"
    licence = GPL if name.startswith("fillets") else COPYRIGHT
    files = {f"./usr/share/doc/{name}/copyright": licence.encode(), **files}
    members = {
        "debian-binary": b"2.0\n",
        f"control.tar{end}": pack(tar({"./control": control.encode()})),
        f"data.tar{end}": pack(tar(files, links)),
    }
    path = folder / f"{name}_{version}_all.deb"
    path.write_bytes(ar(members))
    return path


def tone(seconds, pitch, rate=22050):
    """Sound that no other pitch has."""
    times = np.arange(int(seconds * rate)) / rate
    return 0.4 * np.sin(2 * np.pi * pitch * times)


def ogg(seconds, pitch, channels=1):
    """A file of Ogg Vorbis."""
    data = io.BytesIO()
    samples = np.repeat(tone(seconds, pitch)[:, None], channels, axis=1)
    np.random.seed(0)
    soundfile.write(data, samples, 22050, format="OGG", subtype="VORBIS")
    return data.getvalue()


def g722(seconds, pitch):
    """A file of G.722 at 64 kbit/s."""
    import G722

    samples = np.rint(tone(seconds, pitch, 16000) * 32767).astype(np.int16)
    return bytes(G722.G722(16000, 64000).encode(samples))


WRITTEN = ("bg", "cs", "de", "es", "fr", "it", "nl", "pl", "ru", "sv")
LEVELS = ("alpha", "bravo", "cargo", "delta", "eagle", "fjord", "globe", "hotel", "islet", "jetty")
STAMPS = ("apple", "berry", "candy", "dough", "earth", "flute", "grape", "horse", "igloo", "jelly")


def line(language, level, number):
    """What a line of a level is in a language."""
    return f"{language.capitalize()} says {level} {number}."


def fillets(folder, version="9.9"):
    """The three packages of a game with ten levels of three lines."""
    scripts, sounds = {}, {"cs": {}, "nl": {}}
    root = "./usr/share/games/fillets-ng"
    for place, level in enumerate(LEVELS):
        english = [
            f'dialogId("{level}-{n}", "font_small", "{line("en", level, n)}")' for n in range(3)
        ]
        scripts[f"{root}/script/{level}/dialogs_en.lua"] = "\n".join(english).encode()
        for language in WRITTEN:
            said = [f'dialogStr("{line(language, level, n)}")' for n in range(3)]
            lines = [text for pair in zip(english, said) for text in pair]
            path = f"{root}/script/{level}/dialogs_{language}.lua"
            scripts[path] = "\n".join(lines).encode()
        for n in range(3):
            for language, pitch in (("cs", 200), ("nl", 700)):
                path = f"{root}/sound/{level}/{language}/{level}-{n}.ogg"
                sounds[language][path] = ogg(0.5, pitch + 10 * (3 * place + n))
    write_deb(folder, "fillets-ng-data", scripts, version)
    for language, files in sounds.items():
        write_deb(folder, f"fillets-ng-data-{language}", files, version)


def tuxpaint(folder, version="9.9"):
    """Ten stamps, each in several languages."""
    files, root = {}, "./usr/share/tuxpaint/stamps"
    languages = ("be", "bg", "ca", "da", "el", "es", "fr", "nl", "ro", "ru")
    for place, stamp in enumerate(STAMPS):
        texts = [f"A nice {stamp}.", *(f"{one}.utf8={one} nice {stamp}." for one in languages)]
        files[f"{root}/food/{stamp}.txt"] = "\n".join(texts).encode()
        for number, language in enumerate(languages):
            pitch = 1005 + 200 * number + 10 * place
            files[f"{root}/food/{stamp}_desc_{language}.ogg"] = ogg(0.5, pitch, channels=2)
    write_deb(folder, "tuxpaint-stamps-default", files, version)


def asterisk(folder, version="9.9"):
    """Prompts in English and four languages, and G.722 of the four."""
    names = [f"vm-{stamp}" for stamp in STAMPS]
    for number, language in enumerate(("en", "es", "fr", "it", "ru")):
        name = f"asterisk-core-sounds-{language}"
        prompts = [f"{one}: {language} press {one[3:]}." for one in names]
        text = "\n".join(["; Prompts", "", *prompts]).encode()
        path = f"./usr/share/doc/{name}/core-sounds-{language}.txt.gz"
        write_deb(folder, name, {path: gzip.compress(text)}, version)
        root = f"./usr/share/asterisk/sounds/{language}_XX_f_Somebody"
        sounds = {
            f"{root}/{one}.g722": g722(0.5, 403 + 300 * number + 10 * place)
            for place, one in enumerate(names)
        }
        if language != "en":
            write_deb(folder, f"{name}-g722", sounds, version)
