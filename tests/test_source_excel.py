"""Workbooks: what is seen is read, what is hidden told; bombs, links and passwords refused in words."""

import datetime
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest
from readers_helpers import DEMO, mapped

from alliance.errors import DataError
from alliance.readers import ReadOptions, load, read_mapping
from alliance.readers.opening import read_export
from alliance.readers.sources import excel_parts
from alliance.scale import load_scale

SAMPLES = Path(__file__).parent / "samples"
HEADER = ["case", "session", "date", "q1", "q2", "q3"]
MONDAY = datetime.date(2026, 1, 5)
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def saved(folder, book, name="study.xlsx"):
    path = folder / name
    book.save(path)
    return path


def book_of(rows, *, title="Forms"):
    book = openpyxl.Workbook()
    book.active.title = title
    for row in rows:
        book.active.append(row)
    return book


def by_hand(folder, cells, *, more=None, workbook="", name="study.xlsx", **options):
    """Write a workbook of one sheet from the XML of its rows, with more parts."""
    parts = {
        "_rels/.rels": relations(officeDocument="xl/workbook.xml"),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{workbook}<sheets>'
            '<sheet name="Forms" sheetId="1" r:id="worksheet"/></sheets></workbook>'
        ),
        "xl/_rels/workbook.xml.rels": relations(worksheet="worksheets/sheet1.xml"),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{MAIN}"><sheetData>{cells}</sheetData></worksheet>',
        **(more or {}),
    }
    return zipped(folder, parts, name=name, **options)


def relations(**targets):
    rows = (
        f'<Relationship Id="{kind}" Type="{OFFICE}/{kind}" Target="{target}"/>'
        for kind, target in targets.items()
    )
    return f'<Relationships xmlns="{PACKAGE}">{"".join(rows)}</Relationships>'


def zipped(folder, parts, *, name="study.xlsx", compression=zipfile.ZIP_DEFLATED):
    path = folder / name
    with zipfile.ZipFile(path, "w", compression) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return path


def text(reference, content):
    return f'<c r="{reference}" t="inlineStr"><is><t>{content}</t></is></c>'


def rows_of(path, **options):
    return read_export(path, ReadOptions(**options)).records.rows


def notes_of(path, **options):
    return read_export(path, ReadOptions(**options)).records.notes


def refusal(path, **options):
    with pytest.raises(DataError) as caught:
        read_export(path, ReadOptions(**options))
    return str(caught.value)


def test_the_sample_of_a_clinic_tells_what_was_left_and_never_calculated():
    options = ReadOptions(mapping=read_mapping(SAMPLES / "maps" / "excel_clinic.toml"))
    loaded = load(SAMPLES / "excel_clinic.xlsx", load_scale("wai-sr"), options=options)
    assert loaded.notes[0] == (
        "20 formulas were never calculated (open the workbook in the spreadsheet program and save it): "
        "column E: 1; column Q: 19"
    )
    assert len(loaded.responses["wai-sr"]) == 19


def test_hidden_sheets_are_told_and_only_read_when_named(tmp_path):
    book = book_of([HEADER])
    for name, state in (("Old", "hidden"), ("Lists", "veryHidden"), ("Notes", "visible")):
        book.create_sheet(name).append([name])
        book[name].sheet_state = state
    path = saved(tmp_path, book)
    assert notes_of(path) == ("sheet 'Forms' was read, not 'Old' (hidden), 'Lists' (very hidden), 'Notes'",)
    assert rows_of(path, sheet="Old") == [["Old"]]
    assert notes_of(path, sheet="Old") == ("sheet 'Old' is hidden in the workbook",)
    assert notes_of(path, sheet="Notes") == ()
    assert refusal(path, sheet="Olt") == (
        "error: the workbook has no sheet 'Olt'\nhint: its sheets are Forms, Old, Lists, Notes"
    )


def test_a_hidden_first_sheet_is_passed_over(tmp_path):
    book = book_of([["secret"]], title="Hidden")
    book.create_sheet("Forms").append(["case"])
    book["Hidden"].sheet_state = "hidden"
    book.active = 1
    assert rows_of(saved(tmp_path, book)) == [["case"]]


