"""Columns that say who a person is are found by name and contents, and refused in every lane."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from readers_helpers import DEMO, mapped, read_demo, refusal, write

from alliance.errors import DataError
from alliance.readers import ReadOptions, inspect, load, read_attendance
from alliance.readers.columns import Column, find_keys
from alliance.readers.fast import HEAD_BYTES, Odd, plain_blocks, plain_layout
from alliance.readers.identifiers import Use, identifiers, named_kinds, use_of
from alliance.readers.mapping import Mapping
from alliance.readers.opening import read_records
from alliance.readers.personal_words import ADDRESS, BIRTH, EMAIL, NAME, NUMBER, PHONE
from alliance.readers.plain import read_series
from alliance.readers.problems import Log
from alliance.readers.table import make_table

SAMPLES = Path(__file__).parent / "samples"
HINT = (
    "hint: delete what is not needed, or write the file anew with `alliance pseudonymise`; "
    "--allow-identifiers reads it as it is"
)
OK, DATA = 0, 3


def refused(line, column, what):
    told = f"  line {line}: column '{column}' looks like {what}"
    return f"error: 1 column that may say who a person is\n{told}\n{HINT}"


NAMED = {
    NAME: """
        name|Name|NAME|first_name|FirstName|First name|last_name|LastName|surname|Surname|forename|full name
        client_name|Patient Name|Name of client|therapist_name|RecipientFirstName|RecipientLastName
        What is your name?|given name|family_name|maiden name|name 1
        Vorname|Nachname|vorname|Vor- und Nachname|Name, Vorname|Familienname|Geburtsname|Name der Patientin
        prénom|Prénom|prenom|nom|Nom|nom de famille|Nom du client|Nom et prénom
        nombre|apellido|Apellidos|Nombre y apellidos|primer apellido|Nombre del paciente
        naam|voornaam|Achternaam|Naam van de cliënt|tussenvoegsel
    """,
    EMAIL: """
        email|Email|EMAIL|e-mail|E-Mail|e_mail|mail
        eMail|RecipientEmail|Email Address|client_email|E-Mail-Adresse
        Mailadresse|emailadres|courriel|Adresse e-mail|adresse électronique|correo electrónico|email2
    """,
    PHONE: """
        phone|Phone|tel|Tel.|telephone|mobile|Mobile phone|phone_number|home phone|emergency_contact_phone
        Telefon|Telefonnummer|Tel.-Nr.|Handy|Handynummer|Mobilnummer
        téléphone|Numéro de téléphone|Téléphone portable|teléfono|Número de teléfono|móvil
        telefoon|telefoonnummer|mobiel|phone_1
    """,
    BIRTH: """
        dob|DOB|birth_date|Birthdate|date of birth|DateOfBirth|dateofbirth|birthday|patient_dob
        Geburtsdatum|geburtsdatum|Geb.-Datum|Geburtstag|date de naissance|Date_Naissance
        fecha de nacimiento|fecha_nacimiento|geboortedatum|Geboortedatum
    """,
    ADDRESS: """
        address|Address|home address|street|Street address|postcode|Post code|zip|ZIP code|postal_code
        address1|address_line_2
        Adresse|Anschrift|Straße|strasse|Straße und Hausnummer|PLZ|Postleitzahl
        rue|code postal|dirección|calle|código postal|adres|straat|huisnummer
    """,
    NUMBER: """
        ssn|SSN|social security number|NHS number|nhs_no|MRN|medical record number|insurance number
        passport_no
        Versichertennummer|KVNR|Sozialversicherungsnummer|AHV-Nr.|Steuer-ID
        numéro de sécurité sociale|NIR|DNI|número de la seguridad social|BSN|burgerservicenummer
    """,
}
UNNAMED = """
    case|client|client_id|client_code|patient|patient_id|participant_id|record_id|person|subject|therapist
    therapist_id|therapist_code|clinician|Kürzel|Client code|Your code (from your therapist)|Access code
    instrument_name|redcap_event_name
    form_name|scale name|scale_name|Survey Package Name|item_name|field_name
    group name|study_name|username|user_name|filename|file name|session_name|arm_name|column names
    names of items
    redcap_survey_identifier|Survey Identifier|redcap_data_access_group|ExternalReference|ResponseId
    IPAddress|ip_address|web address|mac_address|birth_year|Geburtsjahr|year of birth|birth order|birth_weight
    birthplace_type|age|Alter|sex|contact|home|work|recipient|partner|mailing_list|mail_sent|telehealth|mobility
    phone_sessions|streetwise|addressed|zipped|ssn_known|nursery|token|id|seed|startdate|EndDate|Datum|Sitzung
    comment|Bemerkung|Anything to add?|title|nameable|rename|tele|nie|si|nom_code_items|q1|wa1|ALI[SQ001]|Q7_1
