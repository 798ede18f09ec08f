use std::io::Write;

use super::*;

fn none(_: &str) -> Option<String> {
    None
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

/// The complaint about a file, without the file's name.
fn complaint(text: &str) -> String {
    let file = file(text);
    let error = Config::load(Flags::new(), none, Some(file.path())).unwrap_err().to_string();
    error.replace(&file.path().display().to_string(), "FILE")
}

fn keys() -> impl Iterator<Item = &'static str> {
    let settings = DEFAULT_FILE.lines().filter(|line| !line.starts_with('#'));
    settings.filter_map(|line| Some(line.split_once(" = ")?.0))
}

#[test]
fn the_compiled_in_file_is_the_behaviour() {
    let config = Config::default();
    assert_eq!(config, Config::load(Flags::new(), none, None).unwrap());
    assert_eq!(config.listen, [hookwire_sdk::DEFAULT_ADDRESS.parse().unwrap()]);
    assert_eq!((config.drain_budget, config.queue_bytes), (Duration::from_secs(2), 16 << 20));
    assert_eq!(config.report, None);
}

#[test]
fn every_setting_has_a_comment_right_above_it() {
    let lines: Vec<_> = DEFAULT_FILE.lines().collect();
    for (above, line) in lines.iter().zip(&lines[1..]) {
        let setting = !line.is_empty() && !line.starts_with('#');
        assert!(!setting || above.starts_with("# "), "{line}");
    }
}

#[test]
fn every_setting_in_the_file_is_read() {
    let path = |key: &str| matches!(key, "data_dir" | "report"); // any text is one
    for key in keys().filter(|key| !path(key)) {
        let complaint = complaint(&format!("{key} = \"?\""));
        assert!(complaint.starts_with(&format!("{key} (from FILE:1): \"?\" is n")), "{complaint}");
    }
}

#[test]
fn flags_go_over_variables_over_the_file() {
    let file = file("keepalive = \"1s\"\nhello_timeout = \"1s\"\nack_timeout = \"1s\"");
    let variable = |name: &str| match name {
        "HOOKWIRE_KEEPALIVE" | "HOOKWIRE_HELLO_TIMEOUT" => Some("2s".to_owned()),
        "HOOKWIRE_ACK_TIMEOUT" => Some(String::new()),
        _ => None,
    };
    let flags = vec![("keepalive", vec!["3s".to_owned()])];
    let config = Config::load(flags, variable, Some(file.path())).unwrap();
    let seconds = [config.keepalive, config.hello_timeout, config.ack_timeout, config.gateway_grace];
    assert_eq!(seconds.map(|setting| setting.as_secs()), [3, 2, 1, 10]);
}

#[test]
fn a_variable_holds_a_list_with_commas() {
    let variable = |name: &str| (name == "HOOKWIRE_LISTEN").then(|| "127.0.0.1:0, unix:/s".to_owned());
    let config = Config::load(Flags::new(), variable, None).unwrap();
    assert_eq!(config.listen.iter().map(Address::to_string).collect::<Vec<_>>(), ["127.0.0.1:0", "unix:/s"]);
}

#[test]
fn a_file_may_write_values_as_they_are_or_as_text() {
    let file =
        file("listen = \"127.0.0.1:1\"\nqueue_events = 1_000\nmax_in_flight = \"7\"\ninsecure_listen = true");
    let config = Config::load(Flags::new(), none, Some(file.path())).unwrap();
    assert_eq!((config.queue_events, config.max_in_flight, config.insecure_listen), (1000, 7, true));
    assert_eq!(config.listen.len(), 1);
}

#[test]
fn a_bad_value_names_its_setting_and_where_it_was_given() {
    let flags = vec![("drain_budget", vec!["2 parsecs".to_owned()])];
    assert_eq!(
        Config::load(flags, none, None).unwrap_err().to_string(),
        "drain_budget (from --drain-budget): \"2 parsecs\" is no duration: write 500ms, 2s or 1m",
    );
    let variable = |name: &str| (name == "HOOKWIRE_QUEUE_BYTES").then(|| "16MB".to_owned());
    assert_eq!(
        Config::load(Flags::new(), variable, None).unwrap_err().to_string(),
        "queue_bytes (from HOOKWIRE_QUEUE_BYTES): \"16MB\" is no size: write bytes, or 64KiB, 16MiB, 1GiB",
    );
    assert_eq!(complaint("\n\nkeepalive = \"1ms\""), "keepalive (from FILE:3): \"1ms\" is shorter than 10ms");
}

#[test]
fn a_file_that_cannot_be_used_says_where() {
    for (text, expected) in [
        ("# a\n\nkeep_alive = \"2s\"", "FILE:3: there is no setting \"keep_alive\""),
        ("[limits]\nkeepalive = \"2s\"", "FILE:1: there is no setting \"limits\""),
        (
            "keepalive = 1.5",
            "keepalive (from FILE:1): it takes a text, a number, true or false, or a list of texts",
        ),
        ("keepalive = [\"1s\", \"2s\"]", "keepalive (from FILE:1): it has one value, not a list"),
        ("listen = []", "listen (from FILE:1): the list is empty"),
        ("queue_events = 0", "queue_events (from FILE:1): \"0\" is no number from 1 up that fits"),
        (
            "max_in_flight = 4294967296",
            "max_in_flight (from FILE:1): \"4294967296\" is no number from 1 up that fits",
        ),
        ("max_event_bytes = \"64MiB\"", "max_event_bytes (from FILE:1): \"64MiB\" is more than 63MiB"),
        (
            "queue_bytes = 1024",
            "queue_bytes (from FILE:1): less than max_event_bytes: no queue could hold such an event",
        ),
    ] {
        assert_eq!(complaint(text), expected);
    }
    assert!(complaint("x = 1\nlisten = [").starts_with("FILE:2: "));
    let missing = Config::load(Flags::new(), none, Some(Path::new("/no/such/file"))).unwrap_err();
    assert!(missing.to_string().starts_with("/no/such/file: "));
}
