//! Machines as network namespaces at one switch, in which what one sends another can be lost.
//!
//! The switch is a bridge in a namespace of its own, so nothing here touches this machine's network.
//! A namespace has no name: it is an open file, and gone with the last process that is in it.
//! Packets are lost at the switch, in silence, as on a wire: nobody is told that they are.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::{AsFd, AsRawFd};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};

/// What a wire that is cut brings is dropped between the ports.
const SWITCH: &str = "
    table bridge wires {
        set cut { type ipv4_addr . ipv4_addr; }
        chain forward {
            type filter hook forward priority 0
            ip saddr . ip daddr @cut drop
        }
    }
";
/// A router as it stands in a home: whoever is inside gets out by its address, and nobody in.
const ROUTER: &str = "
    table ip nat {
        chain out {
            type nat hook postrouting priority 100
            oifname outside masquerade
        }
    }
    table ip filter {
        chain forward {
            type filter hook forward priority 0; policy drop
            iifname inside accept
            ct state established,related accept
        }
        chain input {
            type filter hook input priority 0; policy drop
        }
    }
";

/// A switch, and what is connected to it.
pub(crate) struct World {
    switch: Namespace,
    cut: Mutex<BTreeSet<Wire>>,
}

/// The way of packets from one address to another.
pub(crate) type Wire = (Ipv4Addr, Ipv4Addr);

/// Where the processes of one machine run.
pub(crate) struct Host {
    /// Where others see it.
    pub(crate) addr: Ipv4Addr,
    inside: Namespace,
    /// Kept for as long as the machine behind it.
    _router: Option<Namespace>,
}

impl World {
    pub(crate) fn new() -> World {
        assert!(
            rustix::process::geteuid().is_root(),
            "network namespaces can be made by root alone: run this test as root"
        );
        for (tool, version, package) in [("ip", "-V", "iproute2"), ("nft", "-v", "nftables")] {
            let there = Command::new(tool).arg(version).output();
            assert!(there.is_ok(), "`{tool}` is not there: install the package `{package}`");
        }
        let switch = Namespace::new();
        switch.ip("link add switch type bridge");
        switch.ip("link set switch up");
        switch.nft(SWITCH);
        World { switch, cut: Mutex::default() }
    }

    /// A machine that others can connect to. The number is its own.
    pub(crate) fn host(&self, number: u8) -> Host {
        let (addr, inside) = (address(number), Namespace::new());
        self.connect(&inside, "eth0", number);
        Host { addr, inside, _router: None }
    }

    /// A machine that can connect to others, and nobody to it: others see its router's address.
    pub(crate) fn host_behind_nat(&self, number: u8) -> Host {
        let (addr, router, inside) = (address(number), Namespace::new(), Namespace::new());
        self.connect(&router, "outside", number);
        let peer = inside.path();
        router.ip(&format!("link add inside type veth peer name eth0 netns {peer}"));
        router.ip("addr add 198.51.100.1/24 dev inside");
        router.ip("link set inside up");
        router.within(|| std::fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap());
        router.nft(ROUTER);
        inside.ip("addr add 198.51.100.2/24 dev eth0");
        inside.ip("link set eth0 up");
        inside.ip("route add default via 198.51.100.1");
        Host { addr, inside, _router: Some(router) }
    }

    fn connect(&self, namespace: &Namespace, name: &str, number: u8) {
        let (addr, peer) = (address(number), namespace.path());
        self.switch.ip(&format!("link add port{number} type veth peer name {name} netns {peer}"));
        self.switch.ip(&format!("link set port{number} master switch"));
        self.switch.ip(&format!("link set port{number} up"));
        namespace.ip(&format!("addr add {addr}/24 dev {name}"));
        namespace.ip(&format!("link set {name} up"));
    }

    /// From now on exactly these wires are cut.
    pub(crate) fn cut(&self, wires: BTreeSet<Wire>) {
        let mut cut = self.cut.lock().unwrap();
        if *cut == wires {
            return;
        }
        let elements: Vec<String> = wires.iter().map(|(a, b)| format!("{a} . {b}")).collect();
        let mut rules = "flush set bridge wires cut\n".to_owned();
        if !elements.is_empty() {
            rules += &format!("add element bridge wires cut {{ {} }}\n", elements.join(", "));
        }
        self.switch.nft(&rules);
        *cut = wires;
    }
}

impl Host {
    /// Does something on the machine; what is started there runs there.
    pub(crate) fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.inside.within(work)
    }
}

/// From the addresses that are for examples.
fn address(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

struct Namespace(File);

impl Namespace {
    fn new() -> Namespace {
        let made = std::thread::spawn(|| {
            // SAFETY: another network for a thread that is about to end; its files stay shared.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }?;
            File::open("/proc/thread-self/ns/net")
        });
        let file = made.join().unwrap().expect("this kernel lets root make network namespaces");
        let namespace = Namespace(file);
        namespace.ip("link set lo up");
        namespace
    }

    /// By a thread of its own, for it is threads that are in a namespace.
    fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let there = scope.spawn(|| {
                let kind = Some(LinkNameSpaceType::Network);
                move_into_link_name_space(self.0.as_fd(), kind).unwrap();
                work()
            });
            there.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// As others name it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    fn ip(&self, words: &str) {
        let run = || Command::new("ip").args(words.split(' ')).output().unwrap();
        let done = self.within(run);
        assert!(done.status.success(), "ip {words}: {}", String::from_utf8_lossy(&done.stderr));
    }

    fn nft(&self, rules: &str) {
        let done = self.within(|| {
            let mut nft = Command::new("nft");
            nft.args(["-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
            let mut nft = nft.spawn().unwrap();
            nft.stdin.take().unwrap().write_all(rules.as_bytes()).unwrap();
            nft.wait_with_output().unwrap()
        });
        assert!(done.status.success(), "nft: {}\n{rules}", String::from_utf8_lossy(&done.stderr));
    }
}
