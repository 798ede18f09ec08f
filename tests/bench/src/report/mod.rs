//! From a run's results to `docs/benchmarks.md` and its charts; what has a page of its own is written the same way.
//!
//! ```text
//! results ─▶ rows ─▶ targets ─▶ verdicts ─┐
//!              ├───▶ columns ─▶ sections ─┼─▶ page.md filled in ─▶ docs/benchmarks.md
//!              └───▶ pictures ─▶ charts ──┴──────────────────────▶ docs/benchmarks/*.svg
//! ```

pub mod chart;
pub mod columns;
pub mod figure;
pub mod names;
pub mod pictures;
pub mod rows;
pub mod sections;
pub mod table;
pub mod targets;
pub mod verdict;

use std::{fs, io, path::Path};

use self::pictures::{Picture, pictures};
use crate::results::{Results, Row, Scenario};

/// The page's prose. A line `{{name}}` stands for a section, `{{picture name}}` for a chart.
const PAGE: &str = include_str!("page.md");

/// The same, of what the journal costs.
const JOURNAL: &str = include_str!("journal.md");

/// The same, of what the SDKs cost.
const SDKS: &str = include_str!("sdks.md");

/// Scenarios that have a page to themselves: its name, and its prose.
const OF_THEIR_OWN: [(Scenario, &str, &str); 2] =
    [(Scenario::Durability, "journal.md", JOURNAL), (Scenario::Sdks, "sdks.md", SDKS)];

/// The folder of the charts, beside the page.
const FOLDER: &str = "benchmarks";

/// Writes what was measured into this folder: `journal.md`, `sdks.md`, and `benchmarks.md` with `benchmarks/*.svg`. What was
/// not measured at all stays as it was.
///
/// # Errors
/// The folder cannot be written.
pub fn write(results: &Results, docs: &Path) -> io::Result<()> {
    let has = |scenario| results.rows.iter().any(|row| row.scenario == scenario);
    for (scenario, file, template) in OF_THEIR_OWN {
        if has(scenario) {
            fs::write(docs.join(file), page(template, results, &[]))?;
        }
    }
    let is_compared = |row: &Row| OF_THEIR_OWN.iter().all(|(scenario, ..)| row.scenario != *scenario);
    if results.rows.iter().any(is_compared) { write_comparison(results, docs) } else { Ok(()) }
}

/// Charts of an earlier run that are none any more go.
fn write_comparison(results: &Results, docs: &Path) -> io::Result<()> {
    let pictures = pictures(results);
    let folder = docs.join(FOLDER);
    fs::create_dir_all(&folder)?;
    for entry in fs::read_dir(&folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "svg") {
            fs::remove_file(path)?;
        }
    }
    for picture in &pictures {
        fs::write(folder.join(format!("{}.svg", picture.name)), &picture.svg)?;
    }
    fs::write(docs.join("benchmarks.md"), page(PAGE, results, &pictures))
}

/// The page, with every placeholder filled in.
fn page(template: &str, results: &Results, pictures: &[Picture]) -> String {
    let mut text = String::with_capacity(template.len() * 4);
    for line in template.lines() {
        match line.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")) {
            Some(name) => text.push_str(&filled(results, pictures, name)),
            None => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

fn filled(results: &Results, pictures: &[Picture], name: &str) -> String {
    if let Some(name) = name.strip_prefix("picture ") {
        let picture = pictures.iter().find(|picture| picture.name == name);
        return picture
            .map(|Picture { name, alt, .. }| format!("![{alt}]({FOLDER}/{name}.svg)"))
            .unwrap_or_default();
    }
    let section =
        sections::section(results, name).expect("the page is compiled in, and a test fills all of it");
    section.trim_end().to_owned()
}

#[cfg(test)]
mod tests;