def test_numbers_dates_truths_and_texts_are_written_as_a_person_would(tmp_path):
    moment = datetime.datetime.fromisoformat("2026-01-05 13:04:05")
    book = book_of([[1, 2.5, "007", MONDAY, moment, True, None, 1e15]])
    assert rows_of(saved(tmp_path, book)) == [
        ["1", "2.5", "007", "2026-01-05", "2026-01-05 13:04:05", "true", "", "1000000000000000.0"]
    ]


@pytest.mark.parametrize(
    ("column", "read", "n_told"),
    [
        pytest.param(["day", MONDAY, 46028, MONDAY], "2026-01-06", 1, id="among more dates"),
        pytest.param(["day", MONDAY, 46028], "46028", 0, id="as many dates as numbers"),
        pytest.param(["date", 46028, 46035], "2026-01-06", 2, id="under the name of a date"),
        pytest.param(["Session date", 46028], "2026-01-06", 1, id="under a well-known name"),
        pytest.param(["Tag", 46028], "2026-01-06", 1, id="under the name in the mapping"),
        pytest.param(["date", 46028.75], "2026-01-06 18:00:00", 1, id="with the time of the day"),
        pytest.param(["date", "46028"], "46028", 0, id="a text is left alone"),
        pytest.param(["date", 19999], "19999", 0, id="just below what may be a day"),
        pytest.param(["date", 20000], "1954-10-03", 1, id="the first that may be a day"),
        pytest.param(["date", 79999], "2119-01-10", 1, id="the last that may be a day"),
        pytest.param(["date", 80000], "80000", 0, id="just beyond what may be a day"),
        pytest.param(["date", 5], "5", 0, id="a small number is no day"),
        pytest.param(["code", 46028, 46029], "46028", 0, id="codes are no days"),
        pytest.param([46028, "date"], "46028", 0, id="above the name"),
    ],
)
def test_numbers_of_days_are_dates_only_in_columns_of_dates(tmp_path, column, read, n_told):
    path = saved(tmp_path, book_of([[cell] for cell in column]))
    export = read_export(path, ReadOptions(mapping=mapped("[columns]\ndate = 'tag'")))
    place = next(at for at, cell in enumerate(column) if isinstance(cell, int | float) or cell == "46028")
    assert export.records.rows[place] == [read]
    assert len(export.records.notes) == (n_told > 0)


def test_numbers_read_as_days_are_told_with_their_lines(tmp_path):
    path = saved(tmp_path, book_of([HEADER, ["A", 1, 46027, 1, 2, 3], ["A", 2, 46034, 1, 2, 3]]))
    loaded = load(path, DEMO)
    assert loaded.responses["demo"]["date"].dt.strftime("%Y-%m-%d").tolist() == ["2026-01-05", "2026-01-12"]
    assert loaded.notes == ("2 numbers in column C read as days (46027 as 2026-01-05): line 2; line 3",)


@pytest.mark.parametrize("flag", ["1", "true"])
def test_days_are_counted_from_1904_where_the_workbook_says_so(tmp_path, flag):
    cells = f'<row r="1">{text("A1", "date")}</row><row r="2"><c r="A2"><v>44566</v></c></row>'
    path = by_hand(tmp_path, cells, workbook=f'<workbookPr date1904="{flag}"/>')
    assert rows_of(path) == [["date"], ["2026-01-06"]]


def test_formulas_without_a_value_are_named_and_never_an_answer(tmp_path):
    path = saved(tmp_path, book_of([HEADER, ["A", 1, MONDAY, "=1+1", 2, 3], ["A", 2, MONDAY, 1, 2, "=3"]]))
    assert notes_of(path) == (
        "2 formulas were never calculated (open the workbook in the spreadsheet program and save it): "
        "column D: 1; column F: 1",
    )
    with pytest.raises(DataError) as caught:
        load(path, DEMO)
    assert str(caught.value) == (
        "error: 2 answers are no number and no known word\n"
        "  line 2: case A, session 1, q1 = formula never calculated\n"
        "  line 3: case A, session 2, q3 = formula never calculated\n"
        "hint: give each word its number under [answers] in a mapping, or declare it with --missing"
    )


