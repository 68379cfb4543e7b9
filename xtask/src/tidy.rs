//! The house rules that a machine can check, checked.
//!
//! Each rule is a file with one function from the tree of the repository to the faults in it.
//! A rule never reads the disk: the tree is read once, here, so that a test can make one up.

mod arrows;
mod circles;
mod code;
mod dependencies;
mod examples;
mod fault;
mod links;
mod lints;
mod markers;
mod opening;
mod size;
mod sleeps;
mod tree;
mod words;

use std::process::ExitCode;

use anyhow::Result;

use crate::workspace;
use fault::Fault;
use tree::Tree;

/// Checks every rule and prints each fault on a line of its own.
pub(crate) fn run() -> Result<ExitCode> {
    let tree = Tree::read(&workspace::root())?;
    let metadata = workspace::metadata(&["--no-deps"])?;
    let mut faults = arrows::check(&metadata);
    faults.extend(RULES.iter().flat_map(|rule| rule(&tree)));
    faults.sort();

    for fault in &faults {
        println!("{fault}");
    }
    if faults.is_empty() {
        println!("tidy: {} files, no fault", tree.files.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("tidy: {} faults in {} files", faults.len(), tree.files.len());
    Ok(ExitCode::FAILURE)
}

/// The rules that need no more than the files.
const RULES: &[fn(&Tree) -> Vec<Fault>] = &[
    lints::check,
    opening::check,
    size::check,
    circles::check,
    markers::check,
    sleeps::check,
    examples::check,
    links::check,
    dependencies::check,
    words::check,
];
