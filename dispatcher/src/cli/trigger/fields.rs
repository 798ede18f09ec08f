//! What `--json` says of the hooks that carry a message of their own: under the wire's names or in camel case, and nothing else.

use serde_json::{Map, Value};

use crate::fanout::catalogue::Described;

/// How an event names its session, whatever its hook.
const OF_ITS_SESSION: [&str; 3] = ["session_id", "session_key", "agent_id"];

/// The fields in camel case, as a line of `publish` has them.
///
/// # Errors
/// When the hook has no such field, when it is the dispatcher's, there twice, or of another type.
pub(super) fn read(
    hook: &str,
    known: &Described,
    said: Map<String, Value>,
) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for (name, value) in said {
        let wire = snake(&name);
        let kind = match known.given().find(|(given, _)| *given == wire) {
            Some((_, kind)) => kind,
            None if OF_ITS_SESSION.contains(&wire.as_str()) => "text",
            None => return Err(unknown(hook, known, &name, &wire)),
        };
        check(&name, kind, &value)?;
        if fields.insert(camel(&wire), value).is_some() {
            return Err(format!("{name:?} is there under both of its names"));
        }
    }
    Ok(fields)
}

fn unknown(hook: &str, known: &Described, name: &str, wire: &str) -> String {
    let what = match known.fields.contains_key(wire) {
        true => format!("{name:?} is filled in by the dispatcher"),
        false => format!("there is no {name:?}"),
    };
    let own: Vec<_> = known.given().map(|(given, _)| given).collect();
    format!("{what}: a {hook} has {}, and of its session {}", own.join(", "), OF_ITS_SESSION.join(", "))
}

fn check(name: &str, kind: &str, value: &Value) -> Result<(), String> {
    let (fits, what) = match kind {
        "number" => {
            (value.as_u64().is_some_and(|number| u32::try_from(number).is_ok()), "a number of 32 bits")
        }
        _ => (value.is_string(), "a text"),
    };
    if fits { Ok(()) } else { Err(format!("{name:?} is {what}, not {value}")) }
}

fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    for character in name.chars() {
        if character.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(character.to_ascii_lowercase());
    }
    snake
}

fn camel(name: &str) -> String {
    let mut words = name.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |name, word| {
        let (initial, rest) = word.split_at(usize::from(!word.is_empty()));
        name + &initial.to_ascii_uppercase() + rest
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fanout::catalogue;

    fn fields(hook: &str, said: Value) -> Result<Value, String> {
        let (_, known) = catalogue::described().into_iter().find(|(name, _)| name == hook).expect("a hook");
        let Value::Object(said) = said else { panic!("no object: {said}") };
        read(hook, &known, said).map(Value::Object)
    }

    #[test]
    fn both_names_are_one() {
        let camel = json!({"sessionId": "s", "nextSessionKey": "k", "sessionFile": "f", "reason": "idle"});
        let snake =
            json!({"session_id": "s", "next_session_key": "k", "session_file": "f", "reason": "idle"});
        assert_eq!(fields("session_end", snake), Ok(camel.clone()));
        assert_eq!(fields("session_end", camel.clone()), Ok(camel));
    }

    #[test]
    fn what_a_hook_has_not_is_named_and_so_is_what_it_has() {
        let told = |hook, said| fields(hook, said).expect_err(hook);
        let none = told("session_start", json!({"resumed": "r"}));
        assert!(none.contains(r#"no "resumed""#) && none.contains("resumed_from, session_file"), "{none}");
        let dispatchers = told("session_end", json!({"lastSessionSeq": 1}));
        assert!(dispatchers.contains("filled in by the dispatcher"), "{dispatchers}");
        for said in [json!({"port": "1"}), json!({"port": -1}), json!({"port": 1_u64 << 32})] {
            assert!(told("gateway_start", said).contains("32 bits"));
        }
        assert!(told("gateway_stop", json!({"text": 7})).contains("a text, not 7"));
        assert!(
            told("session_start", json!({"sessionId": "a", "session_id": "b"})).contains("both of its names")
        );
    }
}
