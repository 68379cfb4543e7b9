//! That the world is as the other tests believe: what is cut is cut, in that direction alone, and
//! nobody gets in through NAT.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::world::{Host, World};

const PORT: u16 = 7401;
/// What does not come at once does not come.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What does come may take as long as a busy machine lets it.
const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_wire_is_cut_in_one_direction_and_whole_again() {
    let world = World::new();
    let (a, b) = (world.host(1), world.host(2));
    assert!(hears(&a, &b) && hears(&b, &a));
    world.cut(BTreeSet::from([(a.addr, b.addr)]));
    assert!(is_deaf(&a, &b) && hears(&b, &a));
    world.cut(BTreeSet::from([(a.addr, b.addr), (b.addr, a.addr)]));
    assert!(is_deaf(&a, &b) && is_deaf(&b, &a));
    world.cut(BTreeSet::new());
    assert!(hears(&a, &b) && hears(&b, &a));
}

#[test]
fn nobody_gets_in_through_nat_and_who_is_behind_it_gets_out() {
    let world = World::new();
    let (open, hidden) = (world.host(1), world.host_behind_nat(2));
    let _inside = hidden.within(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
    let listener = open.within(|| TcpListener::bind(("0.0.0.0", PORT)).unwrap());
    let connect =
        |from: &Host, to: SocketAddr| from.within(|| TcpStream::connect_timeout(&to, AT_ONCE));
    assert!(connect(&open, (hidden.addr, PORT).into()).is_err(), "by the router");
    assert!(connect(&open, ([198, 51, 100, 2], PORT).into()).is_err(), "by its own address");
    let out = connect(&hidden, (open.addr, PORT).into());
    assert!(out.is_ok(), "{out:?}");
    let (_, seen) = listener.accept().unwrap();
    assert_eq!(seen.ip(), hidden.addr, "it is seen as its router");
}

/// Whether a word that the first says arrives at the other, sooner or later.
fn hears(from: &Host, to: &Host) -> bool {
    arrives(from, to, PATIENCE)
}

fn is_deaf(from: &Host, to: &Host) -> bool {
    !arrives(from, to, AT_ONCE)
}

fn arrives(from: &Host, to: &Host, within: Duration) -> bool {
    let socket = |host: &Host| host.within(|| UdpSocket::bind((host.addr, 0)).unwrap());
    let (mouth, ear) = (socket(from), socket(to));
    ear.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let begun = Instant::now();
    while begun.elapsed() < within {
        mouth.send_to(b"word", ear.local_addr().unwrap()).unwrap();
        if ear.recv(&mut [0; 8]).is_ok() {
            return true;
        }
    }
    false
}