"""


def cells_of(text):
    return [cell.strip() for line in text.strip().splitlines() for cell in line.split("|")]


def cases(kind):
    return [pytest.param(name, kind, id=name) for name in cells_of(NAMED[kind])]


@pytest.mark.parametrize(("name", "kind"), [case for kind in NAMED for case in cases(kind)])
def test_a_column_is_told_by_its_name(name, kind):
    assert named_kinds([name]) == {0: kind}


@pytest.mark.parametrize("name", cells_of(UNNAMED))
def test_other_names_say_nothing(name):
    assert named_kinds([name]) == {}


def test_a_few_numbered_columns_are_details_and_many_are_items():
    assert named_kinds(["address1", "address2", "address3"]) == dict.fromkeys(range(3), ADDRESS)
    assert named_kinds(["mobile1", "mobile2", "mobile3", "mobile4"]) == {}


def found_in(name, cells, **use):
    found = identifiers([name], [cells], range(2, 2 + len(cells)), Use(**use))
    return [(each.what, each.line) for each in found]


@pytest.mark.parametrize(
    "cells",
    [
        pytest.param([], id="no rows"),
        pytest.param(["", ""], id="empty, as the system columns of Qualtrics are"),
        pytest.param(["NA", "", "n/a"], id="words for missing"),
        pytest.param(["*******", "xxx", "[redacted]", "-"], id="made unreadable"),
        pytest.param(["Anonymous", "anonymous"], id="the name that survey systems give to nobody"),
        pytest.param(["yes", "no", ""], id="yes or no"),
        pytest.param(["1", "0"], id="ticked or not"),
    ],
)
@pytest.mark.parametrize("name", ["RecipientEmail", "Name", "phone", "address", "ssn", "dob"])
def test_a_named_column_that_holds_nothing_is_harmless(name, cells):
    assert found_in(name, cells) == []


@pytest.mark.parametrize(
    ("name", "cells", "line"),
    [
        pytest.param("RecipientEmail", ["", "somebody"], 3, id="filled once"),
        pytest.param("Vorname", ["", "", "Greta"], 4, id="the first filled line is named"),
        pytest.param("mobile", ["-", "0171 2345678"], 3, id="a dash is nothing"),
        pytest.param("postcode", ["12345"], 2, id="a number"),
    ],
)
def test_a_named_column_that_holds_anything_is_told_with_its_first_line(name, cells, line):
    assert [each[1] for each in found_in(name, cells)] == [line]


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        pytest.param("name", ["C01", "C02"], id="codes instead of names"),
        pytest.param("nombre", ["12", "7"], id="a number in French"),
        pytest.param("mobile", ["3", "1", "2"], id="mobility from 1 to 3"),
    ],
)
def test_a_name_with_other_contents_is_harmless(name, cells):
    assert found_in(name, cells) == []


def test_a_code_and_a_name_together_are_told():
    assert found_in("name", ["C01", "Greta"]) == [(NAME, 2)]


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        pytest.param("anna@clinic.example", True, id="plain"),
        pytest.param("Anna.M+x@mail.clinic.example", True, id="with dots and plus"),
        pytest.param("please write to anna@clinic.example today", True, id="in a comment"),
        pytest.param("<anna@clinic.example>", True, id="in brackets"),
        pytest.param("müller@praxis.example", True, id="umlaut"),
        pytest.param("3 @ 4", False, id="an at sign alone"),
        pytest.param("@handle", False, id="a handle"),
        pytest.param("a@b", False, id="no domain"),
        pytest.param("anna(at)clinic.example", False, id="written around"),
    ],
)
@pytest.mark.parametrize(
    "use",
    [
        pytest.param({}, id="unused"),
        pytest.param({"people": frozenset({0})}, id="case"),
        pytest.param({"answers": frozenset({0})}, id="answer"),
    ],
)
def test_an_e_mail_address_is_told_in_any_cell_of_any_column(cell, told, use):
    assert found_in("comment", ["", "fine", cell], **use) == ([(EMAIL, 4)] if told else [])


@pytest.mark.parametrize(
    "cell",
    cells_of(
        "+49 30 1234567|+49301234567|030 123456"
        "|+49 (0)30 123-4567|0049 30 1234567|030 1234567|030/1234567|(030) 1234567"
        "|0171-2345678|020 7946 0958|01 23 45 67 89|01.23.45.67.89|0612345678|06-12345678|(212) 555-0142"
        "|212-555-0142|+1 212 555 0142|+34 612 345 678|Tel.: 030 1234567"
    ),
)
def test_a_telephone_number_is_told_by_how_it_is_written(cell):
    assert found_in("reach", [cell]) == [(PHONE, 2)]


@pytest.mark.parametrize(
    "cell",
    cells_of(
        "2026-01-05|05-01-2026|05.01.2026|01/05/2026|05 01 2026|2026-01-05 15:06:00|05.01.2026 15:06:00"
        "|05 01 2026 15 06"
        "|2026/01/05 3:06:01 PM GMT+1|001-02-0003|012-345-678|0000012345|20260105150600|0.123456789|1007919"
        "|1.0000000000|-99|R_P001001abc|NL-001|sub-P001|030 12345|+1|00:12:30|0123456789|123 456 789|07/2026"
    ),
)
def test_dates_codes_and_numbers_are_no_telephone_numbers(cell):
    assert found_in("reach", [cell]) == []


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        pytest.param(["+49 30 1234567", "+49 30 1234568", "none known"], True, id="two of three"),
        pytest.param(["+49 30 1234567", "none known"], False, id="half"),
        pytest.param(["+49 30 1234567", "", "", ""], True, id="empty cells do not count"),
    ],
)
def test_most_filled_cells_must_be_telephone_numbers(cells, told):
    assert found_in("reach", cells) == ([(PHONE, 2)] if told else [])


def test_a_column_of_codes_is_not_looked_at_for_telephone_numbers():
    assert found_in("case", ["030 1234567"], people=frozenset({0})) == []


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        pytest.param(["Anna Müller", "Thomas Schmidt"], True, id="German"),
        pytest.param(["Schmidt, Thomas", "Müller, Anna"], True, id="family name first"),
        pytest.param(["Dr. Anna Nord"], True, id="with a title"),
        pytest.param(["Anna-Lena Nord", "Kim Süd"], True, id="hyphen"),
        pytest.param(["François de la Tour"], True, id="French, with particles"),
        pytest.param(["José O'Neill"], True, id="accent and apostrophe"),
        pytest.param(["Sanne van den Berg", "Daan Jansen"], True, id="Dutch"),
        pytest.param(["Kim Aba", "Noa Beb", "Lou Cic", "Uma Dod", "Maria Ele"], True, id="one known in five"),
        pytest.param(
            ["Kim Aba", "Noa Beb", "Lou Cic", "Uma Dod", "Ida Fuf", "Maria Ele"], False, id="one known in six"
        ),
        pytest.param(["Anna Nord", "C01"], False, id="half of the cells are codes"),
        pytest.param(["Blue Fox", "Red Deer"], False, id="code names"),
        pytest.param(["Site North", "Site South"], False, id="sites"),
        pytest.param(["Client One", "Therapist Two"], False, id="numbers in words"),
        pytest.param(["Anna", "Thomas"], False, id="one word"),
        pytest.param(["Anna M", "Thomas S"], False, id="initials"),
        pytest.param(["anna went home", "thomas came late"], False, id="sentences"),
        pytest.param(["P001", "P002"], False, id="codes"),
        pytest.param(["Anna And Some Other People Came"], False, id="too many words"),
    ],
)
@pytest.mark.parametrize("use", [{}, {"people": frozenset({0})}], ids=["unused", "case"])
def test_full_names_need_a_frequent_given_name(cells, told, use):
    assert [each[0] for each in found_in("code", cells, **use)] == ([NAME] if told else [])


def births(name, cells, dates):
    names, columns = [name, "date"], [cells, dates]
    found = identifiers(names, columns, range(2, 2 + len(cells)), Use(answers=frozenset({1}), dates=1))
    return [each.what for each in found]


@pytest.mark.parametrize(
    ("name", "cell", "told"),
    [
        pytest.param("birth_info", "1980-05-01", True, id="decades before"),
        pytest.param("Geburt (Tag)", "01.05.1980", True, id="German"),
        pytest.param("info naissance", "01/05/1980", True, id="French"),
        pytest.param("birth_info", "2016-05-01", True, id="ten years before"),
        pytest.param("birth_info", "2017-05-01", False, id="nine years before: of a child, perhaps"),
        pytest.param("birth_info", "1980", False, id="a year only"),
        pytest.param("enrolment", "1980-05-01", False, id="not called like birth"),
    ],
)
def test_dates_long_before_the_sessions_are_births_where_the_name_says_so(name, cell, told):
    assert births(name, [cell], ["2026-01-05"]) == ([BIRTH] if told else [])


def test_the_first_session_is_what_births_are_compared_with():
    assert births("birth_info", ["2015-05-01"] * 2, ["2026-01-05", "2024-01-05"]) == []


def test_one_answer_a_row_may_ask_for_a_name():
    names = ["case", "item", "value"]
    columns = [["C1"] * 4, ["q1", "first_name", "first_name", "first_name"], ["5", "", "Greta", "Ada"]]
    use = Use(answers=frozenset({1, 2}), people=frozenset({0}), items=1, values=2)
    (found,) = identifiers(names, columns, [2, 3, 4, 5], use)
    assert (found.column, found.what, found.line) == ("'value', item 'first_name',", NAME, 4)
    columns[2][2:] = ["yes", "no"]
    assert identifiers(names, columns, [2, 3, 4, 5], use) == []


def test_a_column_that_is_called_by_an_e_mail_address_is_shown_by_its_number():
    (found,) = identifiers(["case", "anna@clinic.example"], [["a"], ["b@c.example"]], [2], Use())
    assert found.column == "2"


def test_what_a_mapping_says_is_used_is_no_identifier():
    names = ["code", "name", "value", "mail", "tel_s1", "tel_s2"]
    mapping = mapped(
        'pattern = "tel_s{session}_{item}"\n[columns]\ncase = "code"\nq1 = "mail"\nitem = "name"'
    )
    keys = {"case": Column(place=0, name="code", evidence="mapping"),
            "item": Column(place=1, name="name", evidence="mapping"),
            "value": Column(place=2, name="value", evidence="exact name")}  # fmt: skip
    use = use_of(names, keys, mapping, used=["tel_s1"])
    assert (use.answers, use.people) == (frozenset({1, 2, 3, 4}), frozenset({0}))


FILES = sorted(path for path in SAMPLES.rglob("*") if path.suffix in {".csv", ".tsv", ".txt", ".xlsx"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SAMPLES)))
def test_no_sample_holds_identifiers(path):
    table = make_table(read_records(path), Mapping(), log=Log())
    use = use_of(table.names, find_keys(table.names, Mapping(), log=Log()), Mapping())
    assert identifiers(table.names, table.columns, table.lines, use) == []


STUDY = """case,session,q1,q2,q3,E-Mail,Vorname
C1,1,4,4,4,,
C1,2,4,4,4,greta@clinic.example,
C2,1,4,4,4,,Greta
"""
STUDY_REFUSED = f"""error: 2 columns that may say who a person is
  line 3: column 'E-Mail' looks like an e-mail address
  line 4: column 'Vorname' looks like a person's name
{HINT}"""


def test_the_tolerant_lane_refuses_and_says_all_columns(tmp_path):
    assert refusal(tmp_path, STUDY) == STUDY_REFUSED


def test_dropping_what_is_wrong_does_not_lift_the_refusal(tmp_path):
    assert refusal(tmp_path, STUDY, on_error="drop") == STUDY_REFUSED


def test_with_the_option_the_columns_are_not_used(tmp_path):
    loaded = read_demo(tmp_path, STUDY, allow_identifiers=True)
    assert list(loaded.responses["demo"].columns) == [
        "case", "session", "date", "therapist", "rater", "q1", "q2", "q3",
    ]  # fmt: skip
    assert len(loaded.responses["demo"]) == 3


def test_a_problem_cell_is_not_quoted_beside_it(tmp_path):
    text = "client,session,q1,q2,q3\ngreta@clinic.example,1,4,4,99\n"
    assert refusal(tmp_path, text) == refused(2, "client", "an e-mail address")


def test_a_case_column_of_full_names_is_refused(tmp_path):
    text = "client,session,q1,q2,q3\nAnna Nord,1,4,4,4\nThomas West,1,4,4,4\n"
    assert refusal(tmp_path, text) == refused(2, "client", "a person's name")


def test_what_is_wrong_with_the_columns_is_said_in_one_go(tmp_path):
    text = "case,q1,q2,q3,phone\nC1,4,4,4,+49 30 1234567\n"
    assert refusal(tmp_path, text) == (
        "error: no column says in which order the forms were filled in\n"
        "hint: add a session number or a date, or say in a mapping which column it is\n"
        + refused(2, "phone", "a telephone number")
    )


def test_empty_system_columns_of_qualtrics_are_read_over(tmp_path):
    head = "RecipientLastName,RecipientFirstName,RecipientEmail,case,session,q1,q2,q3"
    loaded = read_demo(tmp_path, f"{head}\n,,,C1,1,4,4,4\n,,,C1,2,4,4,4\n")
    assert len(loaded.responses["demo"]) == 2


def plain_refusal(text, tmp_path, column, **options):
    with pytest.raises(DataError) as caught:
        read_series(write(tmp_path, text), [column], options=ReadOptions(**options))
    return str(caught.value)


def test_a_plain_file_of_scores_is_refused_too(tmp_path):
    text = "case,session,score,dob\nC1,1,4.5,1980-01-01\n"
    assert plain_refusal(text, tmp_path, "score") == refused(2, "dob", "a date of birth")
    allowed = read_series(write(tmp_path, text), ["score"], options=ReadOptions(allow_identifiers=True))
    assert allowed.frame["score"].tolist() == [4.5]


def test_the_column_that_is_judged_may_be_called_anything(tmp_path):
    file = write(tmp_path, "case,session,mobile\nC1,1,123456\n")
    assert read_series(file, ["mobile"]).frame["mobile"].tolist() == [123456.0]


def test_a_file_of_appointments_is_refused_too(tmp_path):
    file = write(tmp_path, "case,session,attendance,Telefon\nC1,1,attended,030 1234567\n")
    with pytest.raises(DataError) as caught:
        read_attendance(file)
    assert str(caught.value) == refused(2, "Telefon", "a telephone number")
    assert len(read_attendance(file, options=ReadOptions(allow_identifiers=True))) == 1


def test_check_reports_it_as_a_trouble(tmp_path):
    found = inspect(write(tmp_path, STUDY), DEMO)
    assert [str(trouble) for trouble in found.troubles] == [STUDY_REFUSED]
    assert inspect(write(tmp_path, STUDY), DEMO, options=ReadOptions(allow_identifiers=True)).troubles == ()


SRS_HEAD = "case,session,q1,q2,q3,q4"


def srs_file(folder, extra, cells, n=9, case="C1"):
    rows = [f"{case},{session},9,8,9,{session},{cells}" for session in range(1, n)]
    return write(folder, "\n".join([f"{SRS_HEAD},{extra}", *rows]) + "\n")


HITS = [
    pytest.param("E-Mail", "greta@clinic.example", "an e-mail address", id="e-mail"),
    pytest.param("note", "greta@clinic.example", "an e-mail address", id="e-mail by contents"),
    pytest.param("Vorname", "Greta", "a person's name", id="name"),
    pytest.param("reach", "+49 30 1234567", "a telephone number", id="telephone by contents"),
    pytest.param("dob", "1980-01-01", "a date of birth", id="birth"),
]
COMMANDS = [
    pytest.param(["analyze", "-o", "out"], id="analyze"),
    pytest.param(["score"], id="score"),
    pytest.param(["flag"], id="flag"),
    pytest.param(["risk"], id="risk"),
    pytest.param(["check"], id="check"),
    pytest.param(["shape"], id="shape"),
    pytest.param(["dyads"], id="dyads"),
    pytest.param(["therapists"], id="therapists"),
    pytest.param(["evaluate", "--labels", "q4"], id="evaluate"),
]


@pytest.mark.parametrize(("name", "cell", "what"), HITS)
@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_that_reads_refuses_and_quotes_no_cell(  # noqa: PLR0917  fixtures and a table
    command, tmp_path, monkeypatch, words, name, cell, what
):
    monkeypatch.chdir(tmp_path)
    file = srs_file(tmp_path, name, cell)
    done = command(words[0], file, "--scale", "srs", *words[1:])
    assert done.code == DATA
    assert done.err == refused(2, name, what) + "\n"
    assert cell not in done.out
    assert not [path for path in (tmp_path / "out").glob("*") if path.is_file()]


@pytest.mark.parametrize("words", COMMANDS[:6])
def test_every_command_that_reads_has_the_option(command, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    file = srs_file(tmp_path, "Vorname", "Greta")
    done = command(words[0], file, "--scale", "srs", *words[1:], "--allow-identifiers")
    assert done.code == OK
    assert "Greta" not in done.out + done.err


def layout_of(file):
    from alliance.scale import load_scale

    return plain_layout(file, load_scale("srs"))


@pytest.mark.parametrize(("name", "cell", "what"), HITS)
def test_the_fast_lane_leaves_such_a_file_to_the_tolerant_one(tmp_path, name, cell, what):
    with pytest.raises(Odd, match=r"^columns that may say who a person is$"):
        layout_of(srs_file(tmp_path, name, cell))


def test_the_fast_lane_looks_at_rows_of_its_first_block_only(tmp_path):
    filler = [f"C1,{session},9,8,9,1,{'x' * 90}" for session in range(1, 900)]
    late = "C2,1,9,8,9,1,greta@clinic.example"
    file = write(tmp_path, "\n".join([f"{SRS_HEAD},note", *filler, late]) + "\n")
    assert file.stat().st_size > HEAD_BYTES
    assert layout_of(file).items == ("q1", "q2", "q3", "q4")
    early = write(tmp_path, "\n".join([f"{SRS_HEAD},note", late, *filler]) + "\n")
    with pytest.raises(Odd):
        layout_of(early)


def test_the_fast_lane_reads_every_case_name_for_e_mail_addresses(tmp_path):
    from alliance.scale import load_scale

    srs = load_scale("srs")
    rows = [f"C{case},1,9,8,9,1,{'x' * 90}" for case in range(900)]
    file = write(tmp_path, "\n".join([f"{SRS_HEAD},note", *rows, "greta@clinic.example,1,9,8,9,1,"]) + "\n")
    with pytest.raises(Odd, match=r"^names that may be e-mail addresses$"):
        list(plain_blocks(file, srs, plain_layout(file, srs)))


def test_the_option_keeps_the_fast_lane_and_is_in_the_manifest(command, tmp_path):
    file = srs_file(tmp_path, "Vorname", "Greta")
    assert (
        command("analyze", file, "--scale", "srs", "-o", tmp_path / "out", "--allow-identifiers").code == OK
    )
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text("utf-8"))
    assert manifest["read_options"]["allow_identifiers"] is True
    assert "fast" in json.dumps(manifest)


def test_a_file_with_empty_columns_gives_the_same_scores_as_one_without(command, tmp_path):
    (tmp_path / "a").mkdir()
    with_column = srs_file(tmp_path / "a", "RecipientEmail", "")
    without = srs_file(tmp_path, "note", "")
    both = [
        command("score", file, "--scale", "srs", "--format", "csv").out for file in (with_column, without)
    ]
    assert both[0] == both[1]
    assert len(list(csv.DictReader(io.StringIO(both[0])))) == 8


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="@\r\n"), min_size=1), min_size=1, max_size=5
    )
)
def test_answers_without_an_at_sign_are_never_told(cells):
    assert found_in("q1", cells, answers=frozenset({0})) == []


@given(st.lists(st.text(), min_size=1, max_size=6), st.sampled_from(["name", "x", "birth", "dob", "mail"]))
def test_any_text_can_be_looked_at_and_the_line_named_holds_something(cells, name):
    for _, line in found_in(name, cells):
        assert cells[line - 2].strip()


def test_load_reads_without_a_scale_only_after_the_columns_were_looked_at(tmp_path):
    file = write(tmp_path, "case,session,scale,email\nC1,1,greta,greta@clinic.example\n")
    with pytest.raises(DataError) as caught:
        load(file, None)
    assert str(caught.value) == refused(2, "email", "an e-mail address")


def test_a_file_of_treatments_is_refused_too(tmp_path):
    from alliance.readers.treatments import read_treatments

    file = write(tmp_path, "case,start_date,status,Geburtsdatum\nC1,2026-01-05,ongoing,1980-05-01\n")
    with pytest.raises(DataError) as caught:
        read_treatments(file)
    assert "1980" not in str(caught.value)
    assert "line 2: column 'Geburtsdatum' looks like a date of birth" in str(caught.value)
    assert len(read_treatments(file, options=ReadOptions(allow_identifiers=True))) == 1
