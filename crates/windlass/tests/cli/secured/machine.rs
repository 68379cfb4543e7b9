//! A real other machine, as far as the kernel can make one: a network namespace behind a cable of its own.
//!
//! It needs root and `ip`; without them there is no second network to call from, and the tests beside this one stand
//! alone.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::elsewhere::Elsewhere;
use crate::node::{Home, Shown};

struct Machine {
    name: String,
    /// Where this machine is, seen from there.
    here: String,
    hosts: PathBuf,
}

impl Machine {
    fn new() -> Option<Machine> {
        if !rustix::process::getuid().is_root() {
            return None;
        }
        let pid = std::process::id();
        let name = format!("windlass-{pid}");
        let net = format!("10.{}.{}", 200 + pid / 256 % 50, pid % 256);
        let here = format!("{net}.1");
        let hosts = PathBuf::from(format!("/etc/netns/{name}"));
        let machine = Machine { name, here, hosts };
        let (name, cable) = (&machine.name, format!("wl{pid}"));
        let steps = [
            format!("netns add {name}"),
            format!("link add {cable} type veth peer name eth0 netns {name}"),
            format!("addr add {net}.1/30 dev {cable}"),
            format!("link set {cable} up"),
            format!("-n {name} addr add {net}.2/30 dev eth0"),
            format!("-n {name} link set eth0 up"),
        ];
        // Where the first cannot be done, as in most containers, none can.
        for (number, step) in steps.iter().enumerate() {
            match ip(step) {
                true => {}
                false if number == 0 => return None,
                false => panic!("ip {step}"),
            }
        }
        // What that machine knows names by.
        fs::create_dir_all(&machine.hosts).unwrap();
        let text = format!("{0} alpha.test\n{0} beta.test\n", machine.here);
        fs::write(machine.hosts.join("hosts"), text).unwrap();
        Some(machine)
    }

    /// Runs a command there.
    fn run(&self, command: &Command) -> Shown {
        let mut there = Command::new("ip");
        there.args(["netns", "exec", &self.name]).arg(command.get_program());
        there.args(command.get_args()).env_clear();
        there.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        there.current_dir(command.get_current_dir().unwrap());
        Shown(there.output().unwrap())
    }
}

fn ip(step: &str) -> bool {
    let done = Command::new("ip").args(step.split(' ')).output();
    done.is_ok_and(|done| done.status.success())
}

impl Drop for Machine {
    fn drop(&mut self) {
        // The cable goes with it.
        ip(&format!("netns del {}", self.name));
        let _ = fs::remove_dir_all(&self.hosts);
    }
}

#[test]
fn a_client_on_another_machine_calls_by_name_and_by_address() {
    let Some(machine) = Machine::new() else {
        println!("there are no network namespaces here");
        return;
    };
    let api = format!("{}:0", machine.here);
    let node = Home::new().up_beyond(&api, &["--api-name", "alpha.test"]);
    let elsewhere = Elsewhere::of(&node);
    let ca = elsewhere.ca();
    let port = super::port(&node);
    let run = ["run", "--ca", &ca, "--", "echo", "hello"];
    for host in ["alpha.test", &machine.here] {
        for addr in [format!("https://{host}:{port}"), format!("{host}:{port}")] {
            let shown = machine.run(&elsewhere.command(&addr, &run));
            assert_eq!(shown.stdout(), "hello\n", "{addr}: {shown}");
        }
    }
    let beta = format!("beta.test:{port}");
    let shown = machine.run(&elsewhere.command(&beta, &["ps", "--ca", &ca])).to_string();
    assert!(shown.contains("is for alpha.test, "), "{shown}");
    assert!(
        shown
            .contains("hint: call it by one of its names, or start it with `--api-name beta.test`"),
        "{shown}"
    );
    // Without a word about TLS it is TLS all the same, and the token stays here.
    let alpha = format!("alpha.test:{port}");
    let shown = machine.run(&elsewhere.command(&alpha, &["ps"])).to_string();
    assert!(shown.contains("is of an authority that is not known here"), "{shown}");
}
