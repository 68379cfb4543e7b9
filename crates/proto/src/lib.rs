//! The wire forms of the vocabulary: what is written to the journal, spoken between worker and
//! control part, between daemon and supervisor, and to the outside.
//!
//! The `.proto` files beside this crate are the contract; the code is generated from them at
//! build time. The conversions from and to `model` live here once, for every package shares them.
//! It must never decide anything: a message that cannot be understood is an [`Invalid`], no more.

mod convert;
mod silent;

pub use convert::{Invalid, element_ranges, ranges, required};

#[allow(missing_docs, clippy::all, unreachable_pub)]
mod generated {
    /// Generated code names its neighbours by their packages, so the modules lie as those do.
    pub mod windlass {
        pub mod job {
            pub mod v1 {
                tonic::include_proto!("windlass.job.v1");
            }
        }
        pub mod peer {
            pub mod v1 {
                tonic::include_proto!("windlass.peer.v1");
            }
        }
        pub mod record {
            pub mod v1 {
                tonic::include_proto!("windlass.record.v1");
            }
        }
        pub mod session {
            pub mod v1 {
                tonic::include_proto!("windlass.session.v1");
            }
        }
        pub mod supervisor {
            pub mod v1 {
                tonic::include_proto!("windlass.supervisor.v1");
            }
        }
        pub mod v1 {
            tonic::include_proto!("windlass.v1");
        }
    }
    /// One file, one package.
    pub mod otlp {
        tonic::include_proto!("opentelemetry.proto.collector.trace.v1");
    }
}

/// What collectors of OpenTelemetry take.
pub use generated::otlp;
/// The forms that the other packages share.
pub use generated::windlass::job::v1 as job;
/// Nodes among themselves.
pub use generated::windlass::peer::v1 as peer;
/// Journal records.
pub use generated::windlass::record::v1 as record;
/// Worker part and control part.
pub use generated::windlass::session::v1 as session;
/// Daemon and supervisor.
pub use generated::windlass::supervisor::v1 as supervisor;
/// The public interface.
pub use generated::windlass::v1 as api;

/// The version of the daemon's and supervisor's protocol: grows when a message changes its meaning.
pub const SUPERVISOR_VERSION: u32 = 2;

/// The descriptors of every package, for reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/windlass.bin"));