@pytest.mark.parametrize(
    ("cell", "read", "n_notes"),
    [
        pytest.param('<c r="A1"><f>1+1</f><v>2</v></c>', "2", 0, id="calculated"),
        pytest.param('<c r="A1"><f>1+1</f><v/></c>', "formula never calculated", 1, id="empty value"),
        pytest.param('<c r="A1"><f>1+1</f></c>', "formula never calculated", 1, id="no value"),
        pytest.param('<c><f t="shared" si="0"/></c>', "formula never calculated", 1, id="no reference"),
        pytest.param('<c r="A1" t="str"><f>B1&amp;""</f><v></v></c>', "", 0, id="an empty text is a value"),
        pytest.param('<c r="A1" t="str"><f>"a"</f><v>a</v></c>', "a", 0, id="a text"),
        pytest.param('<c r="A1" t="e"><f>1/0</f><v>#DIV/0!</v></c>', "#DIV/0!", 1, id="an error"),
        pytest.param('<c r="A1" t="e"><v>#REF!</v></c>', "#REF!", 1, id="an error without a formula"),
    ],
)
def test_a_formula_is_its_value_or_said_to_have_none(tmp_path, cell, read, n_notes):
    path = by_hand(tmp_path, f'<row r="1">{cell}{text("B1", "x")}</row>')
    assert rows_of(path) == [[read, "x"]]
    assert len(notes_of(path)) == n_notes


def test_a_formula_beyond_the_table_widens_it(tmp_path):
    cells = f'<row r="1">{text("A1", "x")}</row><row r="3"><c r="C3"><f>A1</f></c></row>'
    assert rows_of(by_hand(tmp_path, cells)) == [["x"], [], ["", "", "formula never calculated"]]


def test_errors_of_the_spreadsheet_are_told_with_their_cells_and_refused_as_answers(tmp_path):
    header = "".join(
        text(f"{letter}1", name) for letter, name in zip("ABCDE", HEADER[:2] + HEADER[3:], strict=True)
    )
    row = f'{text("A2", "A")}<c r="B2"><v>1</v></c><c r="C2" t="e"><v>#REF!</v></c><c r="D2"><v>2</v></c>'
    path = by_hand(
        tmp_path, f'<row r="1">{header}</row><row r="2">{row}<c r="E2" t="e"><v>#N/A</v></c></row>'
    )
    assert notes_of(path) == ("2 cells hold an error of the spreadsheet: C2: #REF!; E2: #N/A",)
    with pytest.raises(DataError) as caught:
        load(path, DEMO)
    assert "\n  line 2: case A, session 1, q1 = #REF!\n" in str(caught.value)
    assert "q3" not in str(caught.value)


def test_a_case_that_is_a_failed_formula_is_no_case(tmp_path):
    path = saved(tmp_path, book_of([HEADER, ["=A9", 1, MONDAY, 1, 2, 3], ["A", 2, MONDAY, 1, 2, 3]]))
    with pytest.raises(DataError) as caught:
        load(path, DEMO)
    assert str(caught.value) == (
        "error: 1 code is a formula that gave no value\n"
        "  line 2: case formula never calculated, session 1, case = formula never calculated\n"
        "hint: correct the formula in the workbook and save it, or paste the codes as values"
    )


def test_sheets_far_apart_are_refused_before_all_between_is_filled(tmp_path):
    path = by_hand(
        tmp_path, f'<row r="1">{text("A1", "x")}</row><row r="1048576">{text("XFD1048576", "y")}</row>'
    )
    assert refusal(path) == (
        "error: sheet 'Forms' goes down to row 1048576 and across 16384 columns\n"
        "hint: delete what stands far away from the table, and save the workbook anew"
    )


def test_formatted_cells_far_away_do_no_harm(tmp_path):
    cells = f'<row r="1">{text("A1", "x")}</row><row r="1048576"><c r="XFD1048576" s="1"/></row>'
    assert rows_of(by_hand(tmp_path, cells)) == [["x"]]


BOMB = b"0" * (11 << 20)


def test_a_part_that_grows_too_much_is_refused(tmp_path):
    path = by_hand(tmp_path, "", more={"xl/worksheets/sheet9.xml": BOMB})
    told = refusal(path)
    assert told.startswith("error: a part of the workbook is ")
    assert told.endswith(
        " times as large unpacked, more than 200\n"
        "hint: save the table as .csv, or delete what is not needed and save it anew"
    )


