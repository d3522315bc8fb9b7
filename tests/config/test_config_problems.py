"""Each mistake in a config is reported with its place, what is wrong there and the cure; all of them in one go."""

import textwrap
from pathlib import Path

import pytest

from syncengine.config import load
from syncengine.errors import ConfigError

GOOD = """
{top}
[systems.crm]
connector = "csv"
{system}
[systems.office]
connector = "sql"
url = "sqlite:///office.db"

[pairs.contacts]
left = "crm.contacts"
right = "office.people"
match = "email"
{pair}
[pairs.contacts.fields]
email = "email"
{fields}
{more}
"""


def problems_of(folder: Path, text: str, **environ: str) -> list[tuple[str, str, str]]:
    path = folder / "syncengine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        load(path, environ=environ)
    return [(problem.place, problem.wrong, problem.cure) for problem in caught.value.problems]


def config(*, top: str = "", system: str = "", pair: str = "", fields: str = "", more: str = "") -> str:
    return GOOD.format(top=top, system=system, pair=pair, fields=fields, more=textwrap.dedent(more))


IN_THE_PAIR = [
    ('conflicts = "aks"', "conflicts", '"aks" is not a choice here', 'did you mean "ask"?'),
    ("conflicts = 3", "conflicts", "3 is not a choice here", 'use "ask", "left", "right", "newer", "union" or "fill"'),
    ('deletes = "propagat"', "deletes", '"propagat" is not a choice here', 'did you mean "propagate"?'),
    ('direction = "left-to-right"', "direction", '"left-to-right" is not a choice here', 'did you mean "left_to_right"?'),
    ('keyless = "ignore"', "keyless", '"ignore" is not a choice here', 'use "skip" or "create"'),
    ('confilcts = "ask"', "confilcts", "unknown key", 'did you mean "conflicts"?'),
    ("schedule = 5", "schedule", "5 is not a schedule", "every 5 minutes"),
    ('schedule = "every 5 minuts"', "schedule", '"every 5 minuts" is not a schedule', 'did you mean "minutes"?'),
    ('schedule = "61 * * * *"', "schedule", "the minute of the cron line is wrong", "numbers from 0 to 59"),
    ('schedule = "0 6 * *"', "schedule", '"0 6 * *" is not a schedule', "a cron line of five fields"),
    ('schedule = "0 6 * * * Europe/Berln"', "schedule", "is not a time zone", 'did you mean "Europe/Berlin"?'),
    ("tolerance = -1", "tolerance", "-1 is not a duration", "5 minutes"),
    ('tolerance = "2 lightyears"', "tolerance", '"2 lightyears" is not a duration', "seconds"),
    ("tolerance = nan", "tolerance", "is not a duration", "seconds"),
    ("full_sweep = true", "full_sweep", "true is not a duration", "1 day"),
    ('guards.deletes = "5"', "guards.deletes", '"5" is not a percentage', 'write it like "5%"'),
    ("guards.deletes = 5", "guards.deletes", "5 is not a percentage", 'write it like "5%"'),
    ('guards.updates = "101%"', "guards.updates", '"101%" is more than 100%', '"100%"'),
    ('guards.creates = { share = "x" }', "guards.creates.share", '"x" is not a percentage', 'write it like "5%"'),
    ("guards.creates = { number = -1 }", "guards.creates.number", "-1 is below 0", "write a number from 0"),
    ("guards.creates = { nr = 1 }", "guards.creates.nr", "unknown key", 'use "share" or "number"'),
    ('guards.delets = "5%"', "guards.delets", "unknown key", 'did you mean "deletes"?'),
    ("filter.rigth = []", "filter.rigth", "unknown key", 'did you mean "right"?'),
    ('filter.right = [{ feild = "a", is = 1 }]', "filter.right[0].feild", "unknown key", 'did you mean "field"?'),
    ('filter.right = [{ field = "a", equals = 1 }]', "filter.right[0].equals", "unknown key", 'use "field", "is", "is_not"'),
    ('filter.right = [{ field = "a" }]', "filter.right[0]", "the condition tests nothing", "add one of is, is_not"),
    ("filter.right = [{ is = true }]", "filter.right[0]", "the condition names no field", 'add field = "..."'),
    ('filter.right = [{ field = "a", one_of = 1 }]', "filter.right[0].one_of", "1 is not a list", "write a list"),
    ('filter.right = [{ field = "a", one_of = [] }]', "filter.right[0].one_of", "the list is empty", "at least one entry"),
    (
        'filter.right = [{ field = "a", is = [1] }]',
        "filter.right[0].is",
        "a list of 1 stands where one value belongs",
        "one text",
    ),
    ('filter.right = [{ field = "a", blank = "no" }]', "filter.right[0].blank", '"no" is not true or false', "without quotes"),
    (
        'filter.right = [{ any = [{ field = "a", is = 1 }], field = "b", is = 2 }]',
        "filter.right[0]",
        "any stands beside other keys",
        "a condition of its own",
    ),
    (
        'filter.right = [{ any = [{ any = [{ field = "b", is = 2 }] }] }]',
        "filter.right[0].any[0]",
        "any stands inside any",
        "in one any",
    ),
    (
        'filter.right = [{ any = [{ field = "b", above = 2, below = 9 }] }]',
        "filter.right[0].any[0]",
        "has several tests",
        "one test in each",
    ),
    ('was = "contacts"', "was", '"contacts" is still a pair of this file', "leave was out"),
]


