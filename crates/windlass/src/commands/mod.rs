//! One module a verb: its flags, and what it does.

pub(crate) mod up;

pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod down;
pub(crate) mod events;
pub(crate) mod filter;
pub(crate) mod help;
pub(crate) mod history;
pub(crate) mod join;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod node;
pub(crate) mod ps;
pub(crate) mod purge;
pub(crate) mod rerun;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod version;
pub(crate) mod wait;
pub(crate) mod why;

pub(crate) mod load;
pub(crate) mod supervisor;
pub(crate) mod token;
