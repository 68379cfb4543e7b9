//! What control nodes do for each other and for those who come in: a node's part in the cluster,
//! once it has its state.
//!
//! ```text
//!  serve      what peers ask: messages of the journal, sessions, requests, certificates
//!  admit      letting a node in that has a join token
//!  authority  who certifies: its certificate for clients
//!  follow     what the agreed state says of the members: addresses, and who is believed no more
//!  introduce  what this node says of itself
//!  voters     on the leader: who votes
//!  status     the cluster, for people
//! ```
//!
//! It must never let anybody in whose use of a token is not committed.

pub(crate) mod admit;
pub(crate) mod authority;
pub(crate) mod follow;
pub(crate) mod introduce;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod voters;

pub use admit::NewJoinToken;
pub use authority::AuthorityShown;
pub use status::{ClusterStatus, MemberStatus, Vote};
