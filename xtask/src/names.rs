// SPDX-License-Identifier: GPL-3.0-or-later
//! What the documents call a test must be one: in `docs/`, every name in backquotes that is long enough to be a sentence.

use std::collections::BTreeSet;
use std::fs;

use crate::run::{at_root, output, root};

/// The files git knows whose names match `pattern`, as text.
fn texts(pattern: &str) -> Vec<(String, String)> {
    let files = output(at_root("git").args(["ls-files", "--", pattern])).unwrap();
    let read = |file: &str| fs::read_to_string(root().join(file)).ok().map(|text| (file.to_owned(), text));
    files.lines().filter_map(read).collect()
}

/// Every word behind `fn`.
fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.split("fn ").skip(1).filter_map(|rest| rest.split(|char: char| !is_of_name(char)).next())
}

/// The names of tests in backquotes.
fn tests_named_in(text: &str) -> impl Iterator<Item = &str> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.filter(|name| name.chars().all(is_of_name) && name.matches('_').count() >= 3)
}

fn is_of_name(char: char) -> bool {
    char == '_' || char.is_ascii_digit() || char.is_ascii_lowercase()
}

#[test]
fn documents_name_only_tests_that_exist() {
    let sources = texts("*.rs");
    let known: BTreeSet<&str> = sources.iter().flat_map(|(_, text)| functions(text)).collect();
    let (mut missing, mut found) = (Vec::new(), 0);
    for (file, text) in texts("docs/*.md") {
        for line in text.split("```").step_by(2).flat_map(str::lines) {
            for name in tests_named_in(line) {
                found += 1;
                if !known.contains(name) {
                    missing.push(format!("{file}: {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "no such tests: {missing:#?}");
    assert!(found > 20, "only {found} names were found");
}

#[test]
fn a_name_is_told_from_other_words_in_backquotes() {
    let line = "`f01_it_is_so` and `network_rekey`, `d43_…`, `a/b_c_d_e` and `it_is_so_too`";
    assert_eq!(tests_named_in(line).collect::<Vec<_>>(), ["f01_it_is_so", "it_is_so_too"]);
    assert_eq!(functions("fn a_b() { fn c2<T>() }").collect::<Vec<_>>(), ["a_b", "c2"]);
}
