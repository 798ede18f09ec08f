//! `hookwire explain`: the hooks that are known by name, what they carry, and an example of each.

use serde_json::{Value, json};

use super::{
    Exit, Failure,
    term::{self, DIM, NOTE, clean, paint},
};
use crate::fanout::catalogue::{self, Described};

/// Print the hooks that are known by name: their fields, an example, since when
///
/// Any other hook is delivered all the same.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One hook, or a glob of hooks [default: all, as a table]
    #[arg(value_name = "HOOK")]
    hook: Option<String>,

    /// Print one JSON line a hook
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: Args) -> Result<(), Failure> {
    let glob = wildmatch::WildMatch::new(args.hook.as_deref().unwrap_or("*"));
    let found: Vec<_> = catalogue::described().into_iter().filter(|(name, _)| glob.matches(name)).collect();
    if found.is_empty() {
        let asked = args.hook.unwrap_or_default();
        return Err(Exit::Data.because(format!(
            "no hook is known by the name {:?}; it would be delivered all the same",
            clean(&asked)
        )));
    }
    let one =
        |(name, hook): &(String, Described)| if args.json { line(name, hook) } else { page(name, hook) };
    let text = match (args.json, args.hook) {
        (false, None) => table(&found),
        (false, Some(_)) => found.iter().map(one).collect::<Vec<_>>().join("\n\n"),
        (true, _) => found.iter().map(one).collect::<Vec<_>>().join("\n"),
    };
    term::print(&text)
}

fn table(hooks: &[(String, Described)]) -> String {
    let rows = hooks.iter().map(|(name, hook)| {
        let fields =
            if hook.typed { format!("{} (typed)", hook.fields.len()) } else { hook.fields.len().to_string() };
        vec![name.clone(), hook.since.clone(), fields, hook.about.clone()]
    });
    term::table(&["hook", "since", "fields", "what happened"], 4, rows)
}

fn page(name: &str, hook: &Described) -> String {
    let mut text =
        format!("{}  {}\n{}", paint(NOTE, name), paint(DIM, format!("since {}", hook.since)), hook.about);
    let carries = match (hook.typed, hook.fields.is_empty()) {
        (true, _) => "A message of its own:",
        (false, false) => "The gateway's own JSON, as recorded:",
        (false, true) => "The gateway's own JSON; it was not recorded.",
    };
    text = format!("{text}\n\n{carries}");
    let longest = hook.fields.keys().map(String::len).max().unwrap_or_default();
    for (field, kind) in &hook.fields {
        let kind = kind.as_str().unwrap_or_default();
        text = format!("{text}\n  {field:longest$}  {kind}");
    }
    if let Some(example) = &hook.example {
        text = format!("{text}\n\nFor example:\n  {example}");
    }
    text
}

fn line(name: &str, hook: &Described) -> String {
    let Described { about, since, typed, fields, example } = hook;
    let line: Value = json!({
        "hook": name, "about": about, "since": since, "typed": typed, "fields": fields, "example": example,
    });
    line.to_string()
}
