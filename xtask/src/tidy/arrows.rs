//! Which crate may use which: the arrows of the house point only downward.
//!
//! The list below is the design, said once. A new crate or a new arrow is a decision: it is made here first,
//! in a commit of its own, with its reason.

use serde_json::Value;

use super::fault::Fault;

/// A crate, and what it may use of the house.
struct Room {
    name: &'static str,
    may_use: &'static [&'static str],
}

/// The house, floor by floor.
const HOUSE: &[Room] = &[
    Room { name: "model", may_use: &[] },
    Room { name: "proto", may_use: &["model"] },
    Room { name: "journal", may_use: &[] },
    // Facts are typed: only so are a million of them small, and found by state without being decoded.
    Room { name: "history", may_use: &["model"] },
    Room { name: "machine", may_use: &["model", "proto"] },
    Room { name: "runner", may_use: &["model", "proto"] },
    Room { name: "reactor", may_use: &["model", "proto", "machine"] },
    // What nodes say to each other is carried, and not understood: of the journal it knows the bytes alone.
    Room { name: "peer", may_use: &["model", "proto", "journal"] },
    Room {
        name: "node",
        may_use: &["model", "proto", "journal", "history", "machine", "runner", "reactor", "peer"],
    },
    Room { name: "api", may_use: &["node", "model", "proto"] },
    // What it has of peers is the authority: who certifies the listener that it opens.
    Room { name: "windlass", may_use: &["api", "node", "runner", "model", "proto", "peer"] },
    Room { name: "sim", may_use: &["reactor", "machine", "model", "proto"] },
    // The real journal under the real reactor; the node's own shell has threads, so it has one of its own.
    Room { name: "storm", may_use: &["node", "peer", "reactor", "machine", "journal", "model"] },
    // The chores stay outside, so that they build in seconds: what `bench` runs of the house, it starts as a program.
    Room { name: "xtask", may_use: &[] },
];

/// The crates which decide, and so must have no clock, file, socket, thread or chance.
pub(super) const PURE: &[&str] = &["model", "machine", "reactor"];

/// All that a pure crate may use from outside. None of them does I/O; `uuid`'s random ids are denied by a lint.
const PURE_MAY_USE: &[&str] = &["bytes", "imbl", "prost", "sha2", "thiserror", "uuid"];

/// Checks what `cargo metadata` says against the list.
pub(super) fn check(metadata: &Value) -> Vec<Fault> {
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut faults: Vec<Fault> = packages.iter().flat_map(check_package).collect();
    for room in HOUSE {
        if !packages.iter().any(|package| package["name"] == room.name) {
            let what =
                format!("the house has a room `{}`, the workspace has no such crate", room.name);
            faults.push(Fault::new(
                "xtask/src/tidy/arrows.rs",
                1,
                what,
                "take it out of the list, or add the crate",
            ));
        }
    }
    faults
}

fn check_package(package: &Value) -> Vec<Fault> {
    let name = package["name"].as_str().unwrap_or_default();
    let manifest = manifest_of(name);
    let Some(room) = HOUSE.iter().find(|room| room.name == name) else {
        let what = format!("crate `{name}` has no room in the house");
        return vec![Fault::new(
            &manifest,
            1,
            what,
            "name it and its arrows in xtask/src/tidy/arrows.rs first",
        )];
    };
    let dependencies = package["dependencies"].as_array().map(Vec::as_slice).unwrap_or_default();
    dependencies.iter().filter_map(|dependency| check_arrow(room, dependency, &manifest)).collect()
}

fn check_arrow(room: &Room, dependency: &Value, manifest: &str) -> Option<Fault> {
    let to = dependency["name"].as_str().unwrap_or_default();
    let from = room.name;
    let is_house = HOUSE.iter().any(|room| room.name == to);
    if is_house && !room.may_use.contains(&to) {
        let what = format!("`{from}` must not use `{to}`");
        return Some(Fault::new(
            manifest,
            1,
            what,
            "arrows point only downward: move the shared part to a lower floor",
        ));
    }
    let ships = dependency["kind"] != "dev";
    if ships && !is_house && PURE.contains(&from) && !PURE_MAY_USE.contains(&to) {
        let what = format!("the pure crate `{from}` must not use `{to}`");
        return Some(Fault::new(
            manifest,
            1,
            what,
            "let the shell do it, or argue for it in xtask/src/tidy/arrows.rs",
        ));
    }
    None
}

fn manifest_of(name: &str) -> String {
    match name {
        "xtask" => "xtask/Cargo.toml".to_owned(),
        _ => format!("crates/{name}/Cargo.toml"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The faults of one crate which uses one other.
    fn check_one(from: &str, kind: Option<&str>, to: &str) -> Vec<String> {
        let package = json!({ "name": from, "dependencies": [{ "name": to, "kind": kind }] });
        check_package(&package).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn an_arrow_of_the_list_is_fine() {
        assert!(check_one("reactor", None, "machine").is_empty());
        assert!(check_one("node", None, "tokio").is_empty());
    }

    #[test]
    fn an_arrow_upward_is_a_fault_of_every_kind() {
        for kind in [None, Some("build"), Some("dev")] {
            let faults = check_one("machine", kind, "reactor");
            assert_eq!(faults.len(), 1, "{kind:?}");
            assert!(
                faults[0]
                    .starts_with("crates/machine/Cargo.toml:1: `machine` must not use `reactor`")
            );
        }
    }

    #[test]
    fn a_pure_crate_ships_without_io_and_tests_with_what_it_likes() {
        assert!(
            check_one("machine", None, "tokio")[0]
                .contains("pure crate `machine` must not use `tokio`")
        );
        assert!(check_one("machine", Some("dev"), "proptest").is_empty());
    }

    #[test]
    fn an_unknown_crate_and_a_missing_one_are_faults() {
        assert!(check_one("attic", None, "model")[0].contains("no room in the house"));
        let faults = check(&json!({ "packages": [] }));
        assert_eq!(faults.len(), HOUSE.len());
    }

    #[test]
    fn the_list_itself_points_only_downward() {
        for (floor, room) in HOUSE.iter().enumerate() {
            for to in room.may_use {
                let below = HOUSE[..floor].iter().any(|lower| lower.name == *to);
                assert!(below, "{} uses {to}, which does not stand below it", room.name);
            }
        }
    }
}
