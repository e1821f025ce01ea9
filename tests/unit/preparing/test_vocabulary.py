"""What stops the reading of texts is raised as itself, not as sentencepiece's failure to learn."""

import pytest

pytest.importorskip("sentencepiece")

from fairseq_gist.errors import DataError
from fairseq_gist.preparing.vocabulary import train_model


@pytest.mark.parametrize("error", [KeyboardInterrupt(), DataError("train.tsv, line 2: not UTF-8")])
def test_what_stops_the_reading_of_texts_is_raised_as_itself(error):
    def texts():
        yield "the cat and the dog"
        raise error

    with pytest.raises(type(error)) as raised:
        train_model(texts(), 20, "bpe", "nmt_nfkc")
    assert raised.value is error
