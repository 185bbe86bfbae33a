//! The table of attacks, `guests/hostile/attacks.json`. It is only read here; whether it is complete and true is for
//! `rows`. An attack has either a payload, which is run here, or a test that runs it elsewhere:
//!
//! | field | meaning |
//! |---|---|
//! | `name` | the attack's, which is that of its test and of what a component of the corpus calls it |
//! | `group` | what it belongs to, 1 to 18 (`rows::GROUPS`) |
//! | `what` | what it does, as the end of a sentence that begins with the guest |
//! | `payload` | the program of the corpus, without its ending |
//! | `needs` | what it is granted or told of: `ro`, `rw`, `granted`, `granted-udp`, `http`, `bind`, `tcp`, `udp` (`stage`), `room` (`room`); or not, `no-bind`, `no-names` |
//! | `limits` | limits of its job |
//! | `ends` | how it may end: `held` by an error, `trap`, `limit:` and the limit's key |
//! | `wall` | what contains it |
//! | `test` | the test program and the test that runs it, if it has no payload |
//! | `script` | what that test has a shell do as a native job, for the bench of neighbours to do it too |
//! | `advisory` | the advisory or entry whose regression it is |

use serde_json::Value;

/// The text of it.
const TEXT: &str = include_str!("../../guests/hostile/attacks.json");

/// One attack.
#[derive(Clone, Debug, Default)]
pub struct Row {
    pub name: String,
    pub group: u64,
    pub what: String,
    pub payload: Option<String>,
    pub needs: Vec<String>,
    pub limits: Vec<(String, u64)>,
    pub ends: Vec<String>,
    pub wall: String,
    pub test: Option<String>,
    pub script: Option<String>,
    pub advisory: Option<String>,
}

/// All attacks.
pub fn rows() -> Vec<Row> {
    let table: Value = serde_json::from_str(TEXT).unwrap_or_else(|error| panic!("attacks.json: {error}"));
    let rows = table.as_array().expect("attacks.json is a list");
    rows.iter().map(read).collect()
}

/// The attack of this name.
pub fn row(name: &str) -> Row {
    let found = rows().into_iter().find(|row| row.name == name);
    found.unwrap_or_else(|| panic!("attacks.json has no {name}"))
}

/// The fields that a row may have.
const FIELDS: &[&str] =
    &["name", "group", "what", "payload", "needs", "limits", "ends", "wall", "test", "script", "advisory"];

fn read(value: &Value) -> Row {
    let fields = value.as_object().unwrap_or_else(|| panic!("{value} is no object"));
    for field in fields.keys() {
        assert!(FIELDS.contains(&field.as_str()), "{field} is no field of an attack: {value}");
    }
    let limits = value["limits"].as_object().into_iter().flatten();
    Row {
        name: text(value, "name").unwrap_or_default(),
        group: value["group"].as_u64().unwrap_or_default(),
        what: text(value, "what").unwrap_or_default(),
        payload: text(value, "payload"),
        needs: texts(value, "needs"),
        limits: limits.map(|(key, most)| (key.clone(), most.as_u64().expect("a limit is a number"))).collect(),
        ends: texts(value, "ends"),
        wall: text(value, "wall").unwrap_or_default(),
        test: text(value, "test"),
        script: text(value, "script"),
        advisory: text(value, "advisory"),
    }
}

fn text(value: &Value, field: &str) -> Option<String> {
    value[field].as_str().map(ToOwned::to_owned)
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    let list = value[field].as_array().into_iter().flatten();
    list.map(|text| text.as_str().expect("a list of texts").to_owned()).collect()
}