def test_a_small_part_may_be_dense_and_a_stored_one_large(tmp_path):
    more = {"xl/media/blank.bmp": BOMB[: 9 << 20]}
    assert rows_of(by_hand(tmp_path, f'<row r="1">{text("A1", "x")}</row>', more=more)) == [["x"]]
    more = {"xl/media/blank.bmp": BOMB}
    path = by_hand(tmp_path, f'<row r="1">{text("A1", "x")}</row>', more=more, compression=zipfile.ZIP_STORED)
    assert rows_of(path) == [["x"]]


def parts_refused(entries):
    with pytest.raises(DataError) as caught:
        excel_parts._refuse_bombs(entries)
    return caught.value.troubles[0].what


def entry(name, *, size=1, packed=1):
    found = zipfile.ZipInfo(name)
    found.file_size, found.compress_size = size, packed
    return found


def test_size_and_number_of_parts_are_limited():
    most = 512 << 20
    excel_parts._refuse_bombs([entry("a", size=most - 1, packed=most), entry("b")])
    told = parts_refused([entry("a", size=most, packed=most), entry("b")])
    assert told == "the workbook is 512 MB unpacked, more than 512 MB"
    excel_parts._refuse_bombs([entry(str(number)) for number in range(10_000)])
    told = parts_refused([entry(str(number)) for number in range(10_001)])
    assert told == "the workbook has 10001 parts, more than 10000"


def test_an_archive_with_a_part_without_a_name_is_no_workbook():
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        archive.writestr("?", "")
    raw = target.getvalue()
    central = raw.rindex(b"PK\x01\x02")
    nameless = bytearray(raw)
    nameless[central + 28 : central + 30] = b"\0\0"  # length of the name, in the list of parts
    nameless[central + 30 : central + 32] = b"\1\0"  # the sign of the name is then an extra field
    with pytest.raises(DataError) as caught:
        excel_parts.parts_of(bytes(nameless))
    assert str(caught.value) == (
        "error: the file looks like a workbook, and cannot be opened as one\n"
        "hint: open it in the spreadsheet program, and save it as .xlsx or .csv"
    )


@pytest.mark.parametrize("name", ["../evil.xml", "xl/../../evil.xml", "/etc/passwd", "xl\\..\\evil.xml"])
def test_a_part_that_is_named_as_a_file_outside_is_refused(tmp_path, name):
    assert refusal(by_hand(tmp_path, "", more={name: "x"})).startswith(
        "error: a part of the workbook is named as a file outside of it\n"
    )


def test_a_part_that_is_there_twice_is_refused(tmp_path):
    path = by_hand(tmp_path, "")
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("xl/workbook.xml", "<workbook/>")
    assert refusal(path).startswith("error: a part of the workbook is there twice\n")


def test_a_part_that_lies_about_its_size_is_refused(tmp_path):
    path = by_hand(tmp_path, f'<row r="1">{text("A1", "x" * 5000)}</row>')
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("xl/worksheets/sheet1.xml").file_size
    raw = path.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    path.write_bytes(raw)
    assert refusal(path) == (
        "error: the file looks like a workbook, and cannot be opened as one\n"
        "hint: open it in the spreadsheet program, and save it as .xlsx or .csv"
    )


LINKED = "error: the workbook takes values from elsewhere, and they may not be those of today\n"
PASTE = "hint: copy the table, paste it as values into a new workbook, and save that"


@pytest.mark.parametrize(
    ("more", "workbook", "places"),
    [
        pytest.param(
            {
                "xl/externalLinks/externalLink1.xml": "<externalLink/>",
                "xl/externalLinks/_rels/externalLink1.xml.rels": relations(
                    externalLinkPath="file:///C:\\Users\\me\\old scores.xlsx"
                ),
            },
            "<externalReferences><externalReference/></externalReferences>",
            "  link to 'old scores.xlsx'\n",
            id="another workbook",
        ),
        pytest.param(
            {"xl/externalLinks/externalLink1.xml": "<externalLink><ddeLink/></externalLink>"},
            "",
            "  link to another program or file\n",
            id="another program",
        ),
        pytest.param(
            {},
            "<externalReferences><externalReference/></externalReferences>",
            "  link to another workbook\n",
            id="only named",
        ),
        pytest.param(
            {"xl/connections.xml": f'<connections xmlns="{MAIN}"><connection name="ward"/></connections>'},
            "",
            "  data connection 'ward'\n",
            id="a database",
        ),
        pytest.param({"xl/connections.bin": b"\x00"}, "", "  data connection\n", id="a database, binary"),
    ],
)
def test_values_from_elsewhere_are_refused_by_name(tmp_path, more, workbook, places):
    assert refusal(by_hand(tmp_path, "", more=more, workbook=workbook)) == LINKED + places + PASTE


