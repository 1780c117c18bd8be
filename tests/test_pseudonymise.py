"""Codes by HMAC-SHA-256, study days, the key and who may read it, and files that are otherwise unchanged."""

import base64
import csv
import hashlib
import hmac
import io
import os
import stat

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alliance.cells import restored
from alliance.cli.keyfile import make_key
from alliance.cli.pseudonymise import csv_bytes
from alliance.errors import StoreError
from alliance.pseudonyms import KEY_BYTES, codes, digest, first_days, normalised, study_days

ZERO, COUNTING = bytes(32), bytes(range(32))
OK, USAGE, DATA, STORE = 0, 2, 3, 5

# Made with OpenSSL 3: printf 'case\0P001' | openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base32
VECTORS = [
    pytest.param("P001", ZERO, "case", "RELOGR5U5QR7WANOYASBZSH6CYAY6AFR5AZPUICPXOQ7VH6U5TEA", id="zero key"),
    pytest.param(
        "P001", COUNTING, "therapist", "STL2B45DV5Q4V2LN6EZF6A3WKZAH7CSWESMXMIMVYRO2TRNGX2GA", id="therapist"
    ),
    pytest.param(
        "Zoé M.", COUNTING, "case", "QVZMZOGEKXDFJQWYSG465UZEK5CGY6FYRYT4TM3275LR3G5YLNQQ", id="UTF-8"
    ),
]


@pytest.mark.parametrize(("name", "key", "kind", "expected"), VECTORS)
def test_a_digest_is_hmac_sha_256_in_base32(name, key, kind, expected):
    assert digest(name, key, kind=kind) == expected


@given(st.text(min_size=1), st.binary(min_size=32, max_size=32), st.sampled_from(["case", "therapist"]))
def test_a_digest_is_what_the_standard_library_gives(name, key, kind):
    by_hand = hmac.digest(key, kind.encode() + b"\0" + normalised(name).encode(), "sha256")
    assert base64.b32decode(digest(name, key, kind=kind) + "====") == by_hand


def test_codes_have_a_prefix_and_ten_characters():
    assert codes(["A", "B"], COUNTING) == {"A": "C-LESVZW4JMX", "B": "C-2SAHTAP7UY"}
    assert codes(["T1"], COUNTING, kind="therapist") == {"T1": "T-NR7HWMMLXA"}


def test_spaces_and_composed_letters_are_normalised_and_nothing_else():
    same = codes(["Zoé M.", " Zoé   M. ", "Zoe\u0301 M.", "Zoé\u00a0M."], COUNTING)
    assert set(same.values()) == {"C-QVZMZOGEKX"}
    assert len(set(codes(["p001", "P001", "001", "1", "P 001"], COUNTING).values())) == 5


def test_an_empty_cell_gets_no_code():
    assert codes(["", "  "], COUNTING) == {"": "", "  ": ""}


def test_codes_that_would_be_the_same_get_longer_and_the_others_stay():
    # By OpenSSL: 2 4I3…, 8 4LQ…; 3 SCJ…, 9 SMW…; 6 UYU…, 11 UVN…; the others differ in their first one.
    assert codes(map(str, range(16)), COUNTING, length=1) == {
        "0": "C-E", "1": "C-K", "2": "C-4I", "3": "C-SC", "4": "C-F", "5": "C-M", "6": "C-UY", "7": "C-6",
        "8": "C-4L", "9": "C-SM", "10": "C-W", "11": "C-UV", "12": "C-7", "13": "C-B", "14": "C-L",
        "15": "C-2",
    }  # fmt: skip


@given(st.lists(st.text(max_size=6), max_size=40), st.integers(1, 10))
def test_equal_identifiers_have_equal_codes_and_no_others(names, length):
    found = codes(names, COUNTING, length=length)
    for one in names:
        for other in names:
            assert (found[one] == found[other]) == (normalised(one) == normalised(other))


