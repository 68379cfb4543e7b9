//! A worker that nobody can connect to: one connection of its own carries all there is to say, and
//! when the control node at its other end dies, another one does.

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::Call;
use crate::machine::{LEASE, Machine, PEER_PORT};
use crate::patience::find;
use crate::truth::Truth;
use crate::world::World;

/// Says a word, and the next one when a file is there: so each is read before the task's end.
const SCRIPT: &str = r#"
printf '%s %s %s\n' start "$WINDLASS_ATTEMPT" "$WINDLASS_FENCE" >>"$GROUND/notes"
for word in one two three; do
    echo $word
    while [ ! -e "$GROUND/$word" ]; do sleep 0.05; done
done
printf '%s %s %s\n' end "$WINDLASS_ATTEMPT" "$WINDLASS_FENCE" >>"$GROUND/notes"
exit 7
"#;
/// A live word is read sooner, also on a busy machine.
const WORD_WITHIN: Duration = Duration::from_secs(60);
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_worker_behind_nat_is_read_live_and_keeps_its_task_when_its_control_node_dies() {
    let truth = Truth::new();
    let world = World::new();
    let machine = |name, number| Machine::new(name, world.host(number), "control", truth.path());
    let controls = [machine("c1", 1), machine("c2", 2), machine("c3", 3)];
    let worker = Machine::new("w", world.host_behind_nat(11), "worker", truth.path());
    let (first, others) = controls.split_first().unwrap();
    first.found();
    others.iter().chain([&worker]).for_each(|machine| machine.join(first));
    first.until_voters(3);
    assert_eq!(worker.ready()["peer"], "", "it listens for nobody");
    for control in &controls {
        let worker: SocketAddr = (worker.host.addr, PEER_PORT).into();
        let called = control.host.within(|| TcpStream::connect_timeout(&worker, AT_ONCE));
        assert!(called.is_err(), "{} gets in", control.name);
    }

    let task = json!({ "command": ["sh", "-c", SCRIPT], "env": { "GROUND": truth.path() } });
    let job = json!({ "tasks": [task] });
    let run = Call::post("/v1/runs".to_owned(), &job).at(first).unwrap();
    let run = run.with(201).unwrap()["run"].to_string();
    let door = find(|| door(&worker));
    let (mut dies, live): (Vec<_>, Vec<_>) =
        controls.iter().partition(|control| control.host.addr == door);
    let readers: Vec<Reader> = live.iter().map(|control| Reader::follow(control, &run)).collect();
    readers.iter().for_each(|reader| assert_eq!(reader.next(), "one"));

    dies.pop().unwrap().kill();
    let killed = Instant::now();
    find(|| match self::door(&worker)? {
        other if other == door => Err("it is still connected to the one that died".to_owned()),
        _ => Ok(()),
    });
    truth.touch("one");
    readers.iter().for_each(|reader| assert_eq!(reader.next(), "two"));
    // Its permission to run is by now one that it got through the other node.
    find(|| match killed.elapsed() {
        passed if passed > LEASE * 2 => Ok(()),
        passed => Err(format!("only {passed:?} have passed")),
    });
    truth.touch("two");
    readers.iter().for_each(|reader| assert_eq!(reader.next(), "three"));
    truth.touch("three");
    for control in live {
        let wait = control.windlass(&["wait", &run]).output().unwrap();
        assert_eq!(wait.status.code(), Some(7), "{wait:?}");
        let logs = control.windlass(&["logs", "--raw", &run]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&logs.stdout), "one\ntwo\nthree\n");
    }
    let notes = std::fs::read_to_string(truth.path().join("notes")).unwrap();
    let notes: Vec<&str> = notes.lines().collect();
    let [start, end] = notes[..] else { panic!("it ran once: {notes:?}") };
    assert_eq!(start.strip_prefix("start 1 "), end.strip_prefix("end 1 "));
}

/// The control node that the worker is connected to.
fn door(worker: &Machine) -> Result<Ipv4Addr, String> {
    let table = worker.host.within(|| std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let table = table.unwrap();
    let mut doors: Vec<Ipv4Addr> = table.lines().filter_map(established).collect();
    doors.dedup();
    match doors[..] {
        [door] => Ok(door),
        _ => Err(format!("it is connected to {doors:?}")),
    }
}

/// Where a connection of the kernel's table leads, if it stands and leads to a node.
fn established(line: &str) -> Option<Ipv4Addr> {
    let mut words = line.split_whitespace().skip(2);
    let (addr, port) = words.next()?.split_once(':')?;
    let stands = words.next()? == "01" && u16::from_str_radix(port, 16) == Ok(PEER_PORT);
    // The kernel prints the address as a number of this machine's byte order.
    let addr = u32::from_str_radix(addr, 16).ok()?;
    stands.then(|| Ipv4Addr::from(addr.to_ne_bytes()))
}

/// Somebody who reads along at a node.
struct Reader {
    child: Child,
    words: Receiver<String>,
}

impl Reader {
    fn follow(machine: &Machine, run: &str) -> Reader {
        let mut logs = machine.windlass(&["logs", "-f", "--raw", run]);
        logs.command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = logs.spawn().unwrap();
        let (sender, words) = channel();
        let stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            for word in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = sender.send(word);
            }
        });
        Reader { child, words }
    }

    fn next(&self) -> String {
        self.words.recv_timeout(WORD_WITHIN).expect("the next word arrives")
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