@pytest.mark.parametrize(("line", "place", "wrong", "cure"), IN_THE_PAIR, ids=[case[0] for case in IN_THE_PAIR])
def test_a_mistake_in_a_pair_is_named_with_its_cure(tmp_path, line, place, wrong, cure):
    [found] = problems_of(tmp_path, config(pair=line))
    assert found[0] == f"pairs.contacts.{place}"
    assert wrong in found[1]
    assert cure in found[2]


IN_THE_FIELDS = [
    ("phone = 3", "phone", "3 does not map a field", "left = "),
    ('phone = ""', "phone", "the text is empty", "at least one character"),
    ('phone = { left = "a" }', "phone", "the right side is missing", 'add right = "..."'),
    ('phone = { left = "a", rigth = "b" }', "phone.rigth", "unknown key", 'did you mean "right"?'),
    ('phone = { as = "fone" }', "phone.as", '"fone" is not a type', 'did you mean "phone"?'),
    ('phone = { as = "text(2)" }', "phone.as", "only decimal and money take", 'write "text"'),
    ('phone = { as = "decimal(x)" }', "phone.as", '"decimal(x)" is not a type', 'did you mean "decimal"?'),
    ('phone = { as = "float" }', "phone.as", '"float" is not a type', "use "),
    ('phone = { constant = "x" }', "phone", "a constant is set on exactly one side", 'right = "..."'),
    ('phone = { constant = "x", left = "a", right = "b" }', "phone", "exactly one side", "name it"),
    ('phone = { constant = [1], right = "b" }', "phone.constant", "stands where one value belongs", "write one"),
    ('phone = { decimal = ";" }', "phone.decimal", '";" is not a decimal sign', 'write "," or "."'),
    ('phone = { decimal = { left = ";" } }', "phone.decimal.left", '";" is not a decimal sign', 'write "," or "."'),
    ('phone = { timezone = "Europe/Berln" }', "phone.timezone", "is not a time zone", 'did you mean "Europe/Berlin"?'),
    ('phone = { timezone = "New York" }', "phone.timezone", "is not a time zone", 'did you mean "America/New_York"?'),
    ('phone = { timezone = "Zzzzz" }', "phone.timezone", "is not a time zone", '"UTC"'),
    ("phone = { timezone = 3 }", "phone.timezone", "3 is not a time zone", '"UTC"'),
    ('phone = { as = "date", format = "dd.mm.yyyy" }', "phone.format", '"dd.mm.yyyy" is not a date format', '"%d.%m.%Y"'),
    ('phone = { format = "" }', "phone.format", '"" is not a format', '"%d.%m.%Y"'),
    ('phone = { format = "%d.%m" }', "phone.format", "does not hold a whole date", "a day, a month and a year"),
    ('phone = { format = "%Q" }', "phone.format", "is not a date format", '"%d.%m.%Y"'),
    (
        'phone = { as = "text", format = "%d.%m.%Y" }',
        "phone.format",
        "a format means nothing for text",
        'as = "date"',
    ),
    ('phone = { as = "text", decimal = "," }', "phone.decimal", "a decimal sign is for numbers", 'as = "decimal"'),
    ('phone = { as = "text", timezone = "UTC" }', "phone.timezone", "a time zone is for times", 'as = "datetime"'),
    ('phone = { as = "text", conflicts = "union" }', "phone.conflicts", "union joins sets, and the field is text", 'as = "set"'),
    ('phone = { conflicts = "mine" }', "phone.conflicts", '"mine" is not a choice here', "ask"),
    ('phone = { direction = "up" }', "phone.direction", '"up" is not a choice here', "both"),
    ("phone = { values = {} }", "phone.values", "the table of values is empty", "Won"),
    ("phone = { values = { a = 1 } }", "phone.values.a", "1 is not text", "write it in quotes"),
    ('phone = { values = { a = "x", b = "x" } }', "phone.values.b", '"x" stands for "a" as well', "one to one"),
    (
        'phone = { references = "contact" }',
        "phone.references",
        '"contact" is not a pair of this file',
        'did you mean "contacts"?',
    ),
    ('phone = { references = "contacts", as = "text" }', "phone.as", "references another pair", 'as = "reference"'),
    ('phone = { was = "email" }', "phone.was", '"email" is still a field of this pair', "leave was out"),
    (
        'phone = { left = "email", right = "tel" }',
        "phone.left",
        'it writes the same left field as the field "email"',
        "map it once",
    ),
]


