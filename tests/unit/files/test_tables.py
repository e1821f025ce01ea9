"""Tables as CSV: numbers stay numbers, and no text is computed."""

import csv
import io

from fairseq_gist.files.tables import csv_of
from fairseq_gist.report.figure import Table

ATTACK = '=HYPERLINK("http://x.example","open")'


def cells(text):
    return list(csv.reader(io.StringIO(text)))


def test_no_text_is_a_formula():
    for text in (ATTACK, "+1+cmd|' /C calc'!A0", "-de", "@SUM(A1)", "\tx", "=1"):
        assert cells(csv_of([[text]])) == [[f"'{text}"]]


def test_numbers_and_other_texts_stay():
    row = ["de-es", "-0.5", "+2", "-1e-05", "-", "", "a=b", "-inf", -3, 0.25, None]
    assert cells(csv_of([row])) == [[*row[:8], "-3", "0.25", ""]]


def test_the_tables_of_a_report_are_written_so():
    table = Table((ATTACK, "cosine"), [(ATTACK, -0.25)])
    assert cells(table.to_csv()) == [[f"'{ATTACK}", "cosine"], [f"'{ATTACK}", "-0.25"]]