@given(st.lists(st.text(max_size=6), max_size=8), st.lists(st.text(max_size=6), max_size=8))
def test_a_code_does_not_depend_on_who_else_is_in_the_file(names, others):
    together = codes([*others, *names], COUNTING)
    assert codes(names, COUNTING) == {name: together[name] for name in dict.fromkeys(names)}


def test_another_key_gives_another_code():
    assert not set(codes(["A", "B"], COUNTING).values()) & set(codes(["A", "B"], ZERO).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"key": bytes(31)}, "key must have 32 bytes, got 31"),
        ({"key": ZERO, "kind": "rater"}, "kind must be one of case, therapist, got 'rater'"),
    ],
)
def test_a_wrong_argument_is_named(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        digest("A", **arguments)


def days(*texts):
    return np.array([text or "NaT" for text in texts], dtype="datetime64[D]")


def test_study_days_count_from_the_first_date_of_the_case():
    cases = ["A", "B", " A ", "A", "B", ""]
    dates = days("2026-01-12", "2026-03-01", "2026-01-05", "", "2026-02-28", "2026-01-01")
    first = first_days(cases, dates)
    assert first == {"A": np.datetime64("2026-01-05"), "B": np.datetime64("2026-02-28")}
    assert study_days(cases, dates, first) == ["7", "1", "0", "", "0", ""]


def test_a_day_before_the_first_is_negative_and_a_case_without_any_is_empty():
    first = {"A": np.datetime64("2026-01-05")}
    assert study_days(["A", "B"], days("2025-12-31", "2026-01-05"), first) == ["-5", ""]


STUDY = """client_id,session,date,therapist,E-Mail,q1,q2,comment
A,1,2026-01-05,T1,greta@clinic.example,9," 8,5 ","said ""fine"" = 1"
 A ,2,2026-01-12,T1,,9,8.50,
B,1,2026-02-01,,,007,-99,ok
"""
CODED = """client_id,session,date,therapist,q1,q2,comment
C-LESVZW4JMX,1,2026-01-05,T-NR7HWMMLXA,9," 8,5 ","said ""fine"" = 1"
C-LESVZW4JMX,2,2026-01-12,T-NR7HWMMLXA,9,8.50,
C-2SAHTAP7UY,1,2026-02-01,,007,-99,ok
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with `data/study.csv` and, beside it, `keys/study.key`; it is the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "keys").mkdir()
    (tmp_path / "data" / "study.csv").write_text(STUDY, encoding="utf-8")
    key = tmp_path / "keys" / "study.key"
    key.write_bytes(COUNTING)
    key.chmod(0o600)
    return tmp_path


@pytest.fixture
def run(command, place):
    def pseudonymise(*arguments, key="keys/study.key", to="shared/study.csv"):
        return command("pseudonymise", *arguments, "--key", key, "-o", to)

    return pseudonymise


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_only_identifiers_change_and_the_rest_stays_cell_by_cell(run, place):
    done = run("data/study.csv")
    assert (done.code, done.out) == (OK, "")
    assert (place / "shared" / "study.csv").read_bytes() == CODED.encode()
    assert done.err == (
        "study.csv:\n"
        "  coded: client_id, therapist\n"
        "  left out: E-Mail, it looks like an e-mail address\n"
        "  kept as they are: session, date, q1, q2, comment\n"
        "2 case codes, 1 therapist code\n"
    )


def test_output_is_for_the_owner_only(run, place):
    run("data/study.csv", "--table", "tables/who.csv")
    assert mode(place / "shared" / "study.csv") == 0o600
    assert mode(place / "tables" / "who.csv") == 0o600


def test_two_runs_give_the_same_bytes(run, place):
    run("data/study.csv", to="one/study.csv")
    run("data/study.csv", to="two/study.csv")
    assert (place / "one" / "study.csv").read_bytes() == (place / "two" / "study.csv").read_bytes()


def test_quiet_says_nothing(run):
    assert run("data/study.csv", "--quiet").err == ""


def test_the_table_of_codes_is_written_on_request_only(run, place):
    run("data/study.csv")
    assert sorted(path.name for path in place.rglob("*.csv")) == ["study.csv", "study.csv"]
    run("data/study.csv", "--table", "tables/who.csv", to="again/study.csv")
    assert (place / "tables" / "who.csv").read_text("utf-8") == (
        "kind,code,identifier\ncase,C-2SAHTAP7UY,B\ncase,C-LESVZW4JMX,A\ntherapist,T-NR7HWMMLXA,T1\n"
    )


def test_neither_key_nor_identifier_is_in_any_output(run, place):
    (place / "data" / "study.csv").write_text(
        STUDY.replace("A,", "Greta Nord,").replace("T1", "Dr. West"), encoding="utf-8"
    )
    done = run("data/study.csv")
    assert done.code == OK
    written = (place / "shared" / "study.csv").read_text("utf-8")
    base64_of_key = base64.b64encode(COUNTING).decode()
    for text in (done.out + done.err, written):
        for secret in ("Greta", "Nord", "West", "clinic.example", COUNTING.hex(), base64_of_key):
            assert secret not in text
    assert COUNTING not in written.encode()


def test_study_days_take_the_place_of_dates(run, place):
    done = run("data/study.csv", "--study-days")
    rows = list(csv.DictReader(io.StringIO((place / "shared" / "study.csv").read_text("utf-8"))))
    assert [row["day"] for row in rows] == ["0", "7", "0"]
    assert list(rows[0]) == ["client_id", "session", "day", "therapist", "q1", "q2", "comment"]
    assert "  dates as study days: date\n" in done.err
    assert "2026" not in (place / "shared" / "study.csv").read_text("utf-8")


def test_several_files_share_codes_and_the_first_day(run, place):
    (place / "data" / "visits.csv").write_text(
        "case,date,attendance\nA,2026-01-04,attended\nB,2026-02-03,no_show\n", encoding="utf-8"
    )
    (place / "data" / "ends.tsv").write_text(
        "client\tstart_date\tplanned_end\tstatus\nA\t02.01.2026\t13.02.2026\tended\n", encoding="utf-8"
    )
    done = run(
        "data/study.csv",
        "data/visits.csv",
        "data/ends.tsv",
        "--study-days",
        "--column",
        "client",
        to="shared",
    )
    assert done.code == OK
    assert sorted(path.name for path in (place / "shared").iterdir()) == [
        "ends.csv",
        "study.csv",
        "visits.csv",
    ]
    # A starts on 2 January (ends.tsv), B on 1 February (study.csv).
    assert (place / "shared" / "visits.csv").read_text("utf-8") == (
        "case,day,attendance\nC-LESVZW4JMX,2,attended\nC-2SAHTAP7UY,2,no_show\n"
    )
    assert (place / "shared" / "ends.csv").read_text("utf-8") == (
        "client,day,planned_end_day,status\nC-LESVZW4JMX,0,42,ended\n"
    )
    rows = list(csv.DictReader(io.StringIO((place / "shared" / "study.csv").read_text("utf-8"))))
    assert [row["day"] for row in rows] == ["3", "10", "0"]


def test_dates_of_an_open_order_are_asked_for(run, place):
    text = STUDY.replace("2026-01-05", "05/01/2026").replace("2026-01-12", "06/01/2026")
    (place / "data" / "study.csv").write_text(text.replace("2026-02-01", "07/02/2026"), encoding="utf-8")
    refused = run("data/study.csv", "--study-days")
    assert (refused.code, refused.err) == (
        DATA,
        "error: 'study.csv': dates that can be read day first and month first\n"
        "  column 'date'\n"
        "hint: say --date-format dmy or --date-format mdy\n",
    )
    assert not (place / "shared").exists()
    assert run("data/study.csv", "--study-days", "--date-format", "dmy").code == OK
    rows = list(csv.DictReader(io.StringIO((place / "shared" / "study.csv").read_text("utf-8"))))
    assert [row["day"] for row in rows] == ["0", "1", "0"]


def test_a_column_with_dates_that_cannot_all_be_read_is_left_out_and_told(run, place):
    (place / "data" / "study.csv").write_text(
        "case,session,date,seen\nA,1,2026-01-05,2026-01-05\nA,2,2026-01-12,last spring\n", encoding="utf-8"
    )
    done = run("data/study.csv", "--study-days")
    assert "  left out: seen, not all of it can be read as dates, first in line 3\n" in done.err
    assert (place / "shared" / "study.csv").read_text("utf-8") == (
        "case,session,day\nC-LESVZW4JMX,1,0\nC-LESVZW4JMX,2,7\n"
    )


def test_a_date_of_birth_is_left_out_and_no_study_day(run, place):
    (place / "data" / "study.csv").write_text("case,session,dob\nA,1,1980-05-01\n", encoding="utf-8")
    done = run("data/study.csv", "--study-days")
    assert (place / "shared" / "study.csv").read_text("utf-8") == "case,session\nC-LESVZW4JMX,1\n"
    assert done.err == (
        "study.csv:\n"
        "  coded: case\n"
        "  left out: dob, it looks like a date of birth\n"
        "  kept as they are: session\n"
        "1 case code\n"
    )


def test_more_columns_are_coded_and_left_out_on_request(run, place):
    (place / "data" / "study.csv").write_text(
        "Kürzel,session,episode,IPAddress,note\nA,1,B,192.0.2.7,x\n", encoding="utf-8"
    )
    done = run("data/study.csv", "--column", "Kürzel", "--column", "episode", "--drop", "note")
    assert (place / "shared" / "study.csv").read_text("utf-8") == (
        "Kürzel,session,episode\nC-LESVZW4JMX,1,C-2SAHTAP7UY\n"
    )
    assert "  left out: IPAddress, it looks like a place on the net or the map\n" in done.err
    assert "  left out: note, as you asked\n" in done.err


def test_allow_identifiers_keeps_such_columns(run, place):
    run("data/study.csv", "--allow-identifiers")
    assert "greta@clinic.example" in (place / "shared" / "study.csv").read_text("utf-8")


def test_a_mapping_says_which_column_is_the_case(run, place):
    (place / "data" / "study.csv").write_text("Kürzel,Behandler,session\nA,T1,1\n", encoding="utf-8")
    (place / "map.toml").write_text('[columns]\ncase = "Kürzel"\ntherapist = "Behandler"\n', encoding="utf-8")
    assert run("data/study.csv", "--map", "map.toml").code == OK
    assert (place / "shared" / "study.csv").read_text("utf-8") == (
        "Kürzel,Behandler,session\nC-LESVZW4JMX,T-NR7HWMMLXA,1\n"
    )


def test_titles_question_texts_and_footers_stay_behind(run, place):
    (place / "data" / "study.csv").write_text(
        "Praxis Greta Nord,\n\ncase,session,q1\nA,1,5\nB,1,6\n\nprinted by Greta\n", encoding="utf-8"
    )
    done = run("data/study.csv")
    assert (place / "shared" / "study.csv").read_text("utf-8") == (
        "case,session,q1\nC-LESVZW4JMX,1,5\nC-2SAHTAP7UY,1,6\n"
    )
    assert "  note: the header was found in line 3; what stands above it was not read\n" in done.err
    assert "  note: 1 short row behind a blank line at the end left out\n" in done.err


def test_excel_and_parquet_come_out_as_csv(run, place):
    import openpyxl
    import pyarrow as pa
    from pyarrow import parquet

    book = openpyxl.Workbook()
    book.active.append(["case", "session", "q1"])
    book.active.append(["A", 1, 4.5])
    book.save(place / "data" / "sheet.xlsx")
    parquet.write_table(
        pa.table({"case": ["B"], "session": [1], "q1": [7.0]}), place / "data" / "frame.parquet"
    )
    assert run("data/sheet.xlsx", "data/frame.parquet", to="shared").code == OK
    assert (place / "shared" / "sheet.csv").read_text("utf-8") == "case,session,q1\nC-LESVZW4JMX,1,4.5\n"
    assert (place / "shared" / "frame.csv").read_text("utf-8") == "case,session,q1\nC-2SAHTAP7UY,1,7\n"


def test_the_result_is_read_by_the_other_commands(run, place, command):
    rows = [f"Greta Nord,{session},9,8,9,{session},greta@clinic.example" for session in range(1, 8)]
    text = "\n".join(["client,session,q1,q2,q3,q4,email", *rows]) + "\n"
    (place / "data" / "study.csv").write_text(text, encoding="utf-8")
    assert command("score", "data/study.csv", "--scale", "srs").code == DATA
    run("data/study.csv")
    scored = command("score", "shared/study.csv", "--scale", "srs", "--format", "csv")
    assert scored.code == OK
    assert {row["case"] for row in csv.DictReader(io.StringIO(scored.out))} == set(
        codes(["Greta Nord"], COUNTING).values()
    )


def test_a_new_key_is_random_for_its_owner_only_and_told(run, place):
    done = run("data/study.csv", "--new-key", key="keys/new.key")
    assert done.code == OK
    assert done.err.endswith(
        "new key: keys/new.key. Keep a copy: without it nobody gets these codes again.\n"
    )
    key = place / "keys" / "new.key"
    assert mode(key) == 0o600
    assert len(key.read_bytes()) == KEY_BYTES
    run("data/study.csv", "--new-key", key="keys/newer.key", to="other/study.csv")
    assert key.read_bytes() != (place / "keys" / "newer.key").read_bytes()
    assert (place / "other" / "study.csv").read_bytes() != (place / "shared" / "study.csv").read_bytes()
    run("data/study.csv", key="keys/new.key", to="again/study.csv")
    assert (place / "again" / "study.csv").read_bytes() == (place / "shared" / "study.csv").read_bytes()


def test_no_key_is_made_for_a_file_that_cannot_be_written_anew(run, place):
    (place / "data" / "study.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    assert run("data/study.csv", "--new-key", key="keys/new.key").code == DATA
    assert not (place / "keys" / "new.key").exists()


def test_a_key_that_appears_in_the_meantime_is_not_overwritten(place):
    with pytest.raises(StoreError) as caught:
        make_key(place / "keys" / "study.key")
    assert str(caught.value) == (
        f"error: cannot write '{place / 'keys' / 'study.key'}': File exists\n"
        "hint: check the path and its permissions"
    )
    assert (place / "keys" / "study.key").read_bytes() == COUNTING


AWAY = "hint: keep it in a folder that holds no data and lies in none that does\n"
REFUSED_KEYS = [
    pytest.param(
        "data/study.key", [], USAGE,
        f"error: the key 'data/study.key' lies in the folder 'data', beside the data\n{AWAY}",
        id="beside the file",
    ),
    pytest.param(
        "data/deep/study.key", ["--new-key"], USAGE,
        f"error: the key 'data/deep/study.key' lies in the folder 'data', beside the data\n{AWAY}",
        id="below the file",
    ),
    pytest.param(
        "keys/../data/study.key", ["--new-key"], USAGE,
        f"error: the key 'keys/../data/study.key' lies in the folder 'data', beside the data\n{AWAY}",
        id="by a detour",
    ),
    pytest.param(
        "shared/study.key", ["--new-key"], USAGE,
        f"error: the key 'shared/study.key' lies in the folder 'shared', beside the data\n{AWAY}",
        id="beside the output",
    ),
    pytest.param(
        "keys/none.key", [], USAGE,
        "error: there is no key 'keys/none.key'\n"
        "hint: --new-key makes one; with another key the same client gets another code\n",
        id="no such key",
    ),
    pytest.param(
        "keys/study.key", ["--new-key"], USAGE,
        "error: 'keys/study.key' exists, and a key is never overwritten\n"
        "hint: leave out --new-key to use it, or name another file\n",
        id="never overwritten",
    ),
    pytest.param(
        "keys/short.key", [], DATA,
        "error: 'keys/short.key' is no key: a key has 32 bytes, this file has 31\n"
        "hint: name the file that --new-key made\n",
        id="too short",
    ),
    pytest.param(
        "nowhere/new.key", ["--new-key"], STORE,
        "error: cannot write 'nowhere/new.key': No such file or directory\n"
        "hint: check the path and its permissions\n",
        id="no such folder",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("key", "options", "code", "message"), REFUSED_KEYS)
def test_a_key_is_refused(  # noqa: PLR0917  fixtures and a table
    run, place, key, options, code, message
):
    short = place / "keys" / "short.key"
    short.write_bytes(bytes(31))
    short.chmod(0o600)
    (place / "data" / "study.key").write_bytes(COUNTING)
    before = (place / "keys" / "study.key").read_bytes()
    done = run("data/study.csv", *options, key=key)
    assert (done.code, done.out, done.err) == (code, "", message)
    assert not (place / "shared" / "study.csv").exists()
    assert (place / "keys" / "study.key").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o610, 0o601])
def test_a_key_that_others_can_use_is_refused(run, place, bits):
    (place / "keys" / "study.key").chmod(bits)
    assert run("data/study.csv").err == (
        "error: others than you can read the key 'keys/study.key'\n"
        "hint: take that away: chmod 600 'keys/study.key'\n"
    )


def test_a_link_does_not_hide_where_the_key_is(run, place):
    (place / "data" / "study.key").write_bytes(COUNTING)
    (place / "keys" / "link.key").symlink_to(place / "data" / "study.key")
    done = run("data/study.csv", key="keys/link.key")
    assert done.err == f"error: the key 'keys/link.key' lies in the folder 'data', beside the data\n{AWAY}"


def test_a_key_in_the_folder_above_is_far_enough(run, place):
    (place / "study.key").write_bytes(COUNTING)
    (place / "study.key").chmod(0o600)
    assert run("data/study.csv", key="study.key").code == OK


REFUSED = [
    pytest.param(
        ["data/study.csv"], "data/study.csv", USAGE,
        "error: 'data/study.csv' would take the place of the file it is made from\n"
        "  data/study.csv\nhint: choose another name or folder with -o\n",
        id="over itself",
    ),
    pytest.param(
        ["data/study.csv"], "old/there.csv", USAGE,
        "error: 1 file would be replaced\n  old/there.csv\n"
        "hint: choose another name, or replace with --force\n",
        id="over another file",
    ),
    pytest.param(
        ["data/study.csv", "data/more.csv"], "old/there.csv", USAGE,
        "error: 'old/there.csv' is a file, and 2 files need a folder\nhint: name a folder with -o\n",
        id="two files into one",
    ),
    pytest.param(
        ["data/study.csv", "data/study.tsv"], "shared", USAGE,
        "error: several files would be written as study.csv\n"
        "hint: write them one by one, each under its own name\n",
        id="two of one name",
    ),
    pytest.param(
        ["-"], "shared.csv", USAGE,
        "error: pseudonymise reads files, not standard input\nhint: save it to a file first\n",
        id="standard input",
    ),
    pytest.param(
        ["data/study.csv", "--column", "clientid"], "s/x.csv", USAGE,
        "error: unknown column 'clientid'\n"
        "hint: did you mean 'client_id'? known: E-Mail, client_id, comment, "
        "date, q1, q2, session, therapist\n",
        id="no such column to code",
    ),
    pytest.param(
        ["data/study.csv", "--drop", "notes"], "s/x.csv", USAGE,
        "error: unknown column 'notes'\nhint: known: E-Mail, client_id, comment, date, q1, q2, session, "
        "therapist\n",
        id="no such column to leave out",
    ),
    pytest.param(
        ["data/study.csv", "--table", "s/who.csv"], "s/x.csv", USAGE,
        f"error: the table of codes 's/who.csv' lies in the folder 's', beside the data\n{AWAY}",
        id="the table of codes beside the output",
    ),
    pytest.param(
        ["data/more.csv"], "s/x.csv", DATA,
        "error: 'more.csv': no column says who is who\n  columns: x, y\nhint: name it with --column\n",
        id="nobody in it",
    ),
    pytest.param(
        ["data/empty.csv"], "s/x.csv", DATA,
        "error: 'empty.csv': the file has a header and no rows below it\n"
        "hint: export it again, with one row for each form\n",
        id="no rows",
    ),
    pytest.param(
        ["data/asked.csv"], "s/x.csv", DATA,
        "error: 'asked.csv': answers that may say who a person is\n"
        "  line 3: column 'value', item 'first_name', looks like a person's name\n"
        "hint: delete these rows from the file first\n",
        id="a name asked for among the items",
    ),
    pytest.param(
        ["data/none.csv"], "s/x.csv", STORE,
        "error: cannot read 'data/none.csv': No such file or directory\n"
        "hint: check the name and the folder\n",
        id="no such file",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "to", "code", "message"), REFUSED)
def test_what_cannot_be_done_is_said_and_nothing_is_written(  # noqa: PLR0917  fixtures and a table
    run, place, arguments, to, code, message
):
    (place / "data" / "more.csv").write_text("x,y\n1,2\n", encoding="utf-8")
    (place / "data" / "study.tsv").write_text(STUDY, encoding="utf-8")
    (place / "data" / "empty.csv").write_text("case,session\n", encoding="utf-8")
    (place / "data" / "asked.csv").write_text(
        "case,session,item,value\nA,1,q1,5\nA,1,first_name,Greta\n", encoding="utf-8"
    )
    (place / "old").mkdir()
    (place / "old" / "there.csv").write_text("keep\n", encoding="utf-8")
    before = sorted(path for path in place.rglob("*"))
    done = run(*arguments, to=to)
    assert (done.code, done.out, done.err) == (code, "", message)
    assert sorted(path for path in place.rglob("*")) == before
    assert (place / "old" / "there.csv").read_text("utf-8") == "keep\n"
    assert (place / "data" / "study.csv").read_text("utf-8") == STUDY


def test_force_replaces_an_output_but_never_a_key(run, place):
    assert run("data/study.csv").code == OK
    assert run("data/study.csv").code == USAGE
    assert run("data/study.csv", "--force").code == OK
    assert run("data/study.csv", "--force", "--new-key").code == USAGE


def test_an_existing_folder_takes_one_file_under_its_name(run, place):
    (place / "shared").mkdir()
    assert run("data/study.csv", to="shared").code == OK
    assert (place / "shared" / "study.csv").read_text("utf-8") == CODED


def test_the_help_has_an_example_and_says_what_stays_personal(command):
    text = " ".join(command("pseudonymise", "--help").out.split())
    assert "Example: alliance pseudonymise study.csv --key ~/keys/study.key" in text
    assert "Pseudonymised data are still personal data." in text


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8")), min_size=2, max_size=2), max_size=6))
def test_any_cells_come_back_from_the_csv(rows):
    read = csv.reader(io.StringIO(csv_bytes(rows).decode(), newline=""))
    assert [list(map(restored, row)) for row in read] == [list(map(restored, row)) for row in rows]


def test_a_cell_that_a_spreadsheet_would_run_is_neutralised_once():
    rows = [["-1.5", "=1+1"], ["'=1+1", "@cmd"]]
    assert csv_bytes(rows) == b"-1.5,'=1+1\n'=1+1,'@cmd\n"


def test_the_code_of_a_key_is_not_a_plain_hash():
    assert hashlib.sha256(b"case\0A").digest() != base64.b32decode(digest("A", COUNTING) + "====")