@pytest.mark.parametrize(("line", "place", "wrong", "cure"), IN_THE_FIELDS, ids=[case[0] for case in IN_THE_FIELDS])
def test_a_mistake_in_a_field_is_named_with_its_cure(tmp_path, line, place, wrong, cure):
    [found] = problems_of(tmp_path, config(fields=line))
    assert found[0] == f"pairs.contacts.fields.{place}"
    assert wrong in found[1]
    assert cure in found[2]


AT_THE_TOP = [
    ('regio = "US"', "regio", "unknown key", 'did you mean "region"?'),
    ('region = "usa"', "region", '"usa" is not a country', '"US"'),
    ("state = 3", "state", "3 is not text", "write it in quotes"),
    ('state = ""', "state", "the text is empty", "at least one character"),
    ("systems.other = 3", "systems.other", "3 is not a table", "write a table"),
    ("systems.other = {}", "systems.other", "the connector is missing", "connectors list"),
    ('systems."a b" = { connector = "csv" }', 'systems."a b"', 'the name of a system can\'t be "a b"', "letters, digits"),
    ("pairs.other = []", "pairs.other", "a list of 0 is not a table", "write a table"),
    ("daemon = 3", "daemon", "3 is not a table", "write a table"),
]


@pytest.mark.parametrize(("line", "place", "wrong", "cure"), AT_THE_TOP, ids=[case[0] for case in AT_THE_TOP])
def test_a_mistake_outside_the_pairs_is_named_with_its_cure(tmp_path, line, place, wrong, cure):
    [found] = problems_of(tmp_path, config(top=line))
    assert found[0] == place
    assert wrong in found[1]
    assert cure in found[2]


IN_THE_SYSTEM = [
    ("read_only = 1", "read_only", "1 is not true or false", "write true or false"),
    ('timezone = "Mars"', "timezone", '"Mars" is not a time zone', ""),
    ("limits = 3", "limits", "3 is not a table", "write a table"),
    ("limits.max_calls = 0", "limits.max_calls", "0 is below 1", "from 1"),
    ("limits.max_calls = 1.5", "limits.max_calls", "1.5 is not a whole number", "a whole number"),
    ("limits.max_cals = 9", "limits.max_cals", "unknown key", 'did you mean "max_calls"?'),
    ("limits.requests_per_second = 0", "limits.requests_per_second", "0 is not above 0", "above 0"),
    ("limits.requests_per_second = inf", "limits.requests_per_second", "Infinity is not a number", "a number"),
]


@pytest.mark.parametrize(("line", "place", "wrong", "cure"), IN_THE_SYSTEM, ids=[case[0] for case in IN_THE_SYSTEM])
def test_a_mistake_in_a_system_is_named_with_its_cure(tmp_path, line, place, wrong, cure):
    [found] = problems_of(tmp_path, config(system=line))
    assert found[0] == f"systems.crm.{place}"
    assert wrong in found[1]
    assert cure in found[2]


