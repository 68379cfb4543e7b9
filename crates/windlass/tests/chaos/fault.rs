//! What can go wrong, how likely each is, and which wires it cuts.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::chance::Chance;
use crate::clients::any;
use crate::world::Wire;

/// Something that can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// The daemon is killed.
    Kill,
    /// The daemon is told to end, and started again at once.
    Restart,
    /// The daemon is stopped and goes on later; its tasks do not notice.
    Pause,
    /// All of the machine is stopped and goes on later.
    Freeze,
    /// All of the machine is killed.
    PowerOff,
    /// The supervisor is killed.
    SupervisorKill,
    /// Nothing reaches the machine, and nothing of it anybody.
    CutOff,
    /// Nothing reaches the machine.
    Deaf,
    /// Nothing of the machine reaches anybody.
    Mute,
    /// Two machines do not reach each other.
    CutPair,
    /// One machine does not reach another, which reaches it.
    CutOneWay,
    /// The leader and a worker reach each other, and nobody else.
    CutTogether,
}

/// How likely each is.
const LIKELY: [(Fault, usize); 12] = [
    (Fault::Kill, 4),
    (Fault::Restart, 2),
    (Fault::Pause, 2),
    (Fault::Freeze, 2),
    (Fault::PowerOff, 1),
    (Fault::SupervisorKill, 1),
    (Fault::CutOff, 3),
    (Fault::Deaf, 1),
    (Fault::Mute, 1),
    (Fault::CutPair, 1),
    (Fault::CutOneWay, 1),
    (Fault::CutTogether, 2),
];

impl Fault {
    pub(crate) fn any(chance: &mut Chance) -> Fault {
        let all = LIKELY.iter().flat_map(|(fault, likely)| std::iter::repeat_n(*fault, *likely));
        *any(&all.collect::<Vec<Fault>>(), chance)
    }

    /// The wires that it cuts between the machines it strikes and all.
    pub(crate) fn wires(self, on: &[Ipv4Addr], all: &[Ipv4Addr]) -> BTreeSet<Wire> {
        let pairs = all.iter().flat_map(|from| all.iter().map(|to| (*from, *to)));
        let is_cut = |(from, to): &Wire| {
            let (out, into) = (on.contains(from), on.contains(to));
            match self {
                Fault::CutOff | Fault::CutTogether => out != into,
                Fault::Deaf => into && !out,
                Fault::Mute => out && !into,
                Fault::CutPair => out && into && from != to,
                Fault::CutOneWay => (*from, *to) == (on[0], on[1]),
                _ => false,
            }
        };
        pairs.filter(is_cut).collect()
    }
}

#[test]
fn each_cut_has_its_wires() {
    let all = [1, 2, 3].map(|number| Ipv4Addr::new(192, 0, 2, number));
    let [a, b, c] = all;
    let check = |fault: Fault, on: &[Ipv4Addr], wires: &[Wire]| {
        assert_eq!(fault.wires(on, &all), wires.iter().copied().collect(), "{fault:?} {on:?}");
    };
    check(Fault::CutOff, &[a], &[(a, b), (a, c), (b, a), (c, a)]);
    check(Fault::Deaf, &[a], &[(b, a), (c, a)]);
    check(Fault::Mute, &[a], &[(a, b), (a, c)]);
    check(Fault::CutPair, &[c, a], &[(a, c), (c, a)]);
    check(Fault::CutOneWay, &[c, a], &[(c, a)]);
    check(Fault::CutTogether, &[a, b], &[(a, c), (c, a), (b, c), (c, b)]);
    check(Fault::Kill, &[a], &[]);
}
