//! What the documents say is so: their code is the code, their links lead somewhere, the tests that they name are there.

use std::{
    fs,
    path::{Path, PathBuf},
};

const DOCUMENTS: [&str; 8] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "docs/metrics.md",
    "docs/verify.md",
    "docs/wire.md",
    "docs/python/README.md",
    "sdk/rust/README.md",
];

#[test]
fn the_readmes_plugin_is_the_example() {
    assert_eq!(readme_block(0), read("sdk/rust/examples/hello.rs"));
    assert_eq!(block("sdk/rust/README.md", 0), read("sdk/rust/examples/hello.rs"));
}

#[test]
fn the_sdks_readme_shows_the_documented_test() {
    let source = read("sdk/rust/src/testing.rs");
    let shown = source.lines().skip_while(|line| *line != "//! ```").skip(1);
    let shown = shown.take_while(|line| *line != "//! ```").filter(|line| !line.starts_with("//! # "));
    let shown: Vec<_> = shown.map(|line| line.strip_prefix("//! ").unwrap_or_default().trim()).collect();
    let readme = block("sdk/rust/README.md", 1);
    let mut readme = readme.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in shown.into_iter().filter(|line| !line.is_empty()) {
        assert!(readme.any(|it| it == line), "the README does not show {line:?}");
    }
}

#[test]
fn the_readmes_gateway_is_the_documented_one() {
    let source = read("dispatcher/src/dispatcher.rs");
    let shown = source.lines().skip_while(|line| *line != "//! ```no_run").skip(1);
    let shown = shown.take_while(|line| *line != "//! ```").filter(|line| !line.starts_with("//! # "));
    let shown = shown.map(|line| line.strip_prefix("//! ").unwrap_or_default());
    assert_eq!(readme_block(1).lines().collect::<Vec<_>>(), shown.collect::<Vec<_>>());
}

#[test]
fn every_link_leads_somewhere() {
    for document in DOCUMENTS {
        for (_, target) in links(document) {
            assert!(target.exists(), "{document}: there is no {}", target.display());
        }
    }
}

#[test]
fn every_test_that_is_named_is_there() {
    for (text, target) in DOCUMENTS.into_iter().flat_map(links) {
        let name = text.trim_matches('`');
        if is_test_file(&target) && target.file_stem().is_some_and(|file| file != name) {
            let source = fs::read_to_string(&target).unwrap_or_default(); // where it is not, its link fails
            assert!(source.contains(&format!("fn {name}(")), "{} has no test {name}", target.display());
        }
    }
}

#[test]
fn every_counter_is_explained() {
    let (source, page) = (read("dispatcher/src/metrics.rs"), read("docs/metrics.md"));
    let counters = source.split('"').skip(1).step_by(2);
    assert!(counters.clone().count() > 20);
    for counter in counters {
        assert!(page.contains(&format!("\n| `{counter}` | ")), "docs/metrics.md does not explain {counter}");
    }
}

/// The README's blocks of Rust, in order.
fn readme_block(number: usize) -> String {
    block("README.md", number)
}

fn block(document: &str, number: usize) -> String {
    let text = read(document);
    let block = text.split("```rust\n").nth(number + 1).expect("the document has it");
    block.split_inclusive('\n').take_while(|line| *line != "```\n").collect()
}

/// The links of a document that stay within the project: what they say, and where they lead.
fn links(document: &str) -> Vec<(String, PathBuf)> {
    let text = read(document);
    let folder = root().join(document).parent().expect("a document is in a folder").to_owned();
    let mut links = Vec::new();
    for (at, _) in text.match_indices("](") {
        let said = text[..at].rsplit('[').next().unwrap_or_default();
        let target = text[at + 2..].split([')', '#']).next().unwrap_or_default();
        if !target.contains("://") && !target.is_empty() {
            links.push((said.to_owned(), folder.join(target)));
        }
    }
    links
}

fn is_test_file(path: &Path) -> bool {
    let within = path.components().any(|part| part.as_os_str() == "tests");
    (within || path.ends_with("tests.rs")) && path.extension().is_some_and(|it| it == "rs")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