def test_a_file_without_systems_and_pairs_says_what_to_add(tmp_path):
    assert problems_of(tmp_path, "") == [
        ("systems", "there is no system", 'add a table [systems.NAME] with connector = "..."'),
        ("pairs", "there is no pair", "add a table [pairs.NAME] with left, right, match and fields"),
    ]


def test_a_pair_without_its_keys_says_which_to_add(tmp_path):
    found = problems_of(tmp_path, config(more="[pairs.empty]"))
    assert found == [
        ("pairs.empty", f"the key {key} is missing", f"add {key} = {example}")
        for key, example in [
            ("left", '"system.resource"'),
            ("right", '"system.resource"'),
            ("match", '"email"'),
            ("fields", "{ ... }"),
        ]
    ]


def test_ends_and_match_keys_must_exist(tmp_path):
    text = config(
        more="""
        [pairs.things]
        left = "crn.things"
        right = "things"
        match = ["nmae", "name", "name", "origin"]
        fields = { name = "name", origin = { right = "origin", constant = "crm" } }
        """
    )
    assert problems_of(tmp_path, text) == [
        ("pairs.things.left", '"crn.things" names no system of this file', 'did you mean "crm"?'),
        ("pairs.things.right", '"things" does not name a resource', 'write "system.resource", such as "crm.contacts"'),
        ("pairs.things.match[0]", '"nmae" is not a mapped field of this pair', 'did you mean "name"?'),
        ("pairs.things.match[2]", '"name" stands twice in the match key', "name each field once"),
        ("pairs.things.match[3]", '"origin" is a constant and can\'t be matched by', "name a field that both sides have"),
    ]


def test_all_problems_come_at_once_and_in_the_order_of_the_file(tmp_path):
    """Checks that look at several values run although single values are wrong, and nothing is told twice."""
    text = """
    pairz = 1
    [systems.crm]
    connector = "csv"
    api_key = "${NO_SUCH}"
    read_only = "yes"
    [pairs.contacts]
    left = "crm.contacts"
    right = "office.people"
    match = "emial"
    deletes = "never"
    filter.right = [{ field = "a", iss = 1 }]
    [pairs.contacts.fields]
    email = { left = "e" }
    birthday = { as = "dat", format = "%Q" }
    """
    assert [place for place, _, _ in problems_of(tmp_path, text)] == [
        "pairz",
        "systems.crm.api_key",
        "systems.crm.read_only",
        "pairs.contacts.right",
        "pairs.contacts.match",
        "pairs.contacts.deletes",
        "pairs.contacts.filter.right[0].iss",
        "pairs.contacts.fields.email",
        "pairs.contacts.fields.birthday.as",
        "pairs.contacts.fields.birthday.format",
    ]


RINGS = [
    ("both", "both", "both", True),
    ("left_to_right", "left_to_right", "left_to_right", True),
    ("left_to_right", "left_to_right", "right_to_left", False),
    ("both", "both", "left_to_right", True),
    ("both", "left_to_right", "right_to_left", False),
]


@pytest.mark.parametrize(("first", "second", "third", "is_ring"), RINGS)
def test_a_ring_that_values_could_travel_round_is_refused(tmp_path, first, second, third, is_ring):
    text = '[systems.s]\nconnector = "csv"\n' + "".join(
        f'[pairs.{name}]\nleft = "s.{left}"\nright = "s.{right}"\nmatch = "k"\nfields.k = "k"\ndirection = "{direction}"\n'
        for name, left, right, direction in [("ab", "a", "b", first), ("bc", "b", "c", second), ("ca", "c", "a", third)]
    )
    if not is_ring:
        (tmp_path / "s.toml").write_text(text)
        assert len(load(tmp_path / "s.toml", environ={}).pairs) == 3
        return
    [(place, wrong, cure)] = problems_of(tmp_path, text)
    assert place == "pairs.ca"
    assert "closes a ring" in wrong
    assert all(name in wrong for name in ('"ab"', '"bc"', '"ca"'))
    assert "take one of these pairs out" in cure


def test_two_pairs_between_the_same_resources_are_refused(tmp_path):
    text = config(more='[pairs.again]\nleft = "office.people"\nright = "crm.contacts"\nmatch = "k"\nfields.k = "k"')
    [(place, wrong, cure)] = problems_of(tmp_path, text)
    assert (place, wrong) == ("pairs.again", 'this pair connects the same two resources as the pair "contacts"')
    assert "into one pair" in cure


