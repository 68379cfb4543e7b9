//! Identities: short numbers for people, UUIDs for programs, and the fence for outside systems.
//!
//! Numbers are committed, so they are dense and short to type; every one is a newtype so that a run
//! is never passed where an index is meant. An id is never an address.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

/// The position of a task in its job, from 0.
pub type TaskPosition = u32;
/// The index of an element in its array, as the user counts; 0 for a task that is no array.
pub type TaskIndex = u32;
/// The number of an attempt of one element, from 1.
pub type AttemptNumber = u32;

/// A run's committed number, from 1. It has at most 48 bits, so that it fits an element's UUID.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub u64);

impl RunId {
    /// The highest number a run can have.
    pub const MAX: RunId = RunId((1 << 48) - 1);
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One unit of execution: a task of a run, or one index of an array task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Element {
    /// The run it belongs to.
    pub run: RunId,
    /// The position of its task in the job, below [`Element::TASKS_MAX`].
    pub task: TaskPosition,
    /// Its index in the array, 0 where there is none.
    pub index: TaskIndex,
}

impl Element {
    /// No job has this many tasks: 24 bits of the UUID hold the position.
    pub const TASKS_MAX: u32 = 1 << 24;

    /// The element's UUID: version 8, made of run, task and index alone.
    ///
    /// Layout of the 122 free bits, most significant first: run 48, task 24, index 32, zero 18.
    pub fn uuid(self) -> Uuid {
        debug_assert!(self.run <= RunId::MAX && self.task < Self::TASKS_MAX);
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&self.run.0.to_be_bytes()[2..]);
        // The version takes the upper half of byte 6, the variant the upper two bits of byte 8,
        // so the task's 24 bits lie in 4 + 8 + 6 + 6 bits.
        let task = self.task;
        bytes[6] = (task >> 20) as u8;
        bytes[7] = (task >> 12) as u8;
        bytes[8] = (task >> 6) as u8 & 0x3f;
        bytes[9] = ((task as u8) & 0x3f) << 2;
        bytes[10..14].copy_from_slice(&self.index.to_be_bytes());
        Builder::from_custom_bytes(bytes).into_uuid()
    }

    /// The element that [`Element::uuid`] made this UUID of; `None` for any other UUID.
    pub fn from_uuid(uuid: Uuid) -> Option<Element> {
        let bytes = uuid.as_bytes();
        let mut run = [0; 8];
        run[2..].copy_from_slice(&bytes[..6]);
        let task = (u32::from(bytes[6]) & 0x0f) << 20
            | u32::from(bytes[7]) << 12
            | (u32::from(bytes[8]) & 0x3f) << 6
            | u32::from(bytes[9]) >> 2;
        let index = u32::from_be_bytes([bytes[10], bytes[11], bytes[12], bytes[13]]);
        let element = Element { run: RunId(u64::from_be_bytes(run)), task, index };
        (element.uuid() == uuid).then_some(element)
    }
}

/// One execution of one element on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attempt {
    /// What is executed.
    pub element: Element,
    /// Which try this is, from 1.
    pub number: AttemptNumber,
}

impl fmt::Display for Attempt {
    /// Without the spec at hand the task is shown by its position: `812/0[37]#2`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Element { run, task, index } = self.element;
        write!(f, "{run}/{task}[{index}]#{}", self.number)
    }
}

/// A number that grows with every attempt of an element, for outside systems to compare.
///
/// The upper 16 bits are the cluster's incarnation and the lower 48 the journal index of the
/// placement: one integer, so that a shell script or a database can compare it with `<`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fence(pub u64);

impl Fence {
    /// The fence of a placement at `index` in `incarnation`.
    pub fn new(incarnation: u16, index: u64) -> Fence {
        debug_assert!(index < 1 << 48);
        Fence(u64::from(incarnation) << 48 | index)
    }

    /// The incarnation in which the placement was committed.
    pub fn incarnation(self) -> u16 {
        (self.0 >> 48) as u16
    }

    /// The journal index of the placement.
    pub fn index(self) -> u64 {
        self.0 & ((1 << 48) - 1)
    }
}

impl fmt::Display for Fence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The id as 16 bytes, for wire forms.
            pub fn to_bytes(self) -> Vec<u8> {
                self.0.as_bytes().to_vec()
            }

            /// The id of 16 bytes; `None` for any other length.
            pub fn from_bytes(bytes: &[u8]) -> Option<$name> {
                Uuid::from_slice(bytes).ok().map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<$name, uuid::Error> {
                text.parse().map($name)
            }
        }
    };
}

uuid_id! {
    /// A node, by the id in its data directory.
    NodeId
}
uuid_id! {
    /// A cluster, by the id its first node made.
    ClusterId
}
uuid_id! {
    /// One life of a supervisor process; a new process has a new id.
    SupervisorId
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(run: u64, task: u32, index: u32) {
        let element = Element { run: RunId(run), task, index };
        let uuid = element.uuid();
        assert_eq!(uuid.get_version_num(), 8);
        assert_eq!(Element::from_uuid(uuid), Some(element), "{uuid}");
    }

    #[test]
    fn an_element_is_read_back_from_its_uuid() {
        check(1, 0, 0);
        check(812, 3, 37);
        check(RunId::MAX.0, Element::TASKS_MAX - 1, u32::MAX);
        check(0x1234_5678_9abc, 0x00ab_cdef, 0xdead_beef);
    }

    #[test]
    fn a_foreign_uuid_is_no_element() {
        let uuid = "67e55044-10b1-426f-9247-bb680e5fe0c8".parse().unwrap();
        assert_eq!(Element::from_uuid(uuid), None);
    }

    #[test]
    fn a_later_placement_or_incarnation_has_a_greater_fence() {
        assert!(Fence::new(1, 8) > Fence::new(1, 7));
        assert!(Fence::new(2, 1) > Fence::new(1, 1 << 40));
        assert_eq!(Fence::new(3, 99).incarnation(), 3);
        assert_eq!(Fence::new(3, 99).index(), 99);
    }
}