@pytest.mark.parametrize(
    ("element", "place"),
    [
        ('<table:table-source xlink:href="../old.ods"/>', "link to 'old.ods'"),
        ('<table:cell-range-source table:name="a" xlink:href="old.ods"/>', "link to 'old.ods'"),
        ('<office:dde-source office:dde-application="soffice"/>', "link to another program or file"),
    ],
)
def test_values_from_elsewhere_in_an_open_document_are_refused(tmp_path, element, place):
    content = f"<office:document-content>{element}</office:document-content>"
    path = zipped(tmp_path, {"mimetype": "x", "content.xml": content}, name="study.ods")
    assert refusal(path) == f"{LINKED}  {place}\n{PASTE}"


def test_a_hyperlink_is_no_link_to_values(tmp_path):
    book = book_of([["case"]])
    book.active["A1"].hyperlink = "https://example.org/book.xlsx"
    assert rows_of(saved(tmp_path, book)) == [["case"]]


PROTECTED = "error: the workbook is protected by a password\nhint: take off its password, or save it as .csv"


def test_workbooks_with_a_password_are_refused_in_words(tmp_path):
    whole = tmp_path / "whole.xlsx"
    whole.write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600) + "EncryptedPackage".encode("utf-16-le"))
    assert refusal(whole) == PROTECTED
    manifest = "<manifest:encryption-data/>"
    parts = {"content.xml": "x", "META-INF/manifest.xml": manifest}
    assert refusal(zipped(tmp_path, parts, name="study.ods")) == PROTECTED
    locked = zipped(tmp_path, {"xl/workbook.xml": "x"}, name="locked.xlsx")
    raw = bytearray(locked.read_bytes())
    place = raw.index(b"PK\x01\x02") + 8
    raw[place] |= 1
    locked.write_bytes(raw)
    assert refusal(locked) == PROTECTED


def test_an_archive_of_something_else_is_refused_in_words(tmp_path):
    assert refusal(zipped(tmp_path, {"study.csv": "case"}, name="study.zip")) == (
        "error: the file is an archive that holds no workbook\nhint: unpack it, and give the file in it"
    )


def test_damaged_workbooks_are_refused_in_words(tmp_path):
    whole = saved(tmp_path, book_of([HEADER])).read_bytes()
    for raw in (whole[:200], whole[:-30], b"\xd0\xcf\x11\xe0" + bytes(2000)):
        path = tmp_path / "cut.xlsx"
        path.write_bytes(raw)
        assert refusal(path).startswith(
            "error: the file looks like a workbook, and cannot be opened as one\n"
        )


@pytest.mark.parametrize(
    "sheet",
    [
        pytest.param("<worksheet><sheetData><row><c t='e'><v>", id="cut off"),
        pytest.param("<worksheet><sheetData><row r='1'><c r='A1' t='e'></v></c></row>", id="crossed"),
        pytest.param("no XML at all t='e'", id="text"),
        pytest.param(
            '<!DOCTYPE a [<!ENTITY b "c">]><worksheet><c t="e"><v>&b;</v></c></worksheet>', id="entity"
        ),
    ],
)
def test_a_damaged_sheet_is_never_a_crash(tmp_path, sheet):
    path = by_hand(tmp_path, "", more={"xl/worksheets/sheet1.xml": sheet})
    assert refusal(path).startswith("error: the file looks like a workbook, and cannot be opened as one\n")


def test_a_text_beyond_a_million_characters_is_refused_with_its_line(tmp_path):
    cells = f'<row r="1">{text("A1", "case")}</row><row r="2">{text("A2", "x" * ((1 << 20) + 1))}</row>'
    assert refusal(by_hand(tmp_path, cells, compression=zipfile.ZIP_STORED)) == (
        "error: a cell holds more than 1048576 characters\n  line 2\nhint: shorten the cell"
    )


def test_a_workbook_is_read_from_standard_input(tmp_path, monkeypatch):
    import sys

    raw = saved(tmp_path, book_of([HEADER, ["A", 1, MONDAY, 1, 2, 3]])).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    assert load("-", DEMO).responses["demo"]["q3"].tolist() == [3]
