"""What the three kinds of packages say, from their files alone."""

import gzip

import pytest

from fairseq_gist.corpora.people import asterisk, fillets, tuxpaint
from fairseq_gist.corpora.people.lua import calls
from fairseq_gist.corpora.people.phrases import plain_words
from fairseq_gist.errors import DataError


# --------------------------------------------------------------------------------------- Fillets
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ('f("a", "b")', [("f", ["a", "b"])]),
        ("f('a',\n  'it\"s')", [("f", ["a", 'it"s'])]),
        (r'f("say \"no\" \\ \65\n.")', [("f", ['say "no" \\ A\n.'])]),
        ('-- f("a")\nf("b") --[[ f("c")\nf("d") ]] f("e")', [("f", ["b"]), ("f", ["e"])]),
        ('f("a -- b") f("(c, d)")', [("f", ["a -- b"]), ("f", ["(c, d)"])]),
        ('for i = 0, 9 do f("key"..i, "") end', []),  # not constant
        ('f("a", 1) f() f("open', []),
        ('os.execute("rm") g("x")', [("execute", ["rm"]), ("g", ["x"])]),  # found, not run
    ],
)
def test_calls_of_lua(script, expected):
    assert list(calls(script)) == expected


def test_a_dialogue_has_a_translation_after_every_line():
    script = """
    dialogId("a", "font_small", "One.")
    dialogStr("Eins.")
    dialogId("b", "font_big", "Two.")
    dialogId("c", "font_big", "Three.")
    dialogStr("Drei.")
    dialogStr("Nobody's.")
    dialogStr("d", "font_big", "As somebody once wrote it.")
    """
    translated = [("a", "font_small", "Eins."), ("c", "font_big", "Drei.")]
    assert list(fillets.dialogue(script, "de")) == translated
    english = [text for _, _, text in fillets.dialogue(script, "en")]
    assert english == ["One.", "Two.", "Three."]


def test_levels_roles_and_recordings_of_a_game():
    root = "usr/share/games/fillets-ng"
    files = {
        f"{root}/script/city/dialogs_en.lua": b'dialogId("x", "font_statue", "Hi.")'
        b'dialogId("pause", "", "")',
        f"{root}/script/city/dialogs_cs.lua": b'\xef\xbb\xbfdialogId("x", "font_statue", "Hi.")'
        + 'dialogStr("Čau.")'.encode(),
        f"{root}/script/city/dialogs_de_CH.lua": b'dialogId("x", "", "")dialogStr("Hoi.")',
        f"{root}/sound/city/cs/x.ogg": b"1",
        f"{root}/sound/share/jokes/nl/y.ogg": b"2",
        f"{root}/sound/city/en/x.ogg": b"no speech",
        f"{root}/images/city/x.png": b"",
    }
    assert [fillets.is_wanted(path) for path in files] == [True, True, False, True, True] + [
        False
    ] * 2
    (phrase,) = fillets.phrases(files, "a.deb")
    assert phrase.texts == {"en": "Hi.", "cs": "Čau."}
    assert (phrase.name, phrase.group, phrase.role) == ("city/x", "city", "statue")
    spoken = [(one.name, one.language, one.data) for one in fillets.recordings(files)]
    assert spoken == [("city/x", "cs", b"1"), ("share/jokes/y", "nl", b"2")]
    files[f"{root}/script/city/dialogs_cs.lua"] = b'dialogStr("\xe8")'
    with pytest.raises(DataError, match=r"a\.deb, usr/.*dialogs_cs\.lua: not UTF-8"):
        fillets.phrases(files, "a.deb")


# -------------------------------------------------------------------------------------- Tux Paint
def test_stamps_have_english_first_and_languages_by_their_codes():
    root = "usr/share/tuxpaint/stamps"
    lines = ["A duck.", "ca@valencia.utf8=no", "ca.utf8=Un ànec. \r", "es.utf8="]
    text = "\n".join([*lines, "fr.utf8=Un canard = ?", "zu.utf8=x"])
    files = {
        f"{root}/a/duck.txt": text.encode(),
        f"{root}/a/duck_desc_ca.ogg": b"1",
        f"{root}/a/duck_desc_zu.ogg": b"2",
        f"{root}/a/duck_desc_da.ogg.ogg": b"3",
        f"{root}/a/duck_ca.ogg": b"quack",
        f"{root}/b/nothing.txt": b"",
    }
    duck, nothing = tuxpaint.phrases(files, "a.deb")
    assert duck.texts == {"en": "A duck.", "ca": "Un ànec.", "fr": "Un canard = ?"}
    assert (duck.name, duck.group, nothing.texts) == ("a/duck", "a duck", {})
    (recording,) = tuxpaint.recordings(files)
    assert (recording.name, recording.language, recording.data) == ("a/duck", "ca", b"1")
    assert [tuxpaint.is_wanted(path) for path in files] == [True, True, False, False, False, True]


# --------------------------------------------------------------------------------------- Asterisk
LIST = "usr/share/doc/asterisk-core-sounds-fr/core-sounds-fr.txt"
PROMPTS = """\ufeff; Core sounds

digits/1: un
letters/at : no name
vm-a: Faites : le 1.
is:
"""


@pytest.mark.parametrize("is_packed", [True, False])
def test_prompts_of_a_list(is_packed):
    data = PROMPTS.encode()
    files = {f"{LIST}.gz": gzip.compress(data)} if is_packed else {LIST: data}
    prompts = asterisk.prompts(files, "a.deb")
    assert prompts == {"digits/1": "un", "vm-a": "Faites : le 1.", "is": ""}
    one, _, three = asterisk.phrases({"fr": prompts, "en": {"digits/1": "One"}})
    assert (one.texts, one.group) == ({"fr": "un", "en": "One"}, "one")
    assert (three.name, three.texts) == ("vm-a", {"fr": "Faites : le 1."})


def test_prompts_that_cannot_be_read():
    with pytest.raises(DataError, match=r"a\.deb: expected a list of prompts in it"):
        asterisk.prompts({"usr/share/x": b""}, "a.deb")
    cut = gzip.compress(PROMPTS.encode())[:-12]
    with pytest.raises(DataError, match=r"a\.deb, usr.*\.gz: a damaged gzip file"):
        asterisk.prompts({f"{LIST}.gz": cut}, "a.deb")
    with pytest.raises(DataError, match="not UTF-8"):
        asterisk.prompts({LIST: b"a: \xff"}, "a.deb")


def test_recordings_of_prompts_name_their_speaker():
    root = "usr/share/asterisk/sounds"
    files = {f"{root}/fr_CA_f_June/digits/1.g722": b"1", f"{root}/fr_CA_f_June/1.wav": b"2"}
    (one,) = asterisk.recordings(files, "fr")
    assert (one.name, one.speaker, one.language) == ("digits/1", "asterisk-fr_CA_f_June", "fr")


# ------------------------------------------------------------------------------------- sentences
@pytest.mark.parametrize(
    ("first", "second", "is_same"),
    [
        ("Hello, World!", "hello world", True),
        ("  L'été… ", "L\u2019ÉTÉ", True),
        ("Straße", "STRASSE", True),
        ("one_two", "one two", True),
        ("ﬁn 2", "FIN 2", True),
        ("one two", "onetwo", False),
        ("été", "ete", False),
        ("?!", "…", True),
    ],
)
def test_sentences_that_are_the_same(first, second, is_same):
    assert (plain_words(first) == plain_words(second)) is is_same
