//! Snapshots of the cluster.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| node::fuzz::cluster_snapshot(bytes));