def test_a_resource_is_not_kept_the_same_as_itself(tmp_path):
    text = config(more='[pairs.again]\nleft = "crm.x"\nright = "crm.x"\nmatch = "k"\nfields.k = "k"')
    assert [found[:2] for found in problems_of(tmp_path, text)] == [("pairs.again.right", '"crm.x" is the left side as well')]


def test_a_reference_needs_a_pair_between_the_same_systems(tmp_path):
    text = config(
        top="systems.third = { connector = 'csv' }",
        fields='company = { references = "companies" }',
        more='[pairs.companies]\nleft = "third.companies"\nright = "crm.companies"\nmatch = "name"\nfields.name = "name"',
    )
    [(place, wrong, cure)] = problems_of(tmp_path, text)
    assert place == "pairs.contacts.fields.company.references"
    assert '"companies" connects other systems' in wrong
    assert cure == "name a pair between the same two systems"


def test_a_referenced_pair_may_name_the_systems_the_other_way_round(tmp_path):
    text = config(
        fields='company = { references = "companies" }',
        more='[pairs.companies]\nleft = "office.companies"\nright = "crm.companies"\nmatch = "name"\nfields.name = "name"',
    )
    (tmp_path / "s.toml").write_text(text)
    assert load(tmp_path / "s.toml", environ={}).pairs.keys() == {"contacts", "companies"}


def test_a_direction_of_a_field_may_not_widen_that_of_its_pair(tmp_path):
    text = config(pair='direction = "left_to_right"', fields='phone = { direction = "both" }')
    [(place, wrong, cure)] = problems_of(tmp_path, text)
    assert place == "pairs.contacts.fields.phone.direction"
    assert wrong == '"both" goes against the pair, which is left_to_right'
    assert cure == 'use "left_to_right", or leave it out'


@pytest.mark.parametrize("kind", ["fields", "pairs"])
def test_an_old_name_has_one_successor(tmp_path, kind):
    if kind == "fields":
        text = config(fields='a = { was = "z" }\nb = { was = "z" }')
        expected = ["pairs.contacts.fields.b.was"]
    else:
        text = config(
            pair='was = "z"', more='[pairs.b]\nleft = "crm.b"\nright = "office.b"\nmatch = "k"\nfields.k = "k"\nwas = "z"'
        )
        expected = ["pairs.contacts.was", "pairs.b.was"]
    found = problems_of(tmp_path, text)
    assert [place for place, _, _ in found] == expected
    assert all("is claimed by two" in wrong for _, wrong, _ in found)


NOT_TOML = [
    ("left = crm\n", "line 1, column 8", "Invalid value", "text needs quotes"),
    ("a = 1\na = 2\n", "line 2, column 6", "Cannot overwrite a value", "stand once"),
    ("[a", "end of document", "Expected ']'", ""),
    ('a = "x', "end of document", "Unterminated string", ""),
    ("a = 2021-02-30\n", "line 1, column 5", "Invalid date", ""),
]


@pytest.mark.parametrize(("text", "where", "wrong", "cure"), NOT_TOML)
def test_a_file_that_is_not_toml_says_where(tmp_path, text, where, wrong, cure):
    [found] = problems_of(tmp_path, text)
    assert found[0].startswith("syncengine.toml, ")
    assert where in found[0]
    assert wrong in found[1]
    assert cure in found[2]


def test_a_missing_file_names_its_neighbours(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no such file \(write one with: syncengine init\)"):
        load(tmp_path / "syncengine.toml", environ={})
    (tmp_path / "syncengin.toml").touch()
    with pytest.raises(ConfigError, match=r'did you mean "syncengin.toml"\? with --config'):
        load(tmp_path / "syncengine.toml", environ={})


def test_a_folder_a_huge_file_and_a_wrong_encoding_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="this is a folder"):
        load(tmp_path, environ={})
    (tmp_path / "huge.toml").write_bytes(b"#" * (1 << 20) + b"#")
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load(tmp_path / "huge.toml", environ={})
    (tmp_path / "latin.toml").write_bytes(b'a = 1\nstate = "\xe4"\n')
    with pytest.raises(ConfigError, match="line 2 is not UTF-8"):
        load(tmp_path / "latin.toml", environ={})
